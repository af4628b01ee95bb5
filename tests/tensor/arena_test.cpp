#include "triarch/tensor/arena.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/base/random.h"

namespace triarch {
namespace {

TEST(arena, tensors_are_aligned_and_apart) {
  Arena arena;
  std::vector<Tensor> tensors;
  for (int64_t i = 0; i < 40; ++i) {
    Tensor t = arena.tensor(i % 2 ? DType::f32 : DType::bf16, i, 2 * i + 1);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.raw()) % 64, 0u);
    EXPECT_EQ(t.rows(), i);
    EXPECT_EQ(t.cols(), 2 * i + 1);
    EXPECT_EQ(t.stride(), t.cols());
    std::memset(t.raw(), int(i), size_t(t.rows() * t.cols() * size_of(t.dtype())));
    tensors.push_back(t);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(tensors[i].raw());
    const int64_t n = tensors[i].rows() * tensors[i].cols() * size_of(tensors[i].dtype());
    for (int64_t k = 0; k < n; ++k) ASSERT_EQ(bytes[k], i);
  }
}

TEST(arena, memory_comes_back_with_the_last_handle) {
  Arena arena;
  Tensor a = arena.tensor(DType::f32, 100, 100);
  const size_t one = arena.used();
  EXPECT_GE(one, 40000u);
  Tensor copy = a, view = a.columns(10, 5);
  a = Tensor();
  copy = Tensor();
  EXPECT_EQ(arena.used(), one);  // the view holds it
  Tensor moved = std::move(view);
  EXPECT_TRUE(view.empty());
  EXPECT_EQ(arena.used(), one);
  moved = Tensor();
  EXPECT_EQ(arena.used(), 0u);
  EXPECT_EQ(arena.peak(), one);
}

TEST(arena, a_repeated_step_takes_nothing_from_the_system) {
  Arena arena;
  std::vector<void*> first;
  for (int step = 0; step < 5; ++step) {
    // Sizes and lifetimes of a small training step: kept for the backward pass, freed in reverse.
    Draw draw(Key(3, Purpose::test));
    std::vector<Tensor> kept;
    std::vector<void*> places;
    for (int i = 0; i < 60; ++i) {
      Tensor temporary = arena.tensor(DType::f32, 64, 1 + int64_t(draw.below(3000)));
      kept.push_back(arena.tensor(DType::bf16, 64, 1 + int64_t(draw.below(9000))));
      places.push_back(kept.back().raw());
    }
    while (!kept.empty()) {
      Tensor gradient = arena.tensor(DType::f32, 64, kept.back().cols());
      kept.pop_back();
    }
    if (step == 0) first = places;
    EXPECT_EQ(places, first);
    EXPECT_EQ(arena.used(), 0u);
    EXPECT_EQ(arena.growths(), 1) << "step " << step;
  }
}

TEST(arena, freed_neighbours_become_one_piece) {
  Arena arena;
  const int64_t piece = 1 << 20;
  std::vector<Tensor> pieces;
  for (int i = 0; i < 64; ++i) pieces.push_back(arena.tensor(DType::f32, 1, piece / 4));
  EXPECT_EQ(arena.growths(), 1);
  for (size_t i = 1; i < pieces.size(); i += 2) pieces[i] = Tensor();
  for (Tensor& t : pieces) t = Tensor();
  const Tensor whole = arena.tensor(DType::f32, 64, piece / 4);
  EXPECT_EQ(arena.growths(), 1);
}

TEST(arena, peak_counts_what_lives_together) {
  Arena arena;
  const size_t bytes = size_t(1) << 16;
  {
    Tensor a = arena.tensor(DType::f32, 1, int64_t(bytes) / 4);
    Tensor b = arena.tensor(DType::f32, 1, int64_t(bytes) / 4);
  }
  Tensor c = arena.tensor(DType::f32, 1, int64_t(bytes) / 4);
  EXPECT_EQ(arena.peak(), 2 * bytes);
  EXPECT_EQ(arena.used(), bytes);
  arena.reset_peak();
  EXPECT_EQ(arena.peak(), bytes);
}

TEST(arena, more_than_a_slab) {
  Arena arena;
  Tensor small = arena.tensor(DType::f32, 1, 1);
  Tensor large = arena.tensor(DType::f32, 1 << 13, 1 << 16);  // 2 GB of address space, no page touched
  EXPECT_EQ(arena.growths(), 2);
  large.data<float>()[(1 << 29) - 1] = 1;
  EXPECT_EQ(large.data<float>()[(1 << 29) - 1], 1);
}

// Where address space is limited (ulimit -v), slabs are smaller.
TEST(arena, takes_less_where_less_is_allowed) {
  const auto limited = [] {
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t most = rlim_t(pages) * rlim_t(sysconf(_SC_PAGESIZE)) + (rlim_t(256) << 20);
    const rlimit limit{most, most};
    if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
    Arena arena;
    const Tensor t = arena.tensor(DType::f32, 1, 1000);
    t.data<float>()[999] = 1;
    std::_Exit(t.data<float>()[999] == 1 ? 0 : 1);
  };
  EXPECT_EXIT(limited(), testing::ExitedWithCode(0), "");
}

TEST(arena, errors) {
  Arena arena;
  EXPECT_THROW(arena.tensor(DType::f32, -1, 3), Error);
  try {
    arena.tensor(DType::f32, int64_t(1) << 30, int64_t(1) << 30);
    FAIL() << "2^62 bytes were given";
  } catch (const Error& e) {
    EXPECT_EQ(e.code, ExitCode::out_of_memory);
  }
}

TEST(tensor, views_are_on_the_same_memory) {
  std::vector<float> data(12);
  for (size_t i = 0; i < 12; ++i) data[i] = float(i);
  const Tensor t(data.data(), DType::f32, 3, 4);
  const Tensor columns = t.columns(1, 2), rows = columns.row_range(1, 2);
  EXPECT_EQ(columns.data<float>()[columns.stride()], 5);
  EXPECT_EQ(rows.data<float>()[0], 5);
  EXPECT_EQ(rows.rows(), 2);
  EXPECT_EQ(rows.cols(), 2);
  EXPECT_EQ(rows.stride(), 4);
  EXPECT_THROW(t.columns(3, 2), Error);
  EXPECT_THROW(t.columns(-1, 2), Error);
  EXPECT_THROW(t.row_range(2, 2), Error);
  EXPECT_THROW(t.data<bf16>(), Error);
}

TEST(dtype, bf16_rounds_to_nearest_even) {
  EXPECT_EQ(float(bf16(1.0f)), 1.0f);
  EXPECT_EQ(float(bf16(1.00390625f)), 1.0f);        // halfway, down to even
  EXPECT_EQ(float(bf16(1.01171875f)), 1.015625f);   // halfway, up to even
  EXPECT_EQ(float(bf16(1.00390637f)), 1.0078125f);  // just above halfway
  EXPECT_TRUE(float(bf16(3.4e38f)) > 3.4e38f);      // to infinity
  EXPECT_TRUE(float(bf16(-__builtin_nanf(""))) != float(bf16(-__builtin_nanf(""))));
}

}  // namespace
}  // namespace triarch
