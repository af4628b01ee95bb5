#include "triarch/data/packing.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

// A segment at the end of some rows, while it is written.
class Writer {
 public:
  Writer(Rows& rows, const Example& example) : rows_(rows), key_(example.key, Purpose::dropout) {
    segment_.begin = segment_.key_begin = row();
  }
  int32_t row() const { return int32_t(rows_.size()); }
  // The row that it gets.
  int32_t add(int32_t id, int32_t position) {
    rows_.keys.push_back(key_.with(uint64_t(row() - segment_.begin)).value());
    rows_.ids.push_back(id);
    rows_.positions.push_back(position);
    return row() - 1;
  }
  // Its keys: the first `past` of `keys` are rows of examples before it, the others its own.
  void read_keys(int64_t past, const std::vector<int32_t>& keys) {
    if (past == 0 && rows_.key_rows.empty()) return;
    if (rows_.key_rows.empty()) {
      for (int32_t r = 0; r < segment_.begin; ++r) rows_.key_rows.push_back(r);
    }
    segment_.past = int32_t(past);
    segment_.key_begin = int32_t(rows_.key_rows.size());
    rows_.key_rows.insert(rows_.key_rows.end(), keys.begin(), keys.end());
  }
  void close(int32_t queries, int32_t prefix, int32_t memory) {
    segment_.length = row() - segment_.begin - queries;
    segment_.queries = queries;
    segment_.prefix = prefix;
    segment_.memory = memory;
    rows_.segments.push_back(segment_);
  }

 private:
  Rows& rows_;
  Key key_;
  Segment segment_;
};

// The largest value in [0, limit] for which `fits` holds, which it does up to some value; -1 if for none.
template <class F>
int64_t largest(int64_t limit, F&& fits) {
  int64_t low = -1;
  for (int64_t high = limit; low < high;) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Feature vectors in the first n source tokens, or in all.
size_t feature_rows(const Example& e, size_t n = SIZE_MAX) {
  return size_t(std::count(e.source.begin(), e.source.begin() + ptrdiff_t(std::min(n, e.source.size())), kFeatureRow));
}

bool fits(Layout layout, int64_t context, int64_t capacity, int64_t source, int64_t target) {
  const RowCount r = row_count(layout, source, target);
  return r.encoder <= context && r.decoder <= context && r.total() <= capacity;
}

// Most keys of a batch per row of its capacity: each example that reads others' rows has a copy of their keys. Those of
// a layer then take 16 vectors a row, not much more than its activations.
constexpr int64_t kMostKeys = 8;

}  // namespace

const char* layout_name(Layout layout) {
  switch (layout) {
    case Layout::decoder:
      return "decoder";
    case Layout::encoder:
      return "encoder";
    case Layout::encoder_decoder:
      return "encoder-decoder";
    case Layout::permutation:
      return "permutation LM";
  }
  return "?";
}

RowCount row_count(Layout layout, int64_t source, int64_t target) {
  switch (layout) {
    case Layout::decoder:
      return {0, target > 0 ? source + target : 1 + source, 0};
    case Layout::encoder:
      return {source + 2, 0, 0};
    case Layout::encoder_decoder:
      return {source + 1, std::max<int64_t>(1, target), 0};
    case Layout::permutation:
      return {0, 1 + source + target, target};
  }
  return {};
}

