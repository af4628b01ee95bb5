// Rank collapse (Dong, Cordonnier and Loukas 2021, arXiv 2103.03404): attention alone makes all rows alike, doubly
// exponentially in depth; skips and feed-forward layers stop it. Measured behind every layer of models whose skips or
// feed-forward layers are taken out (residual.h), fitted (decay.h), set beside the theorem (bound.h), and taken apart
// into paths through the heads (paths.h). The sorting toy is sorting.h.
#pragma once

#include <optional>
#include <span>

#include "triarch/study/rank.h"

namespace triarch {

struct CollapseOptions {
  int64_t width = 64, layers = 12;  // of models as they begin
  int64_t length = 48;
  int64_t seeds = 4;
  int64_t paths = 128;                                           // of each length, over all seeds or texts
  std::vector<double> deviations = {0.02, 0.05, 0.1, 0.2, 0.4};  // of initial weights, for the bound
};

// Of models at their initial weights, for every visibility; and of the given ones, which may be none. Nothing if
// a signal stopped it.
std::optional<StudyReport> collapse_study(std::span<const StudiedModel> models, const CollapseOptions& options = {});

// About what it will take without given models, from one seed with a few paths.
double collapse_seconds(const CollapseOptions& options);

}  // namespace triarch
