// A comparison for TensorBoard: a run for each trial, with its curve and what it ended at.
#pragma once

#include "triarch/study/compare.h"

namespace triarch {

// Writes <folder>/tensorboard/<trial>/events.out.tfevents..., in place of what was there.
void write_board(const Comparison& comparison);

}  // namespace triarch
