#include "triarch/study/parts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/signals.h"
#include "triarch/study/queue.h"

namespace triarch {
namespace {

struct Square {
  int64_t value = 0;

  template <class V>
  void fields(V& v) {
    v("value", value, "of a number");
  }
};

class Parts : public testing::Test {
 protected:
  Parts() {
    work_.folder = folder_;
    work_.jobs = 2;
    work_.progress = [this](const PartsState& s) { last_ = s; };
  }
  auto square(int64_t failing = -1) {
    return [this, failing](size_t i, const PartProgress& going) -> std::optional<Square> {
      ++begun_[i];
      require(int64_t(i) != failing, "a part fails");
      if (!going(0.5, 10)) return std::nullopt;
      return Square{int64_t(i * i)};
    };
  }
  std::vector<int64_t> values(const std::optional<std::vector<Square>>& squares) {
    std::vector<int64_t> out;
    for (const Square& s : squares.value()) out.push_back(s.value);
    return out;
  }

  const Scratch scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  StudyWork work_;
  PartsState last_;
  std::atomic<int> begun_[4] = {};
  const std::vector<Part> parts_ = {{"a", 1, 20}, {"b", 1, 20}, {"c", 2, 20}, {"d", 4, 20}};
  const std::vector<int64_t> squares_ = {0, 1, 4, 9};
};

TEST_F(Parts, ResultsInOrderAndOnce) {
  EXPECT_EQ(values(work_on<Square>(work_, parts_, square())), squares_);
  EXPECT_EQ(last_.done, 4);
  EXPECT_DOUBLE_EQ(last_.share, 1);
  EXPECT_EQ(last_.tokens, 80);
  // Once more: all is there.
  EXPECT_EQ(values(work_on<Square>(work_, parts_, square())), squares_);
  for (const auto& n : begun_) EXPECT_EQ(n, 1);
}

TEST_F(Parts, WhatIsInNoFolderWaitsAgain) {
  WorkQueue::create(folder_, {"a", "b"});  // as of one that was killed while it made the queue
  EXPECT_EQ(values(work_on<Square>(work_, parts_, square())), squares_);
}

TEST_F(Parts, AClaimUnderOurNumberIsADeadOnes) {
  WorkQueue::create(folder_, {"a", "b", "c", "d"});
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  // As a restarted container finds it, whose first process had the same number.
  std::filesystem::rename(folder_ / "queue" / "b",
                          folder_ / "working" / ("b@" + std::string(host) + "-" + std::to_string(::getpid()) + ".1"));
  EXPECT_EQ(values(work_on<Square>(work_, parts_, square())), squares_);
}

TEST_F(Parts, AFailureLosesNothingThatIsFinished) {
  work_.jobs = 1;
  EXPECT_THROW(work_on<Square>(work_, parts_, square(2)), Error);
  EXPECT_EQ(WorkQueue(folder_).waiting(), 2u);
  EXPECT_EQ(values(work_on<Square>(work_, parts_, square())), squares_);
  EXPECT_EQ(begun_[0], 1);
  EXPECT_EQ(begun_[2], 2);
}

TEST_F(Parts, ASignalStopsThemAndTheyGoOn) {
  work_.jobs = 1;
  {
    const StopSignals signals;
    const auto stopped = work_on<Square>(work_, parts_, [&](size_t i, const PartProgress& going) {
      if (i == 1) std::raise(SIGINT);
      return square()(i, going);
    });
    EXPECT_FALSE(stopped);
  }
  EXPECT_EQ(WorkQueue(folder_).waiting(), 3u);
  const StopSignals signals;
  EXPECT_EQ(values(work_on<Square>(work_, parts_, square())), squares_);
}

}  // namespace
}  // namespace triarch
