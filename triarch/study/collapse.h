// Rank collapse (Dong, Cordonnier and Loukas 2021, arXiv 2103.03404): attention alone makes all rows alike, doubly
// exponentially in depth; skips and feed-forward layers stop it.
//
//   res(X) = X - 1 mean(X)      ratio = |res(X)| / |X|, with |A| = sqrt(|A|_1 |A|_inf) (their figures' norm)
//
// Measured behind every layer of models whose skips or feed-forward layers are taken out.
#pragma once

#include <span>

#include "triarch/study/rank.h"

namespace triarch {

struct CollapseOptions {
  int64_t width = 64, layers = 12;  // of models as they begin
  int64_t length = 48;
  int64_t seeds = 4;
};

// Of models at their initial weights, for every visibility; and of the given ones, which may be none.
StudyReport collapse_study(std::span<const StudiedModel> models, const CollapseOptions& options = {});

// The ratio above of rows [rows][columns], 0 for zeros.
double residual_ratio(std::span<const double> rows, int64_t columns);

}  // namespace triarch
