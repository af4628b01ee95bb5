// Many examples through a model without gradients, as few and as full passes as the rows of a pass allow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/data/packing.h"
#include "triarch/model/model.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// The elements of a matrix, row by row, whatever its type.
inline std::vector<double> doubles_of(const Tensor& t) {
  std::vector<double> out;
  out.reserve(size_t(t.rows() * t.cols()));
  const auto append = [&]<class E>() {
    for (int64_t r = 0; r < t.rows(); ++r) {
      const E* row = t.data<E>() + r * t.stride();
      for (int64_t c = 0; c < t.cols(); ++c) {
        if constexpr (std::is_same_v<E, bf16>) {
          out.push_back(double(float(row[c])));
        } else {
          out.push_back(double(row[c]));
        }
      }
    }
  };
  if (t.dtype() == DType::f64) append.template operator()<double>();
  if (t.dtype() == DType::f32) append.template operator()<float>();
  if (t.dtype() == DType::bf16) append.template operator()<bf16>();
  return out;
}

// Calls use(ctx, batch, first, count) for batches that hold the examples make(first) ... of make(0) ... make(count -
// 1), in order. `rows` of a pass, or those of one example where that takes more. Examples are not cut.
template <class Make, class Use>
void packed(const Model& model, const Specials& specials, int64_t rows, size_t count, Make make, Use use,
            Reuse reuse = Reuse::none) {
  const Layout layout = layout_of(model.spec().family);
  const auto size_of_one = [&](const Example& e) {
    return row_count(layout, int64_t(e.source.size()), int64_t(e.target.size())).total();
  };
  Arena arena;
  for (size_t i = 0; i < count;) {
    const size_t first = i;
    Example next = make(i);
    const int64_t capacity = std::max<int64_t>({rows, size_of_one(next), 8});
    Packer packer(layout, specials, capacity, capacity, reuse);
    while (size_of_one(next) <= capacity && packer.add(next)) {
      if (++i == count) break;
      next = make(i);
    }
    require(i > first, "pack: an example of {} rows was refused with {} free", size_of_one(next), packer.free_rows());
    Context ctx{arena, nullptr, model.parameters().precision()};
    use(ctx, packer.batch(), first, i - first);
  }
}

}  // namespace triarch
