#include "triarch/inference/session.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/base/threads.h"
#include "triarch/kernels/cross_entropy.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

int64_t rows_or(int64_t wanted, const ModelSpec& spec) {
  const int64_t most = session_rows(spec);
  const bool table = spec.position == PositionKind::learned || spec.position == PositionKind::sinusoidal;
  if (table && wanted > most) {
    fail(ExitCode::usage,
         "generate: the model's table of positions has room for {} rows of a sequence, found {}; ask "
         "for at most {}",
         most, wanted, most);
  }
  return wanted > 0 ? wanted : most;
}

const ModelSpec& generating(const ModelSpec& spec) {
  if (!spec.has_decoder()) {
    fail(ExitCode::usage,
         "generate: expected a model with a decoder, found an encoder, which predicts no next token; "
         "use fill or embed, or train a decoder, an encoder-decoder or a permutation LM");
  }
  return spec;
}

}  // namespace

int64_t session_rows(const ModelSpec& spec) {
  // A query row stands one position behind the content.
  return std::max<int64_t>(1, spec.max_positions - (spec.family == Family::permutation));
}

Logits::Logits(const Tensor& logits)
    : rows(logits.rows()),
      vocabulary(logits.cols()),
      values(std::make_unique_for_overwrite<double[]>(size_t(rows * vocabulary))) {
  const auto take = [&]<class S>() {
    const S* from = logits.data<S>();
    std::vector<S> sums(static_cast<size_t>(rows));
    kernels::log_sum_exp(kernels::LogSumExp<S>{rows, vocabulary, from, sums.data()});
    log_sums.assign(sums.begin(), sums.end());
    parallel(rows,
             [&](int64_t r, int) { std::copy_n(from + r * vocabulary, vocabulary, values.get() + r * vocabulary); });
  };
  logits.dtype() == DType::f64 ? take.template operator()<double>() : take.template operator()<float>();
}

Session::Session(const Model& model, const Specials& specials, const SessionOptions& options)
    : model_(model),
      bos_(specials.bos),
      eos_(specials.eos),
      mask_(specials.mask),
      queries_(model.spec().family == Family::permutation),
      memory_used_(model.spec().has_encoder()),
      cache_(generating(model.spec()), model.parameters().precision().operand, options.slots,
             rows_or(options.rows, model.spec()),
             rows_or(options.memory_rows > 0 ? options.memory_rows : options.rows, model.spec())),
      slots_(size_t(options.slots)),
      memories_(memory_used_ ? size_t(options.slots) : 0) {}

Session::Sequence& Session::at(int32_t slot) {
  require(slot >= 0 && size_t(slot) < slots_.size(), "session: expected a slot below {}, found {}", slots_.size(),
          slot);
  return slots_[size_t(slot)];
}
const Session::Sequence& Session::at(int32_t slot) const { return const_cast<Session*>(this)->at(slot); }

int64_t Session::room(int32_t slot) const { return rows() - int64_t(at(slot).ids.size()); }

int64_t Session::tokens(int32_t slot) const { return std::max<int64_t>(0, int64_t(at(slot).ids.size()) - 1); }

void Session::check(const Prompt& p) const {
  const int64_t decoder = 1 + int64_t(p.start.size()) + (memory_used_ ? 0 : int64_t(p.source.size()));
  if (decoder > rows()) {
    fail(ExitCode::usage, "generate: the prompt takes {} rows and a sequence has {}; shorten it or allow more", decoder,
         rows());
  }
  if (memory_used_ && int64_t(p.source.size()) + 1 > cache_.memory_rows()) {
    fail(ExitCode::usage, "generate: the input takes {} rows and the encoder has {}; shorten it or allow more",
         p.source.size() + 1, cache_.memory_rows());
  }
  const auto inside = [&](std::span<const int32_t> ids, bool vectors) {
    for (int32_t id : ids) {
      if (vectors && id == kFeatureRow) continue;
      require(id >= 0 && id < model_.spec().vocabulary, "generate: expected token ids below {}, found {}",
              model_.spec().vocabulary, id);
    }
  };
  inside(p.source, true);
  inside(p.start, false);
  const int64_t rows_of_features = std::ranges::count(p.source, kFeatureRow), width = model_.spec().features;
  require(int64_t(p.features.size()) == rows_of_features * width && (width > 0 || rows_of_features == 0),
          "generate: expected a feature vector of {} numbers for each of {} rows, found {} numbers", width,
          rows_of_features, p.features.size());
}

