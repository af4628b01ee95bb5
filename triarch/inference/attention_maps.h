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

  double at(int64_t head, size_t query, size_t key) const {
    return probability[(size_t(head) * queries.size() + query) * keys.size() + key];
  }
};

// Of every attention, in the order in which the model computes them. The model is asked by its own kernels: values are
// replaced by unit vectors, so that outputs are the probabilities.
std::vector<AttentionMap> attention_maps(Model& model, const Specials& specials, const Example& example);

}  // namespace triarch
