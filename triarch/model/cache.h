// Keys and values of rows already seen, so that generating a token costs one row.
//
// One matrix per layer, [slots * slot_rows, 2 kv_heads head_dim] (keys, then values): each sequence has a
// slot, and a batch's segments say where theirs begins (Segment::key_begin) and how much of it is the past.
// Decoding is then the same attention over intervals of a longer key matrix.
#pragma once

#include <cstdint>
#include <vector>

#include "triarch/data/batch.h"
#include "triarch/model/spec.h"
#include "triarch/tensor/arena.h"

namespace triarch {

class Cache {
 private:
  Arena arena_;  // before the tensors, which it must outlive

 public:
  // For `slots` sequences of at most slot_rows decoder positions and memory_rows encoder positions.
  Cache(const ModelSpec& spec, DType operand, int64_t slots, int64_t slot_rows, int64_t memory_rows = 0);

  int64_t slots() const { return slots_; }
  int64_t slot_rows() const { return slot_rows_; }
  int64_t memory_rows() const { return memory_rows_; }
  size_t bytes() const { return arena_.used(); }
  // What one more position of a sequence costs in the decoder.
  size_t bytes_per_token() const { return bytes_per_token_; }

  // Copies rows [0, rows) of slot `from` to slot `to` (beam search); memories are shared by their users.
  void copy_slot(int64_t from, int64_t to, int64_t rows);

  struct Layer {
    Tensor self_kv;   // [slots * slot_rows, 2 kv]
    Tensor cross_kv;  // [slots * memory_rows, 2 kv], encoder-decoders only
    // XLNet: the distances' keys, [2 slot_rows + 1, heads head_dim]. They depend on the weights alone, so the first
    // pass makes them for all.
    Tensor relative;
    bool relative_ready = false;
  };
  std::vector<Layer> layers;       // of the decoder (an encoder keeps nothing)
  std::vector<int32_t> positions;  // [slots * slot_rows] of the cached rows
  std::vector<Segment> memory;     // [slots]: the encoder segments in cross_kv, by key_begin

 private:
  int64_t slots_, slot_rows_, memory_rows_;
  size_t bytes_per_token_ = 0;
};

}  // namespace triarch
