// Who looks at whom: the softmax of every attention of a model on one example.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triarch/data/example.h"
#include "triarch/model/model.h"

namespace triarch {

struct Specials;  // text/tokenizer.h

struct AttentionMap {
  std::string stack;  // encoder, decoder
  int64_t layer = 0;
  bool cross = false;  // keys are the encoder's rows
  int64_t heads = 0;
  std::vector<int32_t> queries, keys;  // token ids of the rows
  std::vector<double> probability;     // [heads][queries][keys]; a row that sees nothing is 0
  // What a row may look at: keys [begin, end), one interval per class of heads (kernels/attention.h).
  int classes = 1;
  std::vector<int32_t> begin[2], end[2];  // [queries]

  double at(int64_t head, size_t query, size_t key) const {
    return probability[(size_t(head) * queries.size() + query) * keys.size() + key];
  }
  bool sees(int64_t head, size_t query, size_t key) const {
    const int64_t c = head * classes / heads;
    return int64_t(key) >= begin[c][query] && int64_t(key) < end[c][query];
  }
};

// Of every attention, in the order in which the model computes them. The model is asked by its own kernels: values are
// replaced by unit vectors, so that outputs are the probabilities. With a `sharpness` other than 1 the maps are those
// of scores so many times as large (position biases apart), over the rows that the model has without it.
std::vector<AttentionMap> attention_maps(Model& model, const Specials& specials, const Example& example,
                                         double sharpness = 1);

}  // namespace triarch
