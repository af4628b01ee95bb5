#include "triarch/inference/attention_maps.h"

#include <cstring>

#include "triarch/inference/packed.h"

namespace triarch {
namespace {

// kv with the key rows `first` to `first + head_dim` as the values: row first + j has the unit vector j in every head.
template <class T>
void unit_values(Tensor& kv, const ops::AttentionOperands& o, int64_t first) {
  const int64_t width = o.kv_heads * o.head_dim;
  for (int64_t row = 0; row < kv.rows(); ++row) {
    T* to = kv.data<T>() + row * kv.stride();
    std::memcpy(to, o.kv.value.data<T>() + row * o.kv.value.stride() + o.k_column, size_t(width) * sizeof(T));
    for (int64_t c = 0; c < width; ++c) to[width + c] = T(c % o.head_dim == row - first ? 1.f : 0.f);
  }
}

// [heads][query rows][key rows]
std::vector<double> probabilities(Context& ctx, const ops::AttentionOperands& operands, double sharpness) {
  ops::AttentionOperands o = operands;
  o.scale *= sharpness;
  const int64_t queries = o.q.rows(), keys = o.kv.value.rows(), width = o.kv_heads * o.head_dim;
  std::vector<double> out(size_t(o.heads * queries * keys));
  Tensor kv = ctx.operand(keys, 2 * width);
  for (int64_t first = 0; first < keys; first += o.head_dim) {
    dispatch(ctx.precision, [&]<class S, class T>() { unit_values<T>(kv, operands, first); });
    o.kv = {kv, nullptr};
    o.k_column = 0;
    o.v_column = width;
    const std::vector<double> columns = doubles_of(ops::attention(ctx, o).value);
    for (int64_t h = 0; h < o.heads; ++h) {
      for (int64_t q = 0; q < queries; ++q) {
        for (int64_t j = 0; j < std::min(o.head_dim, keys - first); ++j) {
          out[size_t((h * queries + q) * keys + first + j)] = columns[size_t((q * o.heads + h) * o.head_dim + j)];
        }
      }
    }
  }
  return out;
}

}  // namespace

std::vector<AttentionMap> attention_maps(Model& model, const Specials& specials, const Example& example,
                                         double sharpness) {
  std::vector<AttentionMap> maps;
  const Batch* asked = nullptr;
  model.attention_observer = [&](Context& ctx, const StackSpec& stack, int64_t layer, bool cross,
                                 const ops::AttentionOperands& operands) {
    AttentionMap& m = maps.emplace_back();
    const bool encoder = &stack == &model.spec().encoder;
    m.stack = encoder ? "encoder" : "decoder";
    m.layer = layer;
    m.cross = cross;
    m.heads = operands.heads;
    m.queries = encoder ? asked->encoder.ids : asked->decoder.ids;
    m.keys = encoder || cross ? asked->encoder.ids : asked->decoder.ids;
    m.classes = operands.classes;
    for (int c = 0; c < m.classes; ++c) {
      m.begin[c].assign(operands.begin[c], operands.begin[c] + m.queries.size());
      m.end[c].assign(operands.end[c], operands.end[c] + m.queries.size());
    }
    m.probability = probabilities(ctx, operands, sharpness);
  };
  packed(
      model, specials, 0, 1, [&](size_t) { return example; },
      [&](Context& ctx, const Batch& batch, size_t, size_t) {
        asked = &batch;
        model.forward(ctx, batch);
      });
  model.attention_observer = {};
  return maps;
}

}  // namespace triarch