void check_layout(Layout layout, const Example& e) {
  const int losses = int(!e.target.empty()) + int(!e.labels.empty()) + int(e.label >= 0);
  require(losses == 1, "pack: expected an example with a target, labels or a label, found {} of them", losses);
  require(e.labels.empty() || e.labels.size() == e.source.size(),
          "pack: expected one label per source token, found {} for {}", e.labels.size(), e.source.size());
  require(e.source_positions.empty() || e.source_positions.size() == e.source.size(),
          "pack: expected one position per source token, found {} for {}", e.source_positions.size(), e.source.size());
  require(e.target_positions.empty() || e.target_positions.size() == e.target.size(),
          "pack: expected one position per target token, found {} for {}", e.target_positions.size(), e.target.size());
  const size_t vectors = feature_rows(e);
  require(vectors == 0 ? e.features.empty() : !e.features.empty() && e.features.size() % vectors == 0,
          "pack: expected equally long feature vectors for {} rows, found {} numbers", vectors, e.features.size());
  if (layout == Layout::encoder && !e.target.empty()) {
    fail(ExitCode::usage,
         "pack: an encoder has no rows that predict a target; train it on masked_lm, masked_next_token, classification "
         "or tagging, or choose a decoder or an encoder-decoder");
  }
  if (layout == Layout::encoder_decoder && !e.labels.empty()) {
    fail(
        ExitCode::usage,
        "pack: an encoder-decoder has no loss at its source tokens; train it on prefix_lm, span_corruption, bart, ul2, "
        "seq2seq or classification, or choose an encoder");
  }
  if (layout != Layout::permutation && !(e.source_positions.empty() && e.target_positions.empty())) {
    fail(ExitCode::usage,
         "pack: only a permutation LM predicts tokens out of their order, found permuted tokens for the layout {}; "
         "train it on another objective than permutation_lm",
         layout_name(layout));
  }
}

bool truncate(Layout layout, int64_t context, int64_t capacity, Example& e) {
  const int64_t source = int64_t(e.source.size()), target = int64_t(e.target.size());
  const auto room = [&](int64_t s, int64_t t) { return fits(layout, context, capacity, s, t); };
  if (room(source, target)) return false;
  const int64_t least = std::min<int64_t>(target, 1);
  const int64_t longest = largest(source, [&](int64_t s) { return room(s, least); });
  require(longest >= 0, "pack: {} rows, {} in a segment, are too few for any example; allow more", capacity, context);
  int64_t kept = 0;
  if (target > 0) {
    const int64_t beside = largest(target, [&](int64_t t) { return room(longest, t); });
    const int64_t alone = largest(capacity, [&](int64_t t) { return room(0, t); });
    kept = std::max({int64_t(1), beside, std::min(target, alone / 2)});
  }
  const int64_t rest = largest(longest, [&](int64_t s) { return room(s, kept); });
  if (!e.features.empty()) {
    e.features.resize(e.features.size() / feature_rows(e) * feature_rows(e, size_t(rest)));
  }
  const auto cut = [](std::vector<int32_t>& v, int64_t n) { v.resize(std::min(v.size(), size_t(n))); };
  cut(e.source, rest);
  cut(e.labels, rest);
  cut(e.source_positions, rest);
  cut(e.target, kept);
  cut(e.target_positions, kept);
  // Without positions of their own, targets continue the source as it is now; that is right for a pair.
  return true;
}

Packer::Packer(Layout layout, const Specials& specials, int64_t capacity, int64_t context, Reuse reuse)
    : layout_(layout),
      capacity_(capacity),
      context_(context),
      reuse_(reuse),
      bos_(specials.bos),
      eos_(specials.eos),
      cls_(specials.cls),
      mask_(specials.mask) {
  if (!fits(layout, context, capacity, 1, 1)) {
    fail(ExitCode::usage, "pack: {} rows in a batch and {} in a segment are too few for a {}; allow more", capacity,
         context, layout_name(layout));
  }
}

void Packer::clear() { batch_.clear(); }

std::vector<int32_t> Packer::content(const Example& e) const {
  std::vector<int32_t> ids{bos_};
  if (layout_ != Layout::encoder_decoder) ids.insert(ids.end(), e.source.begin(), e.source.end());
  ids.insert(ids.end(), e.target.begin(), e.target.end());
  if (layout_ != Layout::permutation && !e.target.empty()) ids.pop_back();
  return ids;
}

RowCount Packer::reused(const Example& e) const {
  RowCount out;
  if (reuse_ == Reuse::none || layout_ == Layout::encoder || batch_.decoder.empty()) return out;
  const auto in_order = [](const Example& x) { return x.source_positions.empty() && x.target_positions.empty(); };
  if (e.target.empty() || before_.target.empty() || !in_order(e) || !in_order(before_)) return out;
  const bool pair = layout_ == Layout::encoder_decoder, vectors = !e.features.empty() || !before_.features.empty();
  const bool same_source = e.source == before_.source && e.features == before_.features;
  if (!same_source && (pair || vectors || reuse_ != Reuse::beginnings)) return out;
  if (pair) out.encoder = int64_t(e.source.size()) + 1;
  const std::vector<int32_t> a = content(before_), b = content(e);
  out.decoder = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  return out;
}

