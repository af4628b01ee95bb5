#include "triarch/kernels/scratch.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace triarch::kernels {

Scratch::~Scratch() { std::free(data_); }

void Scratch::grow(int64_t bytes) {
  constexpr int64_t kLine = 64, kLargePage = int64_t(2) << 20;
  const int64_t alignment = bytes >= kLargePage ? kLargePage : kLine;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  std::free(data_);
  bytes_ = 0;
  data_ = std::aligned_alloc(size_t(alignment), size_t(bytes));
  if (!data_) throw std::bad_alloc();
  if (alignment == kLargePage) madvise(data_, size_t(bytes), MADV_HUGEPAGE);
  bytes_ = bytes;
}

}  // namespace triarch::kernels
