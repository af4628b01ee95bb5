#include "triarch/inference/fill.h"

#include <algorithm>
#include <cmath>

#include "triarch/inference/packed.h"

namespace triarch {
namespace {

using Ids = std::vector<int32_t>;

// The bytes of the tokens with masks written; other specials are left out.
std::string text_of(const Tokenizer& tokenizer, const Ids& ids) {
  std::string out;
  for (int32_t id : ids) {
    out += id == tokenizer.specials().mask ? tokenizer.specials().written(id) : std::string(tokenizer.piece(id));
  }
  return out;
}

}  // namespace

std::vector<FillResult> fill_masks(const Model& model, const Tokenizer& tokenizer, std::span<const std::string> texts,
                                   const FillOptions& options) {
  const ModelSpec& spec = model.spec();
  if (spec.family != Family::encoder) {
    fail(
        ExitCode::usage,
        "fill: expected an encoder trained on masked_lm, found a model that predicts the next token (masked_next_token "
        "changes where a decoder predicts, not that it reads from the left); a model trained on span_corruption fills "
        "<extra_id_0>, others generate");
  }
  if (options.top_k < 1) fail(ExitCode::usage, "fill.top_k: expected at least 1, found {}", options.top_k);
  const Specials& specials = tokenizer.specials();
  std::vector<Ids> ids;
  for (const std::string& text : texts) {
    ids.push_back(tokenizer.encode(text, SpecialText::parse));
    if (std::ranges::count(ids.back(), specials.mask) == 0) {
      const std::string mask = specials.written(specials.mask);
      fail(ExitCode::usage, "fill: expected a text with at least one {}, found '{}'{}", mask, text.substr(0, 60),
           text.find("[MASK]") == std::string::npos ? "" : fmt::format("; for [MASK] write {}", mask));
    }
    if (int64_t(ids.back().size()) + 2 > spec.max_positions) {
      fail(ExitCode::usage, "fill: a text of {} tokens does not fit the model's {} positions; shorten it",
           ids.back().size(), spec.max_positions);
    }
  }
  const auto make = [&](size_t i) {
    Example e;
    e.source = ids[i];
    e.labels.assign(e.source.size(), -1);
    for (size_t t = 0; t < e.source.size(); ++t) {
      if (e.source[t] == specials.mask) e.labels[t] = specials.mask;  // any: it marks the row as one that predicts
    }
    return e;
  };
  Ids never = suppressed(specials, false);
  never.push_back(specials.eos);
  std::vector<FillResult> out(texts.size());
  packed(model, specials, options.rows, texts.size(), make,
         [&](Context& ctx, const Batch& batch, size_t first, size_t count) {
           const Tensor logits = model.logits(ctx, model.forward(ctx, batch), batch);
           int64_t row = 0;
           for (size_t i = first; i < first + count; ++i) {
             Ids best = ids[i];
             for (size_t t = 0; t < ids[i].size(); ++t) {
               if (ids[i][t] != specials.mask) continue;
               std::vector<double> z = doubles_of(logits.row_range(row++, 1));
               const double lse = logsumexp(z);
               require(std::isfinite(lse), "fill: a logit is not finite; the model has diverged");
               suppress(z, never);
               for (size_t k = size_t(tokenizer.vocabulary()); k < z.size(); ++k) z[k] = -HUGE_VAL;
               std::vector<Filled> candidates_here;
               for (int32_t id : likeliest(z, options.top_k)) {
                 Filled f;
                 f.token = id;
                 f.token_str = tokenizer.decode_token(id);
                 f.score = std::exp(z[size_t(id)] - lse);
                 Ids with = ids[i];
                 with[t] = id;
                 f.sequence = text_of(tokenizer, with);
                 candidates_here.push_back(std::move(f));
               }
               best[t] = candidates_here[0].token;
               out[i].masks.push_back(std::move(candidates_here));
             }
             out[i].text = text_of(tokenizer, best);
           }
         });
  return out;
}

void answer_in_spans(Request& request, const Specials& specials, int32_t spans, bool empty) {
  request.options.sentinels = true;
  request.adjust = [specials, spans, empty](std::span<double> logits, std::span<const int32_t> answer) {
    int32_t open = 0;
    for (int32_t id : answer) open += specials.is_sentinel(id);
    const double next = open + 1 < specials.sentinels ? logits[size_t(specials.sentinel(open + 1))] : -HUGE_VAL;
    double& end = logits[size_t(specials.eos)];
    for (int32_t i = 0; i < specials.sentinels; ++i) logits[size_t(specials.sentinel(i))] = -HUGE_VAL;
    if (open + 1 < spans) {
      logits[size_t(specials.sentinel(open + 1))] = next;
      end = -HUGE_VAL;
    } else {
      end = answer.empty() && !empty ? -HUGE_VAL : std::max(end, next);
    }
  };
}

std::vector<InfillResult> infill(Session& session, const Tokenizer& tokenizer, std::span<const std::string> texts,
                                 const InfillOptions& options) {
  const Specials specials = tokenizer.specials();
  const auto is_hole = [&](int32_t id) { return id == specials.mask || specials.is_sentinel(id); };
  std::vector<Ids> ids;
  std::vector<int32_t> holes;
  std::vector<Request> requests;
  for (const std::string& text : texts) {
    Ids source = tokenizer.encode(text, SpecialText::parse);
    int32_t n = 0;
    for (int32_t& id : source) {
      if (is_hole(id)) id = specials.sentinel(n++);
    }
    if (n == 0) {
      fail(ExitCode::usage, "infill: expected a text with {} or {}, found '{}'", specials.written(specials.sentinel(0)),
           specials.written(specials.mask), text.substr(0, 60));
    }
    ids.push_back(source);
    holes.push_back(n);
    Request r;
    r.options = options.generate;
    r.options.n = 1;
    r.options.stop.clear();
    r.source = std::move(source);
    if (options.mode >= 0) r.source.insert(r.source.begin(), options.mode);
    r.start = {specials.sentinel(0)};
    answer_in_spans(r, specials, n, true);
    requests.push_back(std::move(r));
  }
  const auto generations = generate(session, tokenizer, std::move(requests));
  std::vector<InfillResult> out(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const Generation& g = generations[i][0];
    std::vector<Ids> spans(1);
    for (int32_t id : g.ids) {
      if (specials.is_sentinel(id)) {
        spans.emplace_back();
      } else {
        spans.back().push_back(id);
      }
    }
    InfillResult& r = out[i];
    r.log_probability = g.log_probability;
    r.complete = g.finish == Finish::eos;
    spans.resize(size_t(holes[i]));
    for (const Ids& span : spans) r.spans.push_back(tokenizer.decode(span));
    size_t hole = 0;
    for (int32_t id : ids[i]) {
      if (!is_hole(id)) {
        r.text += tokenizer.piece(id);
        continue;
      }
      // Piece by piece: a text decoded by itself may lose the space before its first word.
      for (int32_t filled : spans[hole]) r.text += tokenizer.piece(filled);
      ++hole;
    }
  }
  return out;
}

}  // namespace triarch
