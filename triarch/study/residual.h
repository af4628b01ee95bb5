// How far the rows of a matrix are from being alike (Dong, Cordonnier and Loukas 2021):
//
//   res(X) = X - 1 x      x the mean of the rows
//   |A| = sqrt(|A|_1 |A|_inf)      the largest column sum and the largest row sum of absolute values
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "triarch/data/example.h"
#include "triarch/model/model.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// |res(X)| of rows [rows][columns].
double residual_norm(std::span<const double> rows, int64_t columns);
// |res(X)| / |X|, 0 for zeros.
double residual_ratio(std::span<const double> rows, int64_t columns);

// Shows the rows [rows][width] of the stack that predicts, before its first layer (layer 0) and behind each, of a model
// of which something was taken out. They are the residual stream where norms come first, normalised rows where they
// come last.
void for_each_layer(Model& model, const Specials& specials, const Example& example, const Surgery& surgery,
                    const std::function<void(int64_t layer, std::span<const double> rows)>& show);

}  // namespace triarch
