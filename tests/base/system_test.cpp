// Signals, memory, time, and numbers for people.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "tests/scratch.h"
#include "triarch/base/clock.h"
#include "triarch/base/human.h"
#include "triarch/base/machine.h"
#include "triarch/base/signals.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

TEST(Signals, TheFirstIsNotedAndTheSecondEnds) {
  struct sigaction before, now;
  ::sigaction(SIGTERM, nullptr, &before);
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
  ::sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, before.sa_handler);
}

TEST(Memory, GrowsWithUse) {
  const int64_t before = peak_memory(), free_before = available_memory();
  ASSERT_GT(before, 0);
  ASSERT_GT(free_before, 0);
  std::vector<char> block(before + (64 << 20), 1);
  EXPECT_GT(peak_memory(), before + (32 << 20)) << block.back();
}

// Of a system whose files are made up.
class Machine : public ::testing::Test {
 protected:
  void place(const std::string& path, const std::string& content) { scratch_.write(path, content); }
  const Scratch scratch_;
  const fs::path root_ = scratch_.path();
};

TEST_F(Machine, AQuotaOfTimeLimitsTheCores) {
  const int all = available_cores(root_);  // nothing there
  ASSERT_GE(all, 1);
  place("proc/self/cgroup", "0::/outer/inner\n");
  place("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  EXPECT_EQ(available_cores(root_), all);
  place("sys/fs/cgroup/outer/cpu.max", "30000 100000\n");  // a group above
  EXPECT_EQ(available_cores(root_), 1);
  place("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
  EXPECT_EQ(available_cores(root_), std::min(all, 2));
  place("sys/fs/cgroup/outer/cpu.max", "6400000000000 100000\n");
  EXPECT_EQ(available_cores(root_), all);
  place("sys/fs/cgroup/outer/cpu.max", "nonsense");
  EXPECT_EQ(available_cores(root_), all);
}

TEST_F(Machine, TheFirstVersionOfControlGroups) {
  const int all = available_cores(root_);
  place("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n");
  place("proc/self/cgroup", "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
  place("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  place("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(available_cores(root_), all);
  place("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");  // the container sees its own group as the root
  EXPECT_EQ(available_cores(root_), 1);
  EXPECT_EQ(available_memory(root_), 8000 * 1024);
  place("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  place("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000\n");
  EXPECT_EQ(available_memory(root_), 8000 * 1024);
  place("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n");
  place("sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 1000\n");
  EXPECT_EQ(available_memory(root_), 3000);
}

TEST_F(Machine, MemoryOfTheSecondVersion) {
  EXPECT_EQ(available_memory(root_), 0);
  place("proc/meminfo", "MemAvailable: 8000 kB\n");
  place("proc/self/cgroup", "0::/a/b\n");
  place("sys/fs/cgroup/a/b/memory.max", "max\n");
  place("sys/fs/cgroup/a/b/memory.current", "10\n");
  place("sys/fs/cgroup/a/memory.max", "5000\n");
  place("sys/fs/cgroup/a/memory.current", "4000\n");
  place("sys/fs/cgroup/a/memory.stat", "inactive_file 500\n");
  EXPECT_EQ(available_memory(root_), 1500);
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
