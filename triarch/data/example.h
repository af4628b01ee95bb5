// What one document, or a piece of one, asks a model to do. It knows no family: objectives make examples, and packing
// lays them out for one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "triarch/data/batch.h"

namespace triarch {

// A document as an objective sees it: a view of token ids, without bos or eos.
struct Passage {
  std::span<const int32_t> ids;     // a text, or the input of a pair
  std::span<const int32_t> target;  // the output of a pair, else empty
  std::span<const int32_t> tags;    // one per id (-1: none), or empty
  int32_t label = -1;               // class of the document
  bool ends = true;                 // false: a piece, and its document goes on behind it
};

// An example has one kind of loss: a target, labels, or a label.
struct Example {
  std::vector<int32_t> source;  // tokens seen as a whole: an encoder's rows, a decoder's prefix
  std::vector<float> features;  // of the feature vectors in source (kFeatureRow), one after the other
  std::vector<int32_t> target;  // tokens predicted one after the other, with eos if the objective says so
  std::vector<int32_t> labels;  // empty, or what is predicted at each source token; -1: nothing
  // Empty: the natural order, source from 0, target behind it. Else places in the original order (permutation LM: the
  // target is in factorisation order).
  std::vector<int32_t> source_positions, target_positions;
  int32_t label = -1;            // class of the whole source
  Head head = Head::vocabulary;  // what labels are (tags), or that label is set (classes)

  uint64_t key = 0;         // of its random numbers: those of (seed, epoch, document, place)
  int64_t tokens = 0;       // of the document in it: what "tokens seen" counts
  double target_bytes = 0;  // bytes of text that the predicted tokens stand for; 0 for tags and classes
};

}  // namespace triarch
