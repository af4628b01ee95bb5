// The progress line, on a terminal and in a pipe, under a clock of the test's own.
#include "triarch/train/progress.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace triarch {
namespace {

// What a Progress writes.
class Screen {
 public:
  Screen() : file_(::open_memstream(&text_, &size_)) {}
  ~Screen() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

TEST(Progress, OneLinePerLoggedStepInAPipe) {
  Screen screen;
  double now = 100;
  Progress progress(2000, Progress::Style::automatic, screen.file());  // no terminal
  progress.set_clock([&] { return now; });
  for (int step = 199; step <= 201; ++step) {
    progress.update(step, step / 2000.0, step * 8192, {{"loss", "4.812"}, {"lr", short_rate(6e-4)}}, step != 200);
    now += 0.134;
  }
  progress.print("saved");
  progress.finish();
  EXPECT_EQ(screen.text(),
            "step  199/2000    9%  loss 4.812  lr 6.0e-4\n"
            "step  201/2000   10%  eta 4:01  loss 4.812  lr 6.0e-4  61k tok/s\n"
            "saved\n");
}

TEST(Progress, RedrawnOnATerminal) {
  ::setenv("NO_COLOR", "1", 1);
  Screen screen;
  double now = 0;
  {
    Progress progress(20, Progress::Style::terminal, screen.file());
    progress.set_clock([&] { return now; });
    progress.set_width(30);
    progress.update(1, 0.05, 100, {{"loss", "1.5"}}, false);
    now += 0.05;
    progress.update(2, 0.10, 200, {{"loss", "1.4"}}, true);  // too soon after the last
    EXPECT_EQ(screen.text(), "\rstep    1/20    5%  loss 1.5\x1b[K");
    progress.print("hello\n");
    EXPECT_EQ(screen.text().substr(32),
              "\r\x1b[Khello\n"
              "\rstep    2/20   10%  eta 0.9s \x1b[K");
    now += 1;
    progress.update(20, 1, 2000, {}, true);
  }
  const std::string text = screen.text();
  EXPECT_EQ(text.substr(text.rfind('\r')), "\rstep   20/20  100%  eta 0.0s \x1b[K\n");
  ::unsetenv("NO_COLOR");

  Screen colored;
  Progress progress(20, Progress::Style::terminal, colored.file());
  progress.set_width(80);
  progress.update(1, 0.05, 100, {{"loss", "1.5"}}, false);
  EXPECT_EQ(colored.text(), "\r\x1b[1mstep    1/20    5%\x1b[0m  loss 1.5\x1b[K");
}

TEST(Progress, SpeedWithoutPausesAndTimeLeftWithThem) {
  Screen screen;
  double now = 0;
  Progress progress(100, Progress::Style::silent, screen.file());
  progress.set_clock([&] { return now; });
  EXPECT_EQ(progress.tokens_per_second(), 0);
  EXPECT_LT(progress.seconds_left(), 0);
  for (int step = 0; step <= 50; ++step) {
    progress.update(step, step / 100.0, step * 1000, {}, true);
    now += 1;
    if (step % 10 == 0) {
      progress.pause();
      now += 5;
      progress.resume();
    }
  }
  EXPECT_NEAR(progress.tokens_per_second(), 1000, 1e-6);
  EXPECT_NEAR(progress.seconds_left(), 75, 1e-6);  // 50 steps took 50 s and 25 s of pauses
  // Ten times as fast: the speed follows within half a minute.
  for (int step = 51; step <= 99; ++step) {
    now += 1;
    progress.update(step, step / 100.0, 50000 + (step - 50) * 10000, {}, true);
  }
  EXPECT_NEAR(progress.tokens_per_second(), 10000, 1);
  progress.print("x");
  EXPECT_EQ(screen.text(), "");
}

TEST(Progress, Numbers) {
  EXPECT_EQ(short_number(4.8123), "4.812");
  EXPECT_EQ(short_number(48.123), "48.12");
  EXPECT_EQ(short_number(481.23), "481.2");
  EXPECT_EQ(short_number(0), "0.000");
  EXPECT_EQ(short_number(1e-5), "1.0e-05");
  EXPECT_EQ(short_number(123456), "1.2e+05");
  EXPECT_EQ(short_number(std::atof("nan")), "nan");
  EXPECT_EQ(short_rate(6e-4), "6.0e-4");
  EXPECT_EQ(short_rate(9.99e-4), "1.0e-3");
  EXPECT_EQ(short_rate(0), "0");
}

}  // namespace
}  // namespace triarch
