// Generated texts against references. Figures are sums over a corpus, kept as counts per text, so that a study can draw
// texts again (statistics.h) or add corpora.
//
// BLEU (Papineni et al. 2002) as sacreBLEU counts it by default (Post 2018; signature
// case:mixed|eff:no|tok:13a|smooth:exp):
//
//   BLEU = 100 min(1, exp(1 - r/c)) (p_1 p_2 p_3 p_4)^(1/4),   p_n = matches_n / n-grams_n of the answers
//
// c: tokens of the answers; r: of each text's reference nearest in length (of two, the shorter). Matches of an n-gram
// are at most those in the reference that has most of it. The k-th order without a match has p_n = 1/(2^k n-grams_n)
// (NIST's smoothing; method 3 of Chen and Cherry 2014). 0 if nothing matches, or no answer has four tokens. Tokens are
// mteval-v13a's: punctuation apart but for . and , between digits; &quot; &amp; &lt; &gt; are read.
//
// chrF (Popovic 2015) by sacreBLEU's defaults (chrF2: case:mixed|eff:yes|nc:6|nw:0|space:no): n-grams of 1 to 6
// characters, whitespace left out,
//
//   chrF = 100 * 5 P R / (4 P + R),   P, R: means over the orders that both sides have of matches_n / n-grams_n
//
// of the answers and the references; of several references the one with the largest chrF counts.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "triarch/evaluate/statistics.h"

namespace triarch {

// What mteval-v13a makes of a text, one space between tokens.
std::string tokenize_13a(std::string_view text);

struct BleuCounts {
  static constexpr size_t kOrders = 4;
  int64_t tokens = 0, reference_tokens = 0;          // c, r
  std::array<int64_t, kOrders> ngrams{}, matches{};  // of the answers

  void add(const BleuCounts& other);
  double precision(size_t n) const;  // of order n, 1 to 4, percent, smoothed
  double brevity_penalty() const;    // 1: the answers are long enough
  double score() const;              // 0 to 100
};
// Of one text; error if it has no reference.
BleuCounts bleu_counts(std::string_view answer, std::span<const std::string> references);

struct ChrfCounts {
  static constexpr size_t kOrders = 6;
  std::array<int64_t, kOrders> ngrams{}, reference_ngrams{}, matches{};

  void add(const ChrfCounts& other);
  double score() const;  // 0 to 100
};
ChrfCounts chrf_counts(std::string_view answer, std::span<const std::string> references);

// Of a corpus: [texts] answers, [texts][references], at least one for each. 0 to 100.
double bleu(std::span<const std::string> answers, std::span<const std::vector<std::string>> references);
double chrf(std::span<const std::string> answers, std::span<const std::vector<std::string>> references);

// The score of a corpus of texts whose counts add up, with one reference each: outputs[run][text] of several runs, with
// resamples of runs and texts.
template <class Counts, class Count>
Estimate corpus_estimate(const std::vector<std::vector<std::string>>& outputs,
                         const std::vector<std::string>& references, Count count) {
  const size_t runs = outputs.size(), n = references.size();
  std::vector<std::vector<Counts>> counts(runs);
  Estimate out;
  for (size_t run = 0; run < runs; ++run) {
    Counts all;
    for (size_t i = 0; i < n; ++i) {
      counts[run].push_back(count(outputs[run][i], std::span(&references[i], 1)));
      all.add(counts[run].back());
    }
    out.runs.push_back(all.score());
  }
  for (int64_t r = 0; r < kResamples / 2; ++r) {
    Draw draw_item = resampled_items(r);
    std::vector<size_t> items;
    for (size_t i = 0; i < n; ++i) items.push_back(size_t(draw_item.below(n)));
    double sum = 0;
    for (size_t run : resampled_runs(r, runs)) {
      Counts all;
      for (size_t i : items) all.add(counts[run][i]);
      sum += all.score();
    }
    out.resamples.push_back(sum / double(runs));
  }
  return out;
}

// Tokens of answers against those of one reference each.
struct TokenOverlap {
  double exact_match = 0;     // share of the answers that are their references
  double token_accuracy = 0;  // share of all reference tokens that stand in the answer at the same place
  double token_f1 = 0;        // mean over texts of 2PR / (P + R), tokens in any order (Rajpurkar et al. 2016)
};
// By token ids, or by words (what Unicode whitespace separates, whose amount does not matter). Error if there are no
// texts, or not one reference for each.
TokenOverlap token_overlap(std::span<const std::vector<int32_t>> answers,
                           std::span<const std::vector<int32_t>> references);
TokenOverlap token_overlap(std::span<const std::string> answers, std::span<const std::string> references);

}  // namespace triarch
