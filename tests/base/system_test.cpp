// Signals, memory, time, and numbers for people.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <vector>

#include "triarch/base/clock.h"
#include "triarch/base/human.h"
#include "triarch/base/memory.h"
#include "triarch/base/signals.h"

namespace triarch {
namespace {

TEST(Signals, TheFirstIsNotedAndTheSecondEnds) {
  for (const int signal : {SIGINT, SIGTERM}) {
    {
      StopSignals signals;
      EXPECT_EQ(stop_signal(), 0);
      EXPECT_EQ(stop_exit_code(), ExitCode::ok);
      ::testing::internal::CaptureStderr();
      ::raise(signal);
      EXPECT_NE(::testing::internal::GetCapturedStderr().find("once more stops at once"), std::string::npos);
      EXPECT_EQ(stop_signal(), signal);
      EXPECT_EQ(int(stop_exit_code()), 128 + signal);
    }
    const pid_t child = ::fork();
    if (child == 0) {
      if (!::freopen("/dev/null", "w", stderr)) ::_exit(1);
      StopSignals signals;
      ::raise(signal);
      ::raise(SIGINT);
      ::_exit(0);
    }
    int status;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  }
  // The former behaviour is back.
  struct sigaction now;
  ::sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST(Memory, GrowsWithUse) {
  const int64_t before = peak_memory(), free_before = available_memory();
  ASSERT_GT(before, 0);
  ASSERT_GT(free_before, 0);
  std::vector<char> block(before + (64 << 20), 1);
  EXPECT_GT(peak_memory(), before + (32 << 20)) << block.back();
}

TEST(Human, WordsOfAShell) {
  EXPECT_EQ(shell_word("runs/a-1.txt"), "runs/a-1.txt");
  EXPECT_EQ(shell_word("my text's.txt"), "'my text'\\''s.txt'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(Human, Numbers) {
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration(" 1.5 h"), 5400);
  EXPECT_EQ(parse_duration("3min"), 180);
  EXPECT_EQ(parse_duration("1m30s"), 90);
  EXPECT_EQ(parse_duration("1h 2min 3s"), 3723);
  for (const char* wrong : {"", "s", "3", "3 tokens", "nan s", "1s2m", "1m2m", "1m30", "1m-", "1h-30m", "-5m"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(999.7), "1k");
  EXPECT_EQ(human_count(1234), "1.2k");
  EXPECT_EQ(human_count(61000), "61k");
  EXPECT_EQ(human_count(999600), "1M");
  EXPECT_EQ(human_count(4.2e6), "4.2M");
  EXPECT_EQ(human_bytes(310.4e6), "310 MB");
  EXPECT_EQ(human_bytes(12), "12 B");
  EXPECT_EQ(human_duration(0.84), "0.8s");
  EXPECT_EQ(human_duration(9.97), "10s");
  EXPECT_EQ(human_duration(59.6), "1:00");
  EXPECT_EQ(human_duration(161), "2:41");
  EXPECT_EQ(human_duration(3723), "1:02:03");
  EXPECT_EQ(human_duration(3 * 86400 + 4 * 3600 + 5 * 60), "3d 04:05");
  EXPECT_EQ(human_duration(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(human_duration(-1), "?");
}

TEST(Clock, GoesOn) {
  const Stopwatch watch;
  ::usleep(2000);
  EXPECT_GE(watch.seconds(), 0.002);
  EXPECT_GT(unix_seconds(), 1.7e9);
}

}  // namespace
}  // namespace triarch
