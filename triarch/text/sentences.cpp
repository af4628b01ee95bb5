#include "triarch/text/sentences.h"

#include <algorithm>
#include <array>

#include "triarch/base/utf8.h"

namespace triarch {
namespace {

constexpr std::string_view kSpace = " \t\n\r\v\f";
constexpr std::array<std::string_view, 4> kMarks = {".", "!", "?", "…"};
constexpr std::array<std::string_view, 9> kClosers = {"\"", "'", ")", "]", "}", "”", "’", "»", "*"};
constexpr std::array<std::string_view, 16> kTitles = {"Mr",  "Mrs", "Ms", "Dr",  "St",  "Prof", "Rev", "Capt",
                                                      "Col", "Gen", "Lt", "Sgt", "Hon", "Jr",   "Sr",  "vs"};

// The length of the one of `strings` that `text` starts with, 0 if there is none.
template <size_t n>
size_t starts_with_any(std::string_view text, const std::array<std::string_view, n>& strings) {
  const auto found = std::ranges::find_if(strings, [&](std::string_view s) { return text.starts_with(s); });
  return found == strings.end() ? 0 : found->size();
}

bool has_capitals(std::string_view text) {
  for (size_t i = 0; i < text.size(); i += std::max<size_t>(1, character_length(text.substr(i)))) {
    if (letter_of(text.substr(i)) == Letter::upper) return true;
  }
  return false;
}

// Whether the full stop behind `before` belongs to a shortened word. "I" is a word.
bool abbreviates(std::string_view before) {
  const size_t space = before.find_last_of(kSpace);
  std::string_view word = before.substr(space == std::string_view::npos ? 0 : space + 1);
  while (!word.empty() && letter_of(word) == Letter::none) word.remove_prefix(1);
  if (word.empty() || word == "I") return false;
  const bool initial = letter_of(word) == Letter::upper && character_length(word) == word.size();
  return initial || std::ranges::find(kTitles, word) != kTitles.end();
}

}  // namespace

std::vector<Sentence> sentences_of(std::string_view text) {
  std::vector<Sentence> out;
  const bool capitals = has_capitals(text);
  size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  bool complete = false;  // what has been read of the sentence ends in a mark
  for (size_t i = begin; i < text.size();) {
    if (kSpace.find(text[i]) != std::string_view::npos) {
      const size_t next = std::min(text.find_first_not_of(kSpace, i), text.size());
      const std::string_view gap = text.substr(i, next - i);
      if (next == text.size() || std::ranges::count(gap, '\n') > 1) {
        out.push_back({begin, i, complete});
        begin = next;
        complete = false;
      }
      i = next;
      continue;
    }
    const size_t first = i;
    while (const size_t n = starts_with_any(text.substr(i), kMarks)) i += n;
    complete = i > first;
    if (!complete) {
      i += std::max<size_t>(1, character_length(text.substr(i)));
      continue;
    }
    const bool stop = text.substr(first, i - first) == ".";
    while (const size_t n = starts_with_any(text.substr(i), kClosers)) i += n;
    if (i == text.size() || kSpace.find(text[i]) == std::string_view::npos) continue;
    const size_t next = std::min(text.find_first_not_of(kSpace, i), text.size());
    if (next == text.size()) continue;  // ends above
    if (capitals && letter_of(text.substr(next)) == Letter::lower) continue;
    if (stop && abbreviates(text.substr(begin, first - begin))) continue;
    out.push_back({begin, i, true});
    begin = i = next;
    complete = false;
  }
  if (begin < text.size()) out.push_back({begin, text.size(), complete});
  return out;
}

}  // namespace triarch
