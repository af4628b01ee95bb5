#include "triarch/tensor/tensor.h"

#include <utility>

#include "triarch/base/error.h"

namespace triarch {

void Tensor::swap(Tensor& o) noexcept {
  std::swap(block_, o.block_);
  std::swap(data_, o.data_);
  std::swap(dtype_, o.dtype_);
  std::swap(rows_, o.rows_);
  std::swap(cols_, o.cols_);
  std::swap(stride_, o.stride_);
}

Tensor Tensor::columns(int64_t begin, int64_t count) const {
  require(begin >= 0 && count >= 0 && begin + count <= cols_, "tensor: columns [{}, {}) of a matrix with {} columns",
          begin, begin + count, cols_);
  Tensor t = *this;
  t.data_ = static_cast<char*>(data_) + begin * size_of(dtype_);
  t.cols_ = count;
  return t;
}

Tensor Tensor::row_range(int64_t begin, int64_t count) const {
  require(begin >= 0 && count >= 0 && begin + count <= rows_, "tensor: rows [{}, {}) of a matrix with {} rows", begin,
          begin + count, rows_);
  Tensor t = *this;
  t.data_ = static_cast<char*>(data_) + begin * stride_ * size_of(dtype_);
  t.rows_ = count;
  return t;
}

void Tensor::wrong_type(DType wanted) const {
  fail("tensor: expected elements of type {}, found {}", name_of(wanted), name_of(dtype_));
}

}  // namespace triarch
