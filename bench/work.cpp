#include "bench/work.h"

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

}  // namespace

Work make_work(const Config& c, const std::string& family) {
  Work w;
  const bool both = family == "encoder_decoder";
  w.spec = preset(both                  ? "t5"
                  : family == "encoder" ? "bert"
                                        : "gpt2",
                  both                  ? Family::encoder_decoder
                  : family == "encoder" ? Family::encoder
                                        : Family::causal,
                  c.width, both ? c.layers / 2 : c.layers);
  w.spec.vocabulary = c.vocabulary;
  w.spec.heads = w.spec.kv_heads = c.heads;
  w.spec.head_dim = c.width / c.heads;
  w.spec.max_positions = c.length;
  w.spec.token_types = 0;
  Draw draw(Key(1, Purpose::test));
  for (int64_t b = 0; b < c.batch; ++b) {
    if (family == "causal") {
      add_segment(w.batch.decoder, c.length, c.vocabulary, -1, draw);
    } else if (family == "encoder") {
      add_segment(w.batch.encoder, c.length, c.vocabulary, -1, draw);
    } else {
      add_segment(w.batch.encoder, c.length * 3 / 4, c.vocabulary, -1, draw);
      add_segment(w.batch.decoder, c.length - c.length * 3 / 4, c.vocabulary, int(b), draw);
    }
  }
  const int64_t rows = w.spec.has_decoder() ? w.batch.decoder.size() : w.batch.encoder.size();
  for (int64_t i = 0; i < rows; ++i) {
    if (family == "encoder" && draw.uniform() >= 0.15) continue;
    w.batch.loss_rows.push_back(int32_t(i));
    w.batch.targets.push_back(int32_t(draw.below(uint64_t(c.vocabulary))));
  }
  w.batch.tokens = w.batch.rows();
  return w;
}

}  // namespace triarch::bench