bool Packer::add(const Example& example) {
  check_layout(layout_, example);
  if (!batch_.encoder.empty() || !batch_.decoder.empty()) {
    if (example.head != batch_.head) {
      fail(ExitCode::usage,
           "pack: the examples of a batch share one head; do not mix tagging, classification and others");
    }
  }
  const Example* e = &example;
  Example shorter;
  const bool cut = !fits(layout_, context_, capacity_, int64_t(e->source.size()), int64_t(e->target.size()));
  if (cut) {
    shorter = example;
    truncate(layout_, context_, capacity_, shorter);
    e = &shorter;
  }
  const RowCount all = row_count(layout_, int64_t(e->source.size()), int64_t(e->target.size())), again = reused(*e);
  if (all.total() - again.total() > free_rows()) return false;
  const size_t keys = std::max(batch_.decoder.key_rows.size(), batch_.decoder.ids.size()) + size_t(all.decoder);
  if (again.decoder > 0 && int64_t(keys) > kMostKeys * capacity_) return false;
  truncated_ += cut;

  batch_.head = e->head;
  if (all.encoder > again.encoder) add_encoder(*e);
  if (all.decoder > 0) add_decoder(*e, again.decoder);
  if (e->label >= 0) {
    const Rows& rows = layout_ == Layout::encoder ? batch_.encoder : batch_.decoder;
    batch_.loss_rows.push_back(int32_t(rows.segments.size()) - 1);
    batch_.targets.push_back(e->label);
  }
  batch_.tokens += e->tokens;
  batch_.target_bytes += e->target_bytes;
  if (reuse_ != Reuse::none) before_ = *e;
  return true;
}

void Packer::add_encoder(const Example& e) {
  Rows& rows = batch_.encoder;
  Writer w(rows, e);
  int32_t position = 0;
  if (layout_ == Layout::encoder) w.add(cls_, position++);
  add_labels(e, w.row());
  for (int32_t id : e.source) w.add(id, position++);
  rows.features.insert(rows.features.end(), e.features.begin(), e.features.end());
  w.add(eos_, position);
  w.close(0, 0, -1);
}

void Packer::add_decoder(const Example& e, int64_t reused) {
  const bool pair = layout_ == Layout::encoder_decoder;
  const int32_t source = int32_t(e.source.size());
  const auto position = [&](int32_t i) {
    if (i == 0) return 0;
    if (i <= source) return 1 + (e.source_positions.empty() ? i - 1 : e.source_positions[size_t(i - 1)]);
    return 1 + (e.target_positions.empty() ? i - 1 : e.target_positions[size_t(i - 1 - source)]);
  };
  Rows& rows = batch_.decoder;
  Writer w(rows, e);
  const std::vector<int32_t> ids = content(e);
  std::vector<int32_t>& keys = before_rows_;
  keys.resize(size_t(reused));
  for (size_t i = keys.size(); i < ids.size(); ++i) keys.push_back(w.add(ids[i], position(int32_t(i))));
  if (!pair) {
    if (reused == 0) rows.features.insert(rows.features.end(), e.features.begin(), e.features.end());
    add_labels(e, keys[0] + 1);
  }
  const bool queries = layout_ == Layout::permutation;
  const int32_t prefix = pair ? 1 : 1 + source, targets = int32_t(e.target.size());
  for (int32_t t = 0; t < targets; ++t) {
    batch_.loss_rows.push_back(queries ? w.add(mask_, position(prefix + t)) : keys[size_t(prefix - 1 + t)]);
    batch_.targets.push_back(e.target[size_t(t)]);
  }
  if (reused == int64_t(ids.size()) && !queries) return;  // all its rows are there
  w.read_keys(reused, keys);
  w.close(queries ? targets : 0, prefix, pair ? int32_t(batch_.encoder.segments.size()) - 1 : -1);
}

void Packer::add_labels(const Example& e, int32_t first_row) {
  for (size_t i = 0; i < e.labels.size(); ++i) {
    if (e.labels[i] < 0) continue;
    batch_.loss_rows.push_back(first_row + int32_t(i));
    batch_.targets.push_back(e.labels[i]);
  }
}

}  // namespace triarch
