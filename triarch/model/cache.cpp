#include "triarch/model/cache.h"

#include <algorithm>
#include <cstring>

#include "triarch/base/error.h"

namespace triarch {

Cache::Cache(const ModelSpec& spec, DType operand, int64_t slots, int64_t slot_rows, int64_t memory_rows)
    : slots_(slots), slot_rows_(slot_rows), memory_rows_(spec.has_encoder() ? memory_rows : 0) {
  require(spec.has_decoder(), "cache: an encoder alone generates nothing, so it has no cache");
  require(slots > 0 && slot_rows > 0, "cache: expected at least one slot and row, found {} x {}", slots, slot_rows);
  const int64_t kv = 2 * spec.kv_heads * spec.head_dim;
  for (int64_t i = 0; i < spec.decoder.layers; ++i) {
    Layer layer;
    layer.self_kv = arena_.tensor(operand, slots * slot_rows, kv);
    if (memory_rows_ > 0) layer.cross_kv = arena_.tensor(operand, slots * memory_rows_, kv);
    if (spec.position == PositionKind::relative_term) {
      layer.relative = arena_.tensor(operand, 2 * slot_rows + 1, spec.heads * spec.head_dim);
    }
    layers.push_back(std::move(layer));
  }
  positions.assign(size_t(slots * slot_rows), 0);
  memory.resize(size_t(slots));
  for (int64_t s = 0; s < slots; ++s) memory[size_t(s)].key_begin = int32_t(s * memory_rows_);
  bytes_per_token_ = size_t(spec.decoder.layers * kv * size_of(operand));
}

void Cache::copy_slot(int64_t from, int64_t to, int64_t rows) {
  if (from == to) return;
  const auto copy = [](const Tensor& t, int64_t source, int64_t target, int64_t count) {
    if (t.empty() || count == 0) return;
    const size_t bytes = size_t(t.stride() * size_of(t.dtype()));
    char* data = static_cast<char*>(t.raw());
    std::memcpy(data + size_t(target) * bytes, data + size_t(source) * bytes, size_t(count) * bytes);
  };
  for (Layer& layer : layers) copy(layer.self_kv, from * slot_rows_, to * slot_rows_, rows);
  std::copy_n(positions.begin() + from * slot_rows_, rows, positions.begin() + to * slot_rows_);
}

}  // namespace triarch
