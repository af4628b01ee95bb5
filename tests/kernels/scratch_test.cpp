#include "triarch/kernels/scratch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

namespace triarch::kernels {
namespace {

TEST(Scratch, GrowsAlignedAndIsKept) {
  Scratch scratch;
  const void* last = nullptr;
  for (const int64_t count : {1, 100, 99, 300'000, 1'000'000, 2}) {
    double* data = scratch.get<double>(count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u) << count;
    data[0] = data[count - 1] = 1;  // all of it is there (a sanitizer would say)
    if (count == 99 || count == 2) {
      EXPECT_EQ(data, last) << count;
    }
    last = data;
  }
}

TEST(Scratch, SaysWhereThereIsNoMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's allocator ends the program instead";
#endif
  Scratch scratch;
  EXPECT_THROW(scratch.get<char>(int64_t(1) << 62), std::bad_alloc);
  EXPECT_NE(scratch.get<char>(10), nullptr);
}

}  // namespace
}  // namespace triarch::kernels
