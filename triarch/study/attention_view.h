// What one row has at every attention of a kind in a model: its query, its scores, what attention gives it.
#pragma once

#include <vector>

#include "triarch/model/model.h"

namespace triarch {

// A kind of attention, of all layers of a stack.
struct AttentionPlace {
  bool encoder = false;  // the stack
  bool cross = false;

  bool operator==(const AttentionPlace&) const = default;
  std::string title() const;  // "decoder's self attention"
};

// By layer.
struct AttentionView {
  struct Layer {
    std::vector<double> queries;  // [rows][heads * head_dim], of all rows
    std::vector<double> scores;   // [heads][keys] of the looking row, before the softmax; what it cannot see: -infinity
    std::vector<double> output;   // [width]: what attention adds to the looking row, of length 1
  };
  int64_t rows = 0, heads = 0, keys = 0;
  std::vector<Layer> layers;

  // Softmax of the scores, summed over heads: [keys].
  std::vector<double> attention(size_t layer) const;
};

// Watches a model's passes while it lives. `row`: the looking row of each place. Errors for biases or terms by distance
// and for heads that see different things: the scores here are q.k alone.
class AttentionWatch {
 public:
  AttentionWatch(Model& model, std::vector<AttentionPlace> places);
  ~AttentionWatch();
  AttentionWatch(const AttentionWatch&) = delete;
  AttentionWatch& operator=(const AttentionWatch&) = delete;

  // What the next pass shows, by place; the row of each that looks.
  void look(std::vector<int64_t> rows);
  std::vector<AttentionView> take();

 private:
  Model& model_;
  std::vector<AttentionPlace> places_;
  std::vector<int64_t> rows_;
  std::vector<AttentionView> views_;
};

}  // namespace triarch
