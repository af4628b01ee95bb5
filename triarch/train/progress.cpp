#include "triarch/train/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "triarch/base/clock.h"
#include "triarch/base/human.h"

namespace triarch {
namespace {

constexpr double redraw_seconds = 0.1;
constexpr double speed_window = 30;  // seconds that tokens/s looks back
constexpr double left_window = 300;  // and the time left: long enough to hold some evaluations

bool set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

// The first `columns` characters of UTF-8 text.
std::string_view clip(std::string_view text, int columns) {
  size_t end = 0;
  for (int seen = 0; end < text.size(); ++end) {
    if ((uint8_t(text[end]) & 0xc0) != 0x80 && ++seen > columns) break;
  }
  return text.substr(0, end);
}

}  // namespace

std::string short_number(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e5)) return fmt::format("{:.1e}", value);
  return fmt::format("{:.{}f}", value, size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0);
}

std::string short_rate(double value) {
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value);
  int exponent = int(std::floor(std::log10(std::abs(value))));
  double mantissa = value / std::pow(10.0, exponent);
  if (std::abs(mantissa) >= 9.95) {
    mantissa /= 10;
    ++exponent;
  }
  return fmt::format("{:.1f}e{}", mantissa, exponent);
}

Progress::Progress(int64_t steps, Style style, std::FILE* out)
    : steps_(steps), style_(style), out_(out), now_(steady_seconds) {
  if (style_ == Style::automatic) {
    const char* term = std::getenv("TERM");
    const bool dumb = !term || std::string_view(term) == "dumb";
    style_ = ::isatty(::fileno(out)) && !dumb ? Style::terminal : Style::lines;
  }
  color_ = style_ == Style::terminal && !set("NO_COLOR");
}

Progress::~Progress() { finish(); }

void Progress::set_clock(std::function<double()> now) { now_ = std::move(now); }

void Progress::update(int64_t step, double fraction, int64_t tokens, Items items, bool logged) {
  const double now = now_();
  step_ = step;
  items_ = std::move(items);
  moments_.push_back({now, now - paused_, fraction, tokens});
  // One moment older than the window stays, so that it is covered.
  while (moments_.size() > 2 && moments_[1].time < now - left_window) moments_.pop_front();
  if (style_ == Style::lines && logged) {
    fmt::print(out_, "{}\n", line());
    std::fflush(out_);
  }
  if (style_ == Style::terminal && (now - last_draw_ >= redraw_seconds || fraction >= 1)) draw();
}

void Progress::pause() { pause_begin_ = now_(); }

void Progress::resume() {
  if (pause_begin_ >= 0) paused_ += now_() - pause_begin_;
  pause_begin_ = -1;
}

double Progress::tokens_per_second() const {
  if (moments_.size() < 2) return 0;
  const Moment& last = moments_.back();
  const auto first = std::find_if(moments_.begin(), moments_.end() - 2,
                                  [&](const Moment& m) { return m.training >= last.training - speed_window; });
  const double seconds = last.training - first->training;
  return seconds > 0 ? double(last.tokens - first->tokens) / seconds : 0;
}

double Progress::seconds_left() const {
  if (moments_.size() < 2) return -1;
  const Moment &first = moments_.front(), &last = moments_.back();
  const double done = last.fraction - first.fraction;
  return done > 0 ? (last.time - first.time) / done * std::max(0.0, 1 - last.fraction) : -1;
}

std::string Progress::line() const {
  const std::string total = steps_ > 0 ? std::to_string(steps_) : "";
  std::string text = fmt::format("{} {:>{}}{}{}", unit_, step_, std::max<size_t>(total.size(), unit_ == "step" ? 4 : 1),
                                 total.empty() ? "" : "/", total);
  if (!moments_.empty()) text += fmt::format("  {:>3.0f}%", std::floor(std::min(1.0, moments_.back().fraction) * 100));
  // What is most wanted comes first: a narrow terminal cuts the end.
  if (const double left = seconds_left(); left >= 0) text += "  eta " + human_duration(left);
  for (const auto& [name, value] : items_) text += "  " + name + " " + value;
  if (const double speed = tokens_per_second(); speed > 0) text += "  " + human_count(speed) + " tok/s";
  return text;
}

int Progress::width() const {
  if (width_ > 0) return width_;
  winsize size;
  return ::ioctl(::fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void Progress::draw() {
  last_draw_ = now_();
  drawn_ = true;
  // A line that wraps could not be redrawn; the last column stays free.
  const std::string whole = line();
  const std::string_view text = clip(whole, width() - 1);
  const size_t head = std::min(text.size(), text.find('%') + 1);  // no percentage yet: 0
  fmt::print(out_, "\r{}{}{}{}\x1b[K", color_ ? "\x1b[1m" : "", text.substr(0, head), color_ ? "\x1b[0m" : "",
             text.substr(head));
  std::fflush(out_);
}

void Progress::erase() {
  if (drawn_) fmt::print(out_, "\r\x1b[K");
}

void Progress::print(const std::string& text) {
  if (style_ == Style::silent) return;
  erase();
  fmt::print(out_, "{}{}", text, text.empty() || text.back() != '\n' ? "\n" : "");
  if (drawn_) draw();
  std::fflush(out_);
}

void Progress::finish() {
  if (!drawn_) return;
  draw();
  fmt::print(out_, "\n");
  std::fflush(out_);
  drawn_ = false;
}

}  // namespace triarch
