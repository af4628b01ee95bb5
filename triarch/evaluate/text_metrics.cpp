#include "triarch/evaluate/text_metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <utility>

#include "triarch/base/error.h"
#include "triarch/base/utf8.h"

namespace triarch {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Bytes of the whitespace character at the start of `text`, 0 if there is none: Unicode's, as Python's str.split().
size_t whitespace_length(std::string_view text) {
  const uint8_t c = uint8_t(text[0]);
  if ((c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20)) return 1;
  if (text.starts_with("\u0085") || text.starts_with("\u00a0")) return 2;
  if (text.size() < 3) return 0;
  const std::string_view three = text.substr(0, 3);
  const bool in_block = three.starts_with("\xe2\x80") &&
                        (uint8_t(text[2]) <= 0x8a || three == "\u2028" || three == "\u2029" || three == "\u202f");
  return in_block || three == "\u1680" || three == "\u205f" || three == "\u3000" ? 3 : 0;
}

// Bytes that are no UTF-8 count as characters.
size_t step_of(std::string_view text) { return std::max<size_t>(1, character_length(text)); }

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size();) {
    const size_t space = i < text.size() ? whitespace_length(text.substr(i)) : 1;
    if (space == 0) {
      i += step_of(text.substr(i));
      continue;
    }
    if (i > begin) words.push_back(text.substr(begin, i - begin));
    i += space;
    begin = i;
  }
  return words;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t i = text.find(from); i != std::string::npos; i = text.find(from, i + to.size())) {
    text.replace(i, from.size(), to);
  }
  return text;
}

// Every two neighbours ab that fit, from left to right, as "a b " or " a b".
template <class Fits>
std::string parted(const std::string& text, bool space_first, Fits&& fits) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 == text.size() || !fits(text[i], text[i + 1])) {
      out += text[i];
      continue;
    }
    if (space_first) out += ' ';
    out += text[i];
    out += ' ';
    out += text[++i];
    if (!space_first) out += ' ';
  }
  return out;
}

// A text and where its units (words, characters) are, so that an n-gram is a part of it.
struct Units {
  std::string text;
  std::vector<size_t> begin, end;

  void add(std::string_view unit) {
    begin.push_back(text.size());
    text += unit;
    end.push_back(text.size());
  }
  int64_t size() const { return int64_t(begin.size()); }
  int64_t ngrams(size_t n) const { return std::max<int64_t>(0, size() - int64_t(n) + 1); }
};

Units words_of_13a(std::string_view text) {
  const std::string tokens = tokenize_13a(text);
  Units units;
  for (std::string_view word : split(tokens)) {
    units.add(word);
    units.text += ' ';
  }
  return units;
}

Units characters_of(std::string_view text) {
  Units units;
  for (std::string_view word : split(text)) {
    for (size_t i = 0; i < word.size();) {
      const size_t length = step_of(word.substr(i));
      units.add(word.substr(i, length));
      i += length;
    }
  }
  return units;
}

// n-grams of `units`, which must outlive them.
using Counts = std::unordered_map<std::string_view, int64_t>;
Counts count(const Units& units, size_t n) {
  Counts counts;
  for (size_t i = 0; i + n <= units.begin.size(); ++i) {
    ++counts[std::string_view(units.text).substr(units.begin[i], units.end[i + n - 1] - units.begin[i])];
  }
  return counts;
}

int64_t matching(const Counts& a, const Counts& b) {
  int64_t sum = 0;
  for (const auto& [gram, times] : a) {
    const auto found = b.find(gram);
    if (found != b.end()) sum += std::min(times, found->second);
  }
  return sum;
}

template <class C, class One>
C corpus(const char* what, std::span<const std::string> answers, std::span<const std::vector<std::string>> references,
         One&& one) {
  require(answers.size() == references.size(), "{}: expected references for each of {} answers, found {}", what,
          answers.size(), references.size());
  C sum;
  for (size_t i = 0; i < answers.size(); ++i) sum.add(one(answers[i], references[i]));
  return sum;
}

