// Weights of one family as the beginning of another, for studies of adaptation (Wang et al. 2022, section 6).
//
//   from, to                              what `to` begins with
//   decoder -> decoder, and other equals  all weights; only the mask differs (causal, prefix, permutation)
//   decoder <-> encoder                   the stack; heads stay: one predicts the next token, the other its own
//   decoder or encoder -> enc-dec         both stacks from the one there is; each cross attention, its norm too, from
//   the
//                                         self attention of its layer: T5Gemma's (Zhang et al. 2025, arXiv 2504.06225)
//   enc-dec -> encoder or decoder         that stack; cross attention is left out
//   kv_heads -> fewer                     keys and values: means of neighbouring heads (Ainslie et al. 2023,
//   section 2.1)
//
// T5's table of distances stays where one stack looks to both sides and the other does not: its rows then stand for
// other distances.
#pragma once

#include <string>
#include <vector>

#include "triarch/model/model.h"

namespace triarch {

struct Conversion {
  enum class Part : uint8_t { whole, queries, keys_values };  // rows of self.qkv
  struct Copy {
    std::string to, from;
    Part part = Part::whole;
    int64_t pooled = 1;  // heads of `from` in the mean that is a head of `to`
  };
  std::vector<Copy> copied;          // parameters of `to`, and where each came from
  std::vector<std::string> initial;  // those of `to` that are as they were
  std::vector<std::string> unused;   // those of `from` that went nowhere
};

// Overwrites weights of `to`, which has its initial ones. Nothing has changed if it throws: a usage error that names
// what differs in the specifications, or the tensor and both shapes.
Conversion convert_weights(const Model& from, Model& to);

}  // namespace triarch
