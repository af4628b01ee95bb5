#include "triarch/inference/score.h"

#include <cmath>
#include <map>

#include "triarch/inference/packed.h"

namespace triarch {
namespace {

// An item, shortened to what the model takes.
struct Cut {
  std::vector<int32_t> context;
  int64_t dropped = 0;
};

Cut cut(const ModelSpec& spec, const ScoreItem& item, int64_t limit) {
  const int64_t context = int64_t(item.context.size());
  const int64_t rest = int64_t(item.start.size() + item.continuation.size());
  int64_t room = 0;
  switch (layout_of(spec.family)) {
    case Layout::encoder:
      room = limit - 2 - rest;  // cls ... eos
      break;
    case Layout::decoder:
      room = limit - rest;  // bos ..., without the last
      break;
    case Layout::permutation:
      room = limit - 1 - rest;
      break;
    case Layout::encoder_decoder:
      room = rest <= limit ? limit - 1 : -1;
      break;
  }
  if (room < 0) {
    fail(ExitCode::usage,
         "score: a continuation of {} tokens does not fit {} rows; score a shorter one, or the text in windows", rest,
         limit);
  }
  Cut out;
  out.dropped = std::max<int64_t>(0, context - room);
  out.context.assign(item.context.begin() + ptrdiff_t(out.dropped), item.context.end());
  return out;
}

// Of an item's continuation the tokens begin, begin + stride ... before end, predicted in one sequence.
struct Part {
  size_t item;
  size_t begin, end, stride = 1;
  size_t tokens() const { return (end - begin + stride - 1) / stride; }
};

// Rows that are computed once, and the parts that read their predictions from them: candidates that differ only in
// their last token, which is no row, or, for an encoder, in the tokens behind its masks.
struct Sequence {
  Example example;
  std::vector<size_t> parts;
};

constexpr int64_t kSpread = 7;  // passes; BERT masks 15 % of the tokens

}  // namespace

int64_t encoder_passes(EncoderScore how, int64_t tokens) {
  switch (how) {
    case EncoderScore::one_by_one:
      return tokens;
    case EncoderScore::together:
      return std::min<int64_t>(1, tokens);
    case EncoderScore::spread:
      return std::min(tokens, kSpread);
  }
  return tokens;
}

std::vector<Score> score(const Model& model, const Tokenizer& tokenizer, std::span<const ScoreItem> items,
                         const ScoreOptions& options) {
  const ModelSpec& spec = model.spec();
  const Specials& specials = tokenizer.specials();
  const int64_t limit = options.context > 0 ? options.context : spec.max_positions;
  const bool encoder = spec.family == Family::encoder;
  std::vector<Score> out(items.size());
  std::vector<std::vector<int32_t>> contexts(items.size());
  std::vector<Part> parts;
  for (size_t i = 0; i < items.size(); ++i) {
    const ScoreItem& item = items[i];
    Cut c = cut(spec, item, limit);
    contexts[i] = std::move(c.context);
    out[i].dropped = c.dropped;
    for (int32_t id : item.continuation) out[i].bytes += tokenizer.bytes_of(id);
    const size_t n = item.continuation.size();
    out[i].log_probabilities.resize(n);
    out[i].best.resize(n);
    if (options.top > 0) out[i].top.resize(n);
    if (n == 0) continue;
    const size_t passes = encoder ? size_t(encoder_passes(options.encoder, int64_t(n))) : 1;
    for (size_t t = 0; t < passes; ++t) parts.push_back({i, t, n, passes});
  }

  const auto make = [&](const Part& part) {
    const ScoreItem& item = items[part.item];
    Example e;
    e.source = contexts[part.item];
    if (encoder) {
      e.source.insert(e.source.end(), item.start.begin(), item.start.end());
      const size_t first = e.source.size();
      e.source.insert(e.source.end(), item.continuation.begin(), item.continuation.end());
      e.labels.assign(e.source.size(), -1);
      for (size_t t = part.begin; t < part.end; t += part.stride) {
        e.labels[first + t] = item.continuation[t];
        e.source[first + t] = specials.mask;
      }
    } else {
      e.target = item.start;
      e.target.insert(e.target.end(), item.continuation.begin(), item.continuation.end());
    }
    return e;
  };
  std::map<std::vector<int32_t>, Sequence> by_rows;
  for (size_t p = 0; p < parts.size(); ++p) {
    Example e = make(parts[p]);
    std::vector<int32_t> rows = e.source;
    rows.push_back(-1);
    if (encoder) {  // which of the masks are read
      rows.push_back(int32_t(e.source.size() - items[parts[p].item].continuation.size() + parts[p].begin));
      rows.push_back(int32_t(parts[p].stride));
    } else {
      rows.insert(rows.end(), e.target.begin(), e.target.end() - 1);
    }
    Sequence& sequence = by_rows[std::move(rows)];
    if (sequence.parts.empty()) sequence.example = std::move(e);
    sequence.parts.push_back(p);
  }
  // In this order neighbours have much in common.
  std::vector<Sequence> sequences;
  for (auto& [rows, sequence] : by_rows) sequences.push_back(std::move(sequence));
  by_rows.clear();
  const bool causal = spec.has_decoder() && spec.decoder.visibility == Visibility::causal;

  packed(
      model, specials, options.rows, sequences.size(), [&](size_t s) -> const Example& { return sequences[s].example; },
      [&](Context& ctx, const Batch& batch, size_t first, size_t count) {
        // A loss for each token of each part, in their order; the same token at the same row has one.
        Batch asked = batch;
        asked.loss_rows.clear();
        asked.targets.clear();
        std::map<std::pair<int32_t, int32_t>, size_t> known;
        std::vector<size_t> places;
        const int32_t* rows = batch.loss_rows.data();
        for (size_t s = first; s < first + count; ++s) {
          for (size_t p : sequences[s].parts) {
            const ScoreItem& item = items[parts[p].item];
            const size_t skipped = encoder ? 0 : item.start.size();
            for (size_t t = parts[p].begin, i = 0; t < parts[p].end; t += parts[p].stride, ++i) {
              const int32_t row = rows[skipped + i], token = item.continuation[t];
              const auto [found, added] = known.try_emplace({row, token}, asked.targets.size());
              places.push_back(found->second);
              if (!added) continue;
              asked.loss_rows.push_back(row);
              asked.targets.push_back(token);
            }
          }
          const Part& any = parts[sequences[s].parts.front()];
          rows += any.tokens() + (encoder ? 0 : items[any.item].start.size());
        }
        const auto each = [&](auto f) {
          const size_t* place = places.data();
          for (size_t s = first; s < first + count; ++s) {
            for (size_t p : sequences[s].parts) {
              for (size_t t = parts[p].begin; t < parts[p].end; t += parts[p].stride) {
                f(out[parts[p].item], t, *place++);
              }
            }
          }
        };
        const Var hidden = model.forward(ctx, batch);
        if (options.top == 0) {
          const ops::Loss loss = model.loss(ctx, hidden, asked, {}, true);
          each([&](Score& s, size_t t, size_t row) {
            s.log_probabilities[t] = -loss.rows[row];
            s.best[t] = loss.predictions[row];
          });
          return;
        }
        const Tensor logits = model.logits(ctx, hidden, asked);
        each([&](Score& s, size_t t, size_t row) {
          const std::vector<double> z = log_softmax(doubles_of(logits.row_range(int64_t(row), 1)));
          s.log_probabilities[t] = z[size_t(asked.targets[row])];
          s.best[t] = argmax(z);
          s.top[t] = most_likely(z, 0, options.top);
        });
      },
      causal ? Reuse::beginnings : Reuse::sources);
  for (Score& s : out) {
    for (double x : s.log_probabilities) s.log_probability += x;
  }
  return out;
}

std::vector<ScoreItem> windows(std::span<const int32_t> ids, int64_t length, int64_t overlap) {
  require(length > 0 && overlap >= 0 && overlap < length,
          "windows: expected an overlap of less than the length, found {} of {}", overlap, length);
  std::vector<ScoreItem> out;
  const int64_t n = int64_t(ids.size());
  for (int64_t begin = 0; begin < n;) {
    const int64_t context = begin == 0 ? 0 : std::min(begin, overlap);
    const int64_t end = std::min(n, begin + length - context);
    ScoreItem item;
    item.context.assign(ids.begin() + (begin - context), ids.begin() + begin);
    item.continuation.assign(ids.begin() + begin, ids.begin() + end);
    out.push_back(std::move(item));
    begin = end;
  }
  return out;
}

}  // namespace triarch
