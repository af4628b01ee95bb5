#include "triarch/study/paths.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "triarch/base/error.h"
#include "triarch/study/beginning.h"
#include "triarch/study/decay.h"
#include "triarch/study/matrix.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/residual.h"

namespace triarch {

std::vector<int32_t> random_path(int64_t layers, int64_t heads, int64_t length, Draw& draw) {
  require(length >= 0 && length <= layers, "path: expected a length of 0 to {}, found {}", layers, length);
  std::vector<size_t> order(static_cast<size_t>(layers));
  std::iota(order.begin(), order.end(), size_t(0));
  draw.shuffle(order.data(), order.size());
  std::vector<int32_t> path(order.size(), Surgery::kLeftOut);
  for (int64_t i = 0; i < length; ++i) path[order[size_t(i)]] = int32_t(draw.below(uint64_t(heads)));
  return path;
}

std::vector<double> path_product(std::span<const AttentionMap> maps, std::span<const int32_t> path) {
  require(!maps.empty() && maps.size() == path.size(), "path: expected one of {} layers, found one of {}", maps.size(),
          path.size());
  const auto n = Eigen::Index(maps.front().queries.size());
  Matrix product = Matrix::Identity(n, n);
  for (size_t l = 0; l < path.size(); ++l) {
    if (path[l] == Surgery::kLeftOut) continue;
    const AttentionMap& m = maps[l];
    require(Eigen::Index(m.queries.size()) == n && Eigen::Index(m.keys.size()) == n && path[l] < m.heads,
            "path: expected maps of {0} x {0} rows and a head below {1}, found {2} x {3} and {4}", n, m.heads,
            m.queries.size(), m.keys.size(), path[l]);
    product = Eigen::Map<const Matrix>(m.probability.data() + path[l] * n * n, n, n) * product;
  }
  return {product.data(), product.data() + n * n};
}

std::vector<AttentionMap> self_maps(Model& model, const Specials& specials, const Example& example) {
  if (model.spec().family == Family::permutation) return {};
  std::vector<AttentionMap> maps = attention_maps(model, specials, example);
  const char* stack = model.spec().has_decoder() ? "decoder" : "encoder";
  std::erase_if(maps, [&](const AttentionMap& m) { return m.cross || m.stack != stack; });
  return maps;
}

namespace {

// The lengths that have a column: all, or as many as fit.
std::vector<int64_t> columns_of(int64_t layers) {
  std::vector<int64_t> out;
  for (int64_t l : {1, 2, 3, 4, 6, 8, 12, 16, 24}) {
    if (l < layers) out.push_back(l);
  }
  out.push_back(layers);
  return out;
}

}  // namespace

StudyTable paths_table(const std::string& title, int64_t layers) {
  StudyTable t{title + ": |res(P)| / |P|, by the layers that a path goes through", {"model"}, {}};
  for (int64_t l : columns_of(layers)) t.head.push_back(std::to_string(l));
  t.head.push_back("per layer");
  return t;
}

void add_paths(const std::string& title, std::span<const StudiedModel> models, int64_t samples, StudyTable& table,
               StudyChart& chart) {
  const int64_t layers = models.front().model->spec().last().layers;
  std::vector<std::vector<double>> logs(static_cast<size_t>(layers));  // of each length
  std::vector<double> factor;                                          // of each model
  for (size_t i = 0; i < models.size(); ++i) {
    const StudiedModel& m = models[i];
    std::vector<double> sums(static_cast<size_t>(layers), 0.0);
    for (size_t t = 0; t < m.texts.size(); ++t) {
      const std::vector<AttentionMap> maps =
          self_maps(*m.model, m.tokenizer->specials(), looked_at(m.model->spec(), m.texts[t]));
      if (maps.empty()) return;
      Draw draw(Key(1, Purpose::sampling).with(i).with(t));
      for (int64_t length = 1; length <= layers; ++length) {
        for (int64_t s = 0; s < samples; ++s) {
          const std::vector<double> p = path_product(maps, random_path(layers, maps.front().heads, length, draw));
          const double ratio = residual_ratio(p, int64_t(maps.front().keys.size()));
          logs[size_t(length - 1)].push_back(std::log10(std::max(ratio, 1e-17)));
          sums[size_t(length - 1)] += logs[size_t(length - 1)].back() / double(samples) / double(m.texts.size());
        }
      }
    }
    size_t last = 0;  // above rounding
    while (last + 1 < sums.size() && sums[last + 1] > std::log10(kRoundedRatio)) ++last;
    if (last > 0) factor.push_back(std::pow(10, (sums[last] - sums[0]) / double(last)));
  }
  StudySeries line;
  line.label = title;
  for (size_t l = 0; l < logs.size(); ++l) {
    line.x.push_back(double(l + 1));
    line.y.push_back(mean(logs[l]));
    line.low.push_back(quantile(logs[l], 0.1));
    line.high.push_back(quantile(logs[l], 0.9));
  }
  std::vector<std::string> row = {title};
  while (row.size() + 1 < table.head.size()) {
    const auto length = size_t(std::stoll(table.head[row.size()]));
    row.push_back(length <= line.y.size() ? fmt::format("{:.2g}", std::pow(10, line.y[length - 1])) : "-");
  }
  row.push_back(factor.empty() ? "-" : over_seeds(factor, "{:.2g}"));
  table.rows.push_back(row);
  chart.series.push_back(line);
}

std::string paths_finding(const StudyChart& chart) {
  std::string out =
      "Along a single path through all layers, what is left of one attention's differences between rows: ";
  for (const StudySeries& s : chart.series) {
    out += fmt::format("{}{:.0e} ({})", &s == &chart.series.front() ? "" : ", ", std::pow(10, s.y.back() - s.y.front()),
                       s.label);
  }
  return out + "; short paths keep rows apart.";
}

}  // namespace triarch
