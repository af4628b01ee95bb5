#include "bench/work.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/base/random.h"

namespace triarch::bench {
namespace {

void add_segment(Rows& rows, int64_t length, int64_t vocabulary, int memory, Draw& draw) {
  Segment s;
  s.begin = s.key_begin = int32_t(rows.size());
  s.length = int32_t(length);
  s.memory = memory;
  for (int64_t i = 0; i < length; ++i) {
    rows.ids.push_back(int32_t(draw.below(uint64_t(vocabulary))));
    rows.positions.push_back(int32_t(i));
  }
  rows.segments.push_back(s);
}

// A text whose tokens are all predicted in a random order, each by a query row: XLNet's.
void add_permuted(Rows& rows, int64_t length, int64_t vocabulary, Draw& draw, Batch& batch) {
  const int32_t begin = int32_t(rows.size());
  add_segment(rows, length, vocabulary, -1, draw);
  for (int64_t i = length - 1; i > 1; --i) {  // the first row, bos, stays
    std::swap(rows.positions[size_t(begin + i)], rows.positions[size_t(begin + 1 + int64_t(draw.below(uint64_t(i))))]);
  }
  Segment& s = rows.segments.back();
  s.prefix = 1;
  s.queries = int32_t(length) - 1;
  for (int32_t i = 1; i < length; ++i) {
    batch.loss_rows.push_back(int32_t(rows.size()));
    batch.targets.push_back(rows.ids[size_t(begin + i)]);
    rows.ids.push_back(0);
    rows.positions.push_back(rows.positions[size_t(begin + i)]);
  }
}

// Of the i-th of the batch's texts, evenly from 16 to all.
int64_t uneven(const Config& c, int64_t i) {
  return 16 + (c.length - 16) * (i % c.batch) / std::max<int64_t>(c.batch - 1, 1);
}

}  // namespace

Work make_work(const Config& c, const std::string& name) {
  const std::string base = name.substr(0, name.find("_uneven"));
  const bool is_uneven = base != name;
  Family family = Family::causal;
  const char* shape = "gpt2";
  if (base == "encoder") {
    family = Family::encoder;
    shape = "bert";
  } else if (base == "encoder_decoder") {
    family = Family::encoder_decoder;
    shape = "t5";
  } else if (base == "permutation") {
    family = Family::permutation;
  }
  const bool both = family == Family::encoder_decoder, encoder = family == Family::encoder;
  require(
      (!is_uneven || (name == base + "_uneven" && (both || encoder))) && (family != Family::causal || base == "causal"),
      "bench: expected a family causal, permutation, encoder, encoder_uneven, encoder_decoder or "
      "encoder_decoder_uneven, found '{}'",
      name);
  Work w;
  w.spec = preset(shape, family, c.width, both ? c.layers / 2 : c.layers);
  w.spec.vocabulary = c.vocabulary;
  w.spec.heads = w.spec.kv_heads = c.heads;
  w.spec.head_dim = c.width / c.heads;
  w.spec.max_positions = c.length;
  w.spec.token_types = 0;
  Draw draw(Key(1, Purpose::test));
  for (int64_t b = 0; b < c.batch; ++b) {
    if (both) {
      const int64_t source = is_uneven ? uneven(c, b) : c.length * 3 / 4;
      add_segment(w.batch.encoder, source, c.vocabulary, -1, draw);
      add_segment(w.batch.decoder, is_uneven ? uneven(c, 3 * b + 1) : c.length - source, c.vocabulary, int(b), draw);
    } else if (family == Family::permutation) {
      add_permuted(w.batch.decoder, c.length, c.vocabulary, draw, w.batch);
    } else {
      add_segment(encoder ? w.batch.encoder : w.batch.decoder, is_uneven ? uneven(c, b) : c.length, c.vocabulary, -1,
                  draw);
    }
  }
  w.batch.tokens = family == Family::permutation ? c.batch * c.length : w.batch.rows();
  if (family == Family::permutation) return w;
  const int64_t rows = w.spec.has_decoder() ? w.batch.decoder.size() : w.batch.encoder.size();
  for (int64_t i = 0; i < rows; ++i) {
    if (encoder && draw.uniform() >= 0.15) continue;
    w.batch.loss_rows.push_back(int32_t(i));
    w.batch.targets.push_back(int32_t(draw.below(uint64_t(c.vocabulary))));
  }
  return w;
}

}  // namespace triarch::bench
