#include "triarch/base/human.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace triarch {
namespace {

struct Scaled {
  double value;
  int steps;  // of 1000
};

// Below 1000 after rounding to two or three digits.
Scaled scale(double value) {
  int steps = 0;
  while (std::abs(value) >= 999.5 && steps < 6) {
    value /= 1000;
    ++steps;
  }
  return {value, steps};
}

std::string digits(double value) {
  const double tenths = std::round(value * 10) / 10;
  return fmt::format("{:.{}f}", value, std::abs(tenths) < 10 && tenths != std::round(tenths) ? 1 : 0);
}

}  // namespace

std::string human_count(double count) {
  static const char* const suffix[] = {"", "k", "M", "G", "T", "P", "E"};
  const Scaled s = scale(count);
  return digits(s.value) + suffix[s.steps];
}

std::string human_bytes(double bytes) {
  static const char* const suffix[] = {" B", " kB", " MB", " GB", " TB", " PB", " EB"};
  const Scaled s = scale(bytes);
  return digits(s.value) + suffix[s.steps];
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e11) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  const auto s = int64_t(std::llround(seconds));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}d {:02}:{:02}", s / 86400, s / 3600 % 24, s / 60 % 60);
}

std::optional<double> parse_duration(std::string_view text) {
  const auto skip_spaces = [&] { text.remove_prefix(std::min(text.find_first_not_of(' '), text.size())); };
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"d", 86400}, {"h", 3600}, {"m", 60}, {"min", 60}, {"s", 1}};
  double seconds = 0, last = 1e9;  // units get smaller
  skip_spaces();
  do {
    double number;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(size_t(end - text.data()));
    skip_spaces();
    const std::string_view unit = text.substr(0, text.find_first_not_of("dhmins"));
    const auto known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, double>::first);
    if (known == std::end(kUnits) || known->second >= last) return std::nullopt;
    last = known->second;
    seconds += number * last;
    text.remove_prefix(unit.size());
    skip_spaces();
  } while (!text.empty());
  if (!std::isfinite(seconds)) return std::nullopt;
  return seconds;
}

std::string sentence_case(std::string text) {
  if (!text.empty()) text[0] = char(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string listed(const std::vector<std::string>& words, const char* last) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    out += (i == 0 ? "" : i + 1 == words.size() ? fmt::format(" {} ", last) : ", ") + words[i];
  }
  return out;
}

std::string visible(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (uint8_t(c) >= 0x20 && c != 0x7f) {
      out += c;
    } else if (c == '\n' || c == '\t' || c == '\r') {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else {
      out += fmt::format("\\x{:02x}", uint8_t(c));
    }
  }
  return out;
}

std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_-./,:=+@%").find(c) != std::string_view::npos;
  });
  if (plain) return text;
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace triarch
