// From a visibility to intervals of keys, one per row and class of heads: all that attention knows.
#pragma once

#include <cstdint>
#include <vector>

#include "triarch/data/batch.h"
#include "triarch/kernels/attention.h"
#include "triarch/model/spec.h"

namespace triarch {

struct Intervals {
  int classes = 1;                        // 2: the first half of the heads uses [0], the second [1]
  std::vector<int32_t> begin[2], end[2];  // [rows]: rows of the key matrix
  std::vector<kernels::AttentionSegment> segments;
};

// Whether some row may look to either side of it: T5's buckets then tell the sides apart.
inline bool sees_both_sides(Visibility v) { return v != Visibility::causal && v != Visibility::backward; }

// Self attention of `rows` (fresh keys, or a cache's when the segments say so).
// `layer` matters for alternating stacks only.
Intervals self_intervals(const StackSpec& stack, int64_t layer, const Rows& rows);
// Cross attention: each decoder segment sees its encoder segment as a whole.
// Keys of encoder segment s are rows [key_begin, key_begin + length) of the memory.
Intervals cross_intervals(const Rows& decoder, const std::vector<Segment>& memory);

}  // namespace triarch