Session::Sequence Session::sequence_of(const Prompt& p) const {
  Sequence s;
  s.ids.push_back(bos_);
  if (!memory_used_) {
    s.ids.insert(s.ids.end(), p.source.begin(), p.source.end());
    s.features.assign(p.features.begin(), p.features.end());
  }
  s.prefix = int32_t(s.ids.size());
  s.ids.insert(s.ids.end(), p.start.begin(), p.start.end());
  s.sees.resize(s.ids.size());
  for (size_t i = 0; i < s.sees.size(); ++i) s.sees[i] = int32_t(i) + 1;
  const auto whole = [&](int32_t begin, int32_t end) {
    for (int32_t i = begin; i < end; ++i) s.sees[size_t(i)] = end;
  };
  switch (model_.spec().decoder.visibility) {
    case Visibility::prefix:
    case Visibility::forward_backward:
      whole(0, s.prefix);
      break;
    case Visibility::turn_prefix:
      if (p.turns.empty() || memory_used_) {
        whole(0, s.prefix);
      } else {  // bos belongs to a turn that begins the text
        for (const auto& [begin, end] : p.turns) {
          require(begin >= 0 && begin <= end && end < s.prefix, "generate: turn [{}, {}) is outside of a text of {}",
                  begin, end, s.prefix - 1);
          whole(begin == 0 ? 0 : begin + 1, end + 1);
        }
      }
      break;
    default:
      break;
  }
  return s;
}

// Rows at the beginning that both have, and that saw the same: what later rows see of them is in the cache.
int64_t Session::common(const Sequence& old, const Sequence& fresh) const {
  const size_t most = std::min(old.ids.size(), fresh.ids.size()), width = size_t(model_.spec().features);
  size_t same = 0, vector = 0;  // the place of the next feature vector
  while (same < most && old.ids[same] == fresh.ids[same]) {
    if (old.ids[same] == kFeatureRow) {
      if (!std::equal(&old.features[vector], &old.features[vector] + width, &fresh.features[vector])) break;
      vector += width;
    }
    ++same;
  }
  size_t kept = 0;
  while (kept < same && old.sees[kept] == fresh.sees[kept] && size_t(fresh.sees[kept]) <= same) ++kept;
  return int64_t(kept);
}

int64_t Session::reusable(int32_t slot, const Prompt& prompt) const {
  const Sequence& s = at(slot);
  if (s.ids.empty()) return 0;
  if (memory_used_) {
    if (s.memory < 0 || !memories_[size_t(s.memory)].holds(prompt)) return 0;
  }
  return common(s, sequence_of(prompt));
}

void Session::release(Sequence& s) {
  if (s.memory >= 0) --memories_[size_t(s.memory)].users;
  s = {};
}

// Gives each of these slots the keys of its source: encodes all that no place has yet, in one pass.
void Session::encode(std::span<const Begin> begins) {
  Rows batch;
  std::vector<int32_t> places;
  for (const Begin& b : begins) {
    Sequence& s = slots_[size_t(b.slot)];
    const auto same = [&](const Memory& m) { return m.holds(b.prompt); };
    auto place = std::find_if(memories_.begin(), memories_.end(), same);
    if (place == memories_.end()) {
      place = std::find_if(memories_.begin(), memories_.end(), [](const Memory& m) { return m.users == 0; });
      require(place != memories_.end(), "session: no place is left for an encoder's keys");
      place->filled = true;
      place->source.assign(b.prompt.source.begin(), b.prompt.source.end());
      place->features.assign(b.prompt.features.begin(), b.prompt.features.end());
      places.push_back(int32_t(place - memories_.begin()));
      Segment segment;
      segment.begin = segment.key_begin = int32_t(batch.size());
      segment.length = int32_t(b.prompt.source.size()) + 1;
      batch.ids.insert(batch.ids.end(), b.prompt.source.begin(), b.prompt.source.end());
      batch.ids.push_back(eos_);
      batch.features.insert(batch.features.end(), b.prompt.features.begin(), b.prompt.features.end());
      for (int32_t i = 0; i < segment.length; ++i) batch.positions.push_back(i);
      batch.segments.push_back(segment);
    }
    ++place->users;
    s.memory = int32_t(place - memories_.begin());
  }
  if (batch.empty()) return;
  Context ctx{arena_, nullptr, model_.parameters().precision()};
  const Var memory = model_.encode(ctx, batch);
  model_.remember(ctx, memory, batch.segments, places, cache_);
  flops_ += ctx.flops;
  computed_ += batch.size();
}

