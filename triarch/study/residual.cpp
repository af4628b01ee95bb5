#include "triarch/study/residual.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/inference/packed.h"

namespace triarch {
namespace {

double norm_of(std::span<const double> rows, int64_t columns, bool centred) {
  require(columns > 0 && !rows.empty() && int64_t(rows.size()) % columns == 0,
          "residual: expected rows of {} numbers, found {} numbers", columns, rows.size());
  const int64_t n = int64_t(rows.size()) / columns;
  std::vector<double> by_row(size_t(n), 0.0);
  double widest = 0;
  for (int64_t c = 0; c < columns; ++c) {
    double mean = 0, sum = 0;
    for (int64_t r = 0; centred && r < n; ++r) mean += rows[size_t(r * columns + c)] / double(n);
    for (int64_t r = 0; r < n; ++r) {
      const double x = std::abs(rows[size_t(r * columns + c)] - mean);
      sum += x;
      by_row[size_t(r)] += x;
    }
    widest = std::max(widest, sum);
  }
  return std::sqrt(widest * std::ranges::max(by_row));
}

}  // namespace

double residual_norm(std::span<const double> rows, int64_t columns) { return norm_of(rows, columns, true); }

double residual_ratio(std::span<const double> rows, int64_t columns) {
  const double whole = norm_of(rows, columns, false);
  return whole > 0 ? norm_of(rows, columns, true) / whole : 0;
}

void for_each_layer(Model& model, const Specials& specials, const Example& example, const Surgery& surgery,
                    const std::function<void(int64_t layer, std::span<const double> rows)>& show) {
  model.surgery = surgery;
  model.observer = [&](const StackSpec& stack, int64_t layer, const ops::Residual& r) {
    if (&stack != &model.spec().last()) return;
    const Var& plain = model.spec().norm_place == NormPlace::post ? r.y : r.x;
    std::vector<double> rows = doubles_of(plain.value);
    if (!r.delta.empty()) {
      const std::vector<double> delta = doubles_of(r.delta.value);
      for (size_t i = 0; i < rows.size(); ++i) rows[i] += delta[i];
    }
    show(layer, rows);
  };
  packed(
      model, specials, 0, 1, [&](size_t) { return example; },
      [&](Context& ctx, const Batch& batch, size_t, size_t) { model.forward(ctx, batch); });
  model.observer = {};
  model.surgery = {};
}

}  // namespace triarch
