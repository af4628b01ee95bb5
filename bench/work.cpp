#include "bench/work.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/data/packing.h"
#include "triarch/text/tokenizer.h"

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

// Texts whose tokens are all predicted in a random order, each by a query row: XLNet's.
Batch permuted(const Config& c, Draw& draw) {
  Packer packer(Layout::permutation, Specials(), c.batch * (2 * c.length - 1), c.length);
  for (int64_t b = 0; b < c.batch; ++b) {
    Example e;
    for (int64_t i = 0; i + 1 < c.length; ++i) {
      e.target.push_back(int32_t(draw.below(uint64_t(c.vocabulary))));
      e.target_positions.push_back(int32_t(i));
    }
    draw.shuffle(e.target_positions.data(), e.target_positions.size());
    e.tokens = c.length;
    require(packer.add(e), "bench: a permuted text of {} tokens does not fit its batch", c.length);
  }
  return packer.batch();
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
  if (family == Family::permutation) {
    w.batch = permuted(c, draw);
    return w;
  }
  for (int64_t b = 0; b < c.batch; ++b) {
    if (both) {
      const int64_t source = is_uneven ? uneven(c, b) : c.length * 3 / 4;
      add_segment(w.batch.encoder, source, c.vocabulary, -1, draw);
      add_segment(w.batch.decoder, is_uneven ? uneven(c, 3 * b + 1) : c.length - source, c.vocabulary, int(b), draw);
    } else {
      add_segment(encoder ? w.batch.encoder : w.batch.decoder, is_uneven ? uneven(c, b) : c.length, c.vocabulary, -1,
                  draw);
    }
  }
  const int64_t rows = w.spec.has_decoder() ? w.batch.decoder.size() : w.batch.encoder.size();
  for (int64_t i = 0; i < rows; ++i) {
    if (encoder && draw.uniform() >= 0.15) continue;
    w.batch.loss_rows.push_back(int32_t(i));
    w.batch.targets.push_back(int32_t(draw.below(uint64_t(c.vocabulary))));
  }
  w.batch.tokens = w.batch.rows();
  return w;
}

}  // namespace triarch::bench
