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

// Of the i-th of the batch's texts, evenly from 16 to all.
int64_t uneven(const Config& c, int64_t i) {
  return 16 + (c.length - 16) * (i % c.batch) / std::max<int64_t>(c.batch - 1, 1);
}

}  // namespace

Work make_work(const Config& c, const std::string& name) {
  const std::string family = name.substr(0, name.find("_uneven"));
  const bool is_uneven = family != name, both = family == "encoder_decoder", encoder = family == "encoder";
  require(
      (!is_uneven || name == family + "_uneven") && (both || encoder || (family == "causal" && !is_uneven)),
      "bench: expected a family causal, encoder, encoder_uneven, encoder_decoder or encoder_decoder_uneven, found '{}'",
      name);
  Work w;
  w.spec = preset(both      ? "t5"
                  : encoder ? "bert"
                            : "gpt2",
                  both      ? Family::encoder_decoder
                  : encoder ? Family::encoder
                            : Family::causal,
                  c.width, both ? c.layers / 2 : c.layers);
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
