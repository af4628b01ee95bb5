// The bound on what attention alone keeps of the differences between rows (Dong, Cordonnier and Loukas 2021, theorem
// 2.3), computed for a model and an input, beside what is measured:
//
//   |res(X_L)| <= C^((3^L - 1) / 2) |res(X_0)|^(3^L)      C = 4 gamma beta H / sqrt(d)
//
// H heads of width d; beta is the largest |W_q W_k^T|_1 |W_v W_o| of a head. gamma ties how much a head's scores differ
// within a row to their size: with E = res(X) W_q W_k^T res(X)^T / sqrt(d), all of the scores that softmax notices, and
// D_i = max_j E_ij - min_j E_ij, it is the largest sqrt(sum_i D_i max_i D_i) / (2 |E|_1), the least for which the proof
// holds. A layer takes the residual r to at most C r^3, so the bound speaks of collapse only where C r^2 < 1; elsewhere
// it grows with depth and says nothing. Theirs is the residual around the best row; around the mean, as it is measured
// here, it is at most twice that.
#pragma once

#include <span>
#include <vector>

#include "triarch/model/model.h"
#include "triarch/study/study_report.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

struct AttentionBound {
  double beta = 0, gamma = 0;
  double factor = 0;                // C
  double spread = 0;                // the largest D_i; the proof asks for at most 1.256
  std::vector<double> residual;     // [layers + 1] |res(X_l)|, measured
  std::vector<double> ratio;        // [layers + 1] |res(X_l)| / |X_l|
  std::vector<double> log10_bound;  // [layers + 1]

  bool says_something() const { return factor * residual.front() * residual.front() < 1; }
};

constexpr double kLargestSpread = 1.256;  // exp(D) <= 1 + 2 D up to there

// Of an encoder without norms whose rows see both sides, its skips and feed-forward layers taken out; float64. Error
// for models that the theorem does not speak of (norms, rotations, masks, grouped heads).
AttentionBound attention_bound(Model& model, const Specials& specials, std::span<const int32_t> text);

// Bound and measurement of nets of three layers, by the deviation of their initial weights: table, finding, method.
void add_bound(int64_t width, int64_t length, int64_t seeds, std::span<const double> deviations, StudyReport& report);

}  // namespace triarch
