// Inside the room: the batches of a step of a curriculum.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "triarch/data/packing.h"

namespace triarch {

// Rows of a batch: a permutation LM has a second row for each token; sentinels add some.
inline int64_t rows_of_step(int64_t step_tokens, int64_t context) {
  return std::max(step_tokens, context) * 5 / 2 + 64;
}

// Examples into as few batches as they need.
class Batches {
 public:
  Batches(Layout layout, const Specials& specials, int64_t rows) : packer_(layout, specials, rows, rows) {}

  void add(const Example& example) {
    if (packer_.add(example)) return;
    flush();
    packer_.add(example);
  }
  void flush() {
    if (packer_.batch().rows() > 0) all_.push_back(packer_.batch());
    packer_.clear();
  }
  std::vector<Batch> take() {
    flush();
    return std::exchange(all_, {});
  }

 private:
  Packer packer_;
  std::vector<Batch> all_;
};

}  // namespace triarch