template <class Token>
double f1(std::span<const Token> a, std::span<const Token> b) {
  if (a.empty() || b.empty()) return a.size() == b.size() ? 1 : 0;
  std::map<Token, int64_t> left;
  for (const Token& t : b) ++left[t];
  int64_t common = 0;
  for (const Token& t : a) common += left[t]-- > 0 ? 1 : 0;
  return 2 * double(common) / double(a.size() + b.size());
}

template <class Token>
TokenOverlap overlap(std::span<const std::vector<Token>> answers, std::span<const std::vector<Token>> references) {
  require(!answers.empty() && answers.size() == references.size(),
          "token overlap: expected answers and a reference for each, found {} and {}", answers.size(),
          references.size());
  TokenOverlap out;
  int64_t tokens = 0, right = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::vector<Token>&a = answers[i], &b = references[i];
    out.exact_match += a == b ? 1 : 0;
    out.token_f1 += f1<Token>(a, b);
    tokens += int64_t(b.size());
    for (size_t k = 0; k < std::min(a.size(), b.size()); ++k) right += a[k] == b[k] ? 1 : 0;
  }
  out.exact_match /= double(answers.size());
  out.token_f1 /= double(answers.size());
  out.token_accuracy = tokens > 0 ? double(right) / double(tokens) : out.exact_match;
  return out;
}

}  // namespace

