#include "triarch/base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "triarch/base/error.h"

namespace triarch {
namespace {

class Threads : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }
  void TearDown() override { set_thread_count(before_); }

 private:
  int before_ = thread_count();
};
INSTANTIATE_TEST_SUITE_P(counts, Threads, testing::Values(1, 2, 3, 8));

TEST_P(Threads, every_unit_runs_once) {
  for (int64_t units : {-1, 0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<int> runs(size_t(std::max<int64_t>(units, 0)));
    parallel(units, [&](int64_t unit, int thread) {
      ++runs[size_t(unit)];  // not atomic: two runs of one unit would also be a race
      EXPECT_TRUE(thread >= 0 && thread < GetParam());
    });
    for (int r : runs) EXPECT_EQ(r, 1);
  }
}

TEST_P(Threads, many_rounds_see_each_others_writes) {
  std::vector<int64_t> values(5);
  const int rounds = 20000;
  for (int round = 0; round < rounds; ++round) {
    // Units shift from round to round, so that neighbours in time touch the same value on different threads.
    parallel(5, [&](int64_t unit, int) { values[size_t(unit + round) % 5] += round; });
  }
  for (int64_t v : values) EXPECT_EQ(v, int64_t(rounds) * (rounds - 1) / 2);
}

TEST_P(Threads, rounds_of_different_sizes_do_not_mix) {
  for (int round = 0; round < 5000; ++round) {
    const int64_t units = 1 + round % 13;
    std::atomic<int64_t> sum{0};
    parallel(units, [&](int64_t unit, int) { sum += unit + 1; });
    ASSERT_EQ(sum, units * (units + 1) / 2);
  }
}

TEST_P(Threads, a_sleeping_pool_wakes) {
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 3));
    std::atomic<int> runs{0};
    parallel(16, [&](int64_t, int) { ++runs; });
    ASSERT_EQ(runs, 16);
  }
}

TEST_P(Threads, a_call_from_inside_a_unit_runs_in_place) {
  std::atomic<int> runs{0};
  parallel(6, [&](int64_t, int) {
    EXPECT_EQ(thread_count(), 1);
    const auto self = std::this_thread::get_id();
    parallel(5, [&](int64_t, int thread) {
      EXPECT_EQ(thread, 0);
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++runs;
    });
    // Still inside: a nested call must not end that.
    EXPECT_EQ(thread_count(), 1);
  });
  EXPECT_EQ(runs, 30);
  EXPECT_EQ(thread_count(), GetParam());
}

TEST_P(Threads, two_callers_at_once) {
  const auto caller = [](int64_t* sum) {
    for (int round = 0; round < 2000; ++round) {
      int64_t units[7] = {};
      parallel(7, [&](int64_t unit, int) { units[unit] = unit; });
      *sum += std::accumulate(units, units + 7, int64_t{0});
    }
  };
  int64_t first = 0, second = 0;
  std::thread other(caller, &second);
  caller(&first);
  other.join();
  EXPECT_EQ(first, 2000 * 21);
  EXPECT_EQ(second, 2000 * 21);
}

// A thread held up in its first unit keeps only that one: the others' take the rest of its share.
TEST_P(Threads, a_slow_unit_does_not_hold_up_its_share) {
  if (GetParam() == 1) return;
  std::atomic<int> others{0};
  std::atomic<bool> released{false};
  parallel(40, [&](int64_t unit, int) {
    if (unit != 0) {
      ++others;
      return;
    }
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (others < 39 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    released = others == 39;
  });
  EXPECT_TRUE(released);
}

TEST(threads, count_changes_between_rounds) {
  const int before = thread_count();
  for (int count : {1, 4, 2, 7, 1, 3}) {
    set_thread_count(count);
    EXPECT_EQ(thread_count(), count);
    std::atomic<int> runs{0};
    for (int round = 0; round < 50; ++round) parallel(9, [&](int64_t, int) { ++runs; });
    EXPECT_EQ(runs, 450);
  }
  set_thread_count(-5);
  EXPECT_EQ(thread_count(), 1);
  set_thread_count(1000);
  EXPECT_EQ(thread_count(), 64);
  set_thread_count(before);
}

TEST_P(Threads, count_cannot_change_inside_a_unit) {
  if (GetParam() == 1) GTEST_SKIP() << "one thread runs units in place, and may";
  parallel(2, [&](int64_t, int) { EXPECT_THROW(set_thread_count(3), Error); });
}

TEST(threads, a_serial_thread_runs_in_place) {
  set_this_thread_serial(true);
  EXPECT_EQ(thread_count(), 1);
  const auto self = std::this_thread::get_id();
  parallel(20, [&](int64_t, int) { EXPECT_EQ(std::this_thread::get_id(), self); });
  set_this_thread_serial(false);
}

}  // namespace
}  // namespace triarch
