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
    segment_.begin = segment_.key_begin = int32_t(rows.size());
  }
  int32_t row() const { return int32_t(rows_.size()); }
  void add(int32_t id, int32_t position) {
    rows_.keys.push_back(key_.with(uint64_t(row() - segment_.begin)).value());
    rows_.ids.push_back(id);
    rows_.positions.push_back(position);
  }
  // The source, its rows at position(i).
  template <class F>
  void add_source(const Example& e, F&& position) {
    for (size_t i = 0; i < e.source.size(); ++i) add(e.source[i], position(i));
    rows_.features.insert(rows_.features.end(), e.features.begin(), e.features.end());
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

Packer::Packer(Layout layout, const Specials& specials, int64_t capacity, int64_t context)
    : layout_(layout),
      capacity_(capacity),
      context_(context),
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

bool Packer::shares(bool source_again) const {
  return source_again && layout_ == Layout::encoder_decoder && !batch_.encoder.empty();
}

int64_t Packer::rows_of(const Example& e, bool source_again) const {
  const RowCount n = row_count(layout_, int64_t(e.source.size()), int64_t(e.target.size()));
  return n.total() - (shares(source_again) ? n.encoder : 0);
}

bool Packer::add(const Example& example, bool source_again) {
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
    source_again = false;
  }
  if (rows_of(*e, source_again) > free_rows()) return false;
  truncated_ += cut;

  batch_.head = e->head;
  const bool encodes = layout_ == Layout::encoder || layout_ == Layout::encoder_decoder;
  if (encodes && !shares(source_again)) add_encoder(*e);
  if (layout_ == Layout::decoder || layout_ == Layout::encoder_decoder) add_decoder(*e);
  if (layout_ == Layout::permutation) add_permutation(*e);
  if (e->label >= 0) {
    const Rows& rows = layout_ == Layout::encoder ? batch_.encoder : batch_.decoder;
    batch_.loss_rows.push_back(int32_t(rows.segments.size()) - 1);
    batch_.targets.push_back(e->label);
  }
  batch_.tokens += e->tokens;
  batch_.target_bytes += e->target_bytes;
  return true;
}

void Packer::add_encoder(const Example& e) {
  Writer w(batch_.encoder, e);
  int32_t position = 0;
  if (layout_ == Layout::encoder) w.add(cls_, position++);
  add_labels(e, w.row());
  w.add_source(e, [&](size_t) { return position++; });
  w.add(eos_, position);
  w.close(0, 0, -1);
}

void Packer::add_decoder(const Example& e) {
  const bool paired = layout_ == Layout::encoder_decoder;
  Writer w(batch_.decoder, e);
  int32_t position = 0;
  w.add(bos_, position++);
  if (!paired) {
    add_labels(e, w.row());
    w.add_source(e, [&](size_t) { return position++; });
  }
  const int32_t prefix = position;
  for (size_t i = 0; i < e.target.size(); ++i) {
    batch_.loss_rows.push_back(w.row() - 1);
    batch_.targets.push_back(e.target[i]);
    if (i + 1 < e.target.size()) w.add(e.target[i], position++);
  }
  w.close(0, prefix, paired ? int32_t(batch_.encoder.segments.size()) - 1 : -1);
}

void Packer::add_permutation(const Example& e) {
  const int32_t n = int32_t(e.source.size());
  const auto source_place = [&](size_t i) {
    return 1 + (e.source_positions.empty() ? int32_t(i) : e.source_positions[i]);
  };
  const auto target_place = [&](size_t i) {
    return 1 + (e.target_positions.empty() ? n + int32_t(i) : e.target_positions[i]);
  };
  Writer w(batch_.decoder, e);
  w.add(bos_, 0);
  add_labels(e, w.row());
  w.add_source(e, source_place);
  for (size_t i = 0; i < e.target.size(); ++i) w.add(e.target[i], target_place(i));
  for (size_t i = 0; i < e.target.size(); ++i) {
    batch_.loss_rows.push_back(w.row());
    batch_.targets.push_back(e.target[i]);
    w.add(mask_, target_place(i));
  }
  w.close(int32_t(e.target.size()), 1 + n, -1);
}

void Packer::add_labels(const Example& e, int32_t first_row) {
  for (size_t i = 0; i < e.labels.size(); ++i) {
    if (e.labels[i] < 0) continue;
    batch_.loss_rows.push_back(first_row + int32_t(i));
    batch_.targets.push_back(e.labels[i]);
  }
}

}  // namespace triarch