Logits Session::compute(std::span<const Work> work) {
  const bool turns = model_.spec().decoder.visibility == Visibility::turn_prefix;
  Rows batch;
  std::vector<int32_t> wanted;
  for (const Work& w : work) {
    const Sequence& s = slots_[size_t(w.slot)];
    const int32_t n = int32_t(s.ids.size());
    Segment segment;
    segment.begin = int32_t(batch.size());
    segment.length = n - w.past;
    segment.past = w.past;
    segment.prefix = s.prefix;
    segment.memory = s.memory;
    segment.key_begin = int32_t(w.slot * rows());
    for (int32_t i = w.past; i < n; ++i) {
      batch.ids.push_back(s.ids[size_t(i)]);
      batch.positions.push_back(i);
      if (turns) batch.turn_ends.push_back(s.sees[size_t(i)]);
    }
    if (!s.features.empty()) {  // those of the rows behind the past
      const int64_t known = std::count(s.ids.begin(), s.ids.begin() + w.past, kFeatureRow) * model_.spec().features;
      batch.features.insert(batch.features.end(), s.features.begin() + known, s.features.end());
    }
    if (queries_) {
      // Behind the last content row: a row that sees all up to it.
      segment.queries = 1;
      segment.ahead = 1;
      wanted.push_back(int32_t(batch.size()));
      batch.ids.push_back(mask_);
      batch.positions.push_back(n);
      if (turns) batch.turn_ends.push_back(0);
    } else {
      wanted.push_back(segment.begin + n - 1 - w.past);
    }
    batch.segments.push_back(segment);
  }
  Context ctx{arena_, nullptr, model_.parameters().precision()};
  const Var hidden = model_.decode(ctx, batch, {}, {}, &cache_);
  Logits out(model_.logits(ctx, hidden, wanted));
  flops_ += ctx.flops;
  computed_ += batch.size();
  return out;
}

Logits Session::advance(std::span<const Begin> begins, std::span<const Next> nexts) {
  require(!begins.empty() || !nexts.empty(), "session: expected a prompt or a token, found none");
  std::vector<bool> used(slots_.size(), false);
  const auto once = [&](int32_t slot) {
    at(slot);
    require(!used[size_t(slot)], "session: slot {} is there twice in one pass", slot);
    used[size_t(slot)] = true;
  };
  for (const Begin& b : begins) {
    once(b.slot);
    check(b.prompt);
  }
  for (const Next& n : nexts) {
    once(n.slot);
    require(!at(n.slot).ids.empty(), "session: slot {} has no prompt yet; prefill it first", n.slot);
    require(room(n.slot) > 0, "session: slot {} is full at {} rows; end the sequence or allow more", n.slot, rows());
    require(n.id >= 0 && n.id < model_.spec().vocabulary, "session: expected a token id below {}, found {}",
            model_.spec().vocabulary, n.id);
  }

  std::vector<Work> work;
  for (const Begin& b : begins) {
    Sequence fresh = sequence_of(b.prompt);
    // A row is computed at least where it is the last that predicts.
    const int64_t most = int64_t(fresh.ids.size()) - (queries_ ? 0 : 1);
    work.push_back({b.slot, int32_t(std::min(reusable(b.slot, b.prompt), most))});
  }
  std::vector<Begin> sources;
  for (size_t i = 0; i < begins.size(); ++i) {
    Sequence& s = slots_[size_t(begins[i].slot)];
    Sequence fresh = sequence_of(begins[i].prompt);
    const bool same_memory = s.memory >= 0 && memories_[size_t(s.memory)].holds(begins[i].prompt);
    if (memory_used_ && same_memory) {
      fresh.memory = s.memory;
    } else {
      release(s);
      if (memory_used_) sources.push_back(begins[i]);
    }
    s = std::move(fresh);
  }
  encode(sources);
  for (const Next& n : nexts) {
    Sequence& s = slots_[size_t(n.slot)];
    work.push_back({n.slot, int32_t(s.ids.size())});
    s.ids.push_back(n.id);
    s.sees.push_back(int32_t(s.ids.size()));
  }
  return compute(work);
}

Logits Session::prefill(int32_t slot, const Prompt& prompt) {
  const Begin begin{slot, prompt};
  return advance({&begin, 1}, {});
}

void Session::clear() {
  for (Sequence& s : slots_) s = {};
  for (Memory& m : memories_) m = {};
  for (Cache::Layer& layer : cache_.layers) layer.relative_ready = false;
}

void Session::copy(int32_t from, int32_t to) {
  if (from == to) return;
  const Sequence& source = at(from);
  release(at(to));
  slots_[size_t(to)] = source;
  if (source.memory >= 0) ++memories_[size_t(source.memory)].users;
  cache_.copy_slot(from, to, int64_t(source.ids.size()));
}

}  // namespace triarch