std::string tokenize_13a(std::string_view text) {
  // Whitespace at the end goes first, or a hyphen there would join lines.
  size_t end = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t space = whitespace_length(text.substr(i));
    i += space > 0 ? space : step_of(text.substr(i));
    if (space == 0) end = i;
  }
  std::string line(text.substr(0, end));
  for (const auto& [from, to] : {std::pair{"<skipped>", ""},
                                 {"-\n", ""},
                                 {"\n", " "},
                                 {"&quot;", "\""},
                                 {"&amp;", "&"},
                                 {"&lt;", "<"},
                                 {"&gt;", ">"}}) {
    line = replaced(std::move(line), from, to);
  }
  std::string apart = " ";
  for (char c : line) {
    // All ASCII punctuation and symbols but ' , - and .
    const bool alone = (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
                       (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    if (alone) apart += ' ';
    apart += c;
    if (alone) apart += ' ';
  }
  apart += ' ';
  const auto stop = [](char c) { return c == '.' || c == ','; };
  apart = parted(apart, false, [&](char a, char b) { return !is_digit(a) && stop(b); });
  apart = parted(apart, true, [&](char a, char b) { return stop(a) && !is_digit(b); });
  apart = parted(apart, false, [&](char a, char b) { return is_digit(a) && b == '-'; });
  std::string out;
  for (std::string_view word : split(apart)) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

void BleuCounts::add(const BleuCounts& other) {
  tokens += other.tokens;
  reference_tokens += other.reference_tokens;
  for (size_t n = 0; n < kOrders; ++n) {
    ngrams[n] += other.ngrams[n];
    matches[n] += other.matches[n];
  }
}

double BleuCounts::precision(size_t n) const {
  require(n >= 1 && n <= kOrders, "bleu: expected an order of 1 to {}, found {}", kOrders, n);
  if (ngrams[n - 1] == 0) return 0;
  double half = 1;  // 2^-k for the k-th order without a match
  for (size_t k = 0; k < n; ++k) half *= matches[k] == 0 ? 0.5 : 1;
  return 100 * (matches[n - 1] > 0 ? double(matches[n - 1]) : half) / double(ngrams[n - 1]);
}

double BleuCounts::brevity_penalty() const {
  if (tokens >= reference_tokens) return 1;
  return tokens > 0 ? std::exp(1 - double(reference_tokens) / double(tokens)) : 0;
}

double BleuCounts::score() const {
  // An order without n-grams makes the score 0, and so do no matches at all.
  if (ngrams[kOrders - 1] == 0 || std::ranges::all_of(matches, [](int64_t m) { return m == 0; })) return 0;
  double sum = 0;
  for (size_t n = 1; n <= kOrders; ++n) sum += std::log(precision(n));
  return brevity_penalty() * std::exp(sum / double(kOrders));
}

BleuCounts bleu_counts(std::string_view answer, std::span<const std::string> references) {
  require(!references.empty(), "bleu: expected at least one reference, found none");
  std::vector<Units> theirs;
  for (const std::string& r : references) theirs.push_back(words_of_13a(r));
  const Units units = words_of_13a(answer);
  BleuCounts out;
  out.tokens = units.size();
  out.reference_tokens = std::ranges::min_element(theirs, {}, [&](const Units& r) {
                           return std::pair(std::abs(r.size() - units.size()), r.size());
                         })->size();
  for (size_t n = 1; n <= BleuCounts::kOrders; ++n) {
    Counts most;
    for (const Units& r : theirs) {
      for (const auto& [gram, times] : count(r, n)) most[gram] = std::max(most[gram], times);
    }
    out.ngrams[n - 1] = units.ngrams(n);
    out.matches[n - 1] = matching(count(units, n), most);
  }
  return out;
}

void ChrfCounts::add(const ChrfCounts& other) {
  for (size_t n = 0; n < kOrders; ++n) {
    ngrams[n] += other.ngrams[n];
    reference_ngrams[n] += other.reference_ngrams[n];
    matches[n] += other.matches[n];
  }
}

double ChrfCounts::score() const {
  double p = 0, r = 0;
  int orders = 0;
  for (size_t n = 0; n < kOrders; ++n) {
    if (ngrams[n] == 0 || reference_ngrams[n] == 0) continue;
    p += double(matches[n]) / double(ngrams[n]);
    r += double(matches[n]) / double(reference_ngrams[n]);
    ++orders;
  }
  if (p + r == 0) return 0;
  constexpr double square = 2 * 2;  // beta^2
  return 100 * (1 + square) * p * r / (square * p + r) / orders;
}

ChrfCounts chrf_counts(std::string_view answer, std::span<const std::string> references) {
  require(!references.empty(), "chrf: expected at least one reference, found none");
  const Units units = characters_of(answer);
  ChrfCounts best;
  double most = -1;
  for (const std::string& reference : references) {
    const Units theirs = characters_of(reference);
    ChrfCounts one;
    for (size_t n = 1; n <= ChrfCounts::kOrders; ++n) {
      one.reference_ngrams[n - 1] = theirs.ngrams(n);
      // Orders that the reference has not are not held against the answer.
      one.ngrams[n - 1] = theirs.ngrams(n) > 0 ? units.ngrams(n) : 0;
      one.matches[n - 1] = matching(count(units, n), count(theirs, n));
    }
    const double score = one.score();
    if (score > most) {
      best = one;
      most = score;
    }
  }
  return best;
}

double bleu(std::span<const std::string> answers, std::span<const std::vector<std::string>> references) {
  return corpus<BleuCounts>("bleu", answers, references, bleu_counts).score();
}

double chrf(std::span<const std::string> answers, std::span<const std::vector<std::string>> references) {
  return corpus<ChrfCounts>("chrf", answers, references, chrf_counts).score();
}

TokenOverlap token_overlap(std::span<const std::vector<int32_t>> answers,
                           std::span<const std::vector<int32_t>> references) {
  return overlap<int32_t>(answers, references);
}

TokenOverlap token_overlap(std::span<const std::string> answers, std::span<const std::string> references) {
  const auto words = [](std::span<const std::string> texts) {
    std::vector<std::vector<std::string_view>> all;
    for (const std::string& text : texts) all.push_back(split(text));
    return all;
  };
  return overlap<std::string_view>(words(answers), words(references));
}

}  // namespace triarch
