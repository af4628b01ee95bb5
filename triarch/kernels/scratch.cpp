#include "triarch/kernels/scratch.h"

#include <sys/mman.h>

#include <cstdlib>

namespace triarch::kernels {

Scratch::~Scratch() { std::free(data_); }

void Scratch::grow(int64_t bytes) {
  constexpr int64_t kLine = 64, kLargePage = int64_t(2) << 20;
  const int64_t alignment = bytes >= kLargePage / 2 ? kLargePage : kLine;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  std::free(data_);
  data_ = std::aligned_alloc(size_t(alignment), size_t(bytes));
  if (!data_) std::abort();
  if (alignment == kLargePage) madvise(data_, size_t(bytes), MADV_HUGEPAGE);
  bytes_ = bytes;
}

}  // namespace triarch::kernels
