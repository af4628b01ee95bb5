#include "triarch/study/bound.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/study/beginning.h"
#include "triarch/study/decay.h"
#include "triarch/study/matrix.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/residual.h"

namespace triarch {
namespace {

double columns_norm(const Matrix& m) { return m.cwiseAbs().colwise().sum().maxCoeff(); }  // |.|_1
double rows_norm(const Matrix& m) { return m.cwiseAbs().rowwise().sum().maxCoeff(); }     // |.|_inf

Matrix weight_of(Model& model, int64_t layer, const char* name) {
  const Parameter* p = model.parameters().find(fmt::format("encoder.layers.{}.self.{}.weight", layer, name));
  require(p, "bound: expected a layer {} with {}, found none", layer, name);
  return Eigen::Map<const Matrix>(p->value.data<double>(), p->rows, p->cols);
}

void check(const Model& model) {
  const ModelSpec& s = model.spec();
  require(model.parameters().precision() == Precision::float64(), "bound: expected a model in float64");
  require(s.family == Family::encoder && s.encoder.visibility == Visibility::full && s.encoder.window == 0 &&
              s.norm == NormKind::none && s.norm_place == NormPlace::pre && !s.embedding_norm &&
              s.kv_heads == s.heads && (s.position == PositionKind::none || s.position == PositionKind::learned),
          "bound: expected an encoder whose rows see all, without norms and without rotated or biased scores; the "
          "theorem does not speak of others");
}

}  // namespace

AttentionBound attention_bound(Model& model, const Specials& specials, std::span<const int32_t> text) {
  check(model);
  const ModelSpec& spec = model.spec();
  const int64_t d = spec.head_dim;
  AttentionBound out;
  const auto look = [&](int64_t layer, std::span<const double> values) {
    out.residual.push_back(residual_norm(values, spec.width));
    out.ratio.push_back(residual_ratio(values, spec.width));
    if (layer == spec.encoder.layers) return;
    Matrix rows = Eigen::Map<const Matrix>(values.data(), Eigen::Index(values.size()) / spec.width, spec.width);
    rows.rowwise() -= rows.colwise().mean().eval();
    const Matrix qkv = weight_of(model, layer, "qkv"), project = weight_of(model, layer, "out");
    for (int64_t h = 0; h < spec.heads; ++h) {
      const auto part = [&](int64_t which) { return qkv.middleRows((which * spec.heads + h) * d, d); };
      const Matrix looks = part(0).transpose() * part(1);
      const Matrix moves = part(2).transpose() * project.middleCols(h * d, d).transpose();
      out.beta = std::max(out.beta, columns_norm(looks) * std::sqrt(columns_norm(moves) * rows_norm(moves)));
      const Matrix scores = spec.score_scale() * (rows * looks * rows.transpose());
      const Eigen::VectorXd spread = scores.rowwise().maxCoeff() - scores.rowwise().minCoeff();
      out.spread = std::max(out.spread, spread.maxCoeff());
      if (const double size = columns_norm(scores); size > 0) {
        out.gamma = std::max(out.gamma, std::sqrt(spread.sum() * spread.maxCoeff()) / (2 * size));
      }
    }
  };
  Example example;
  example.source.assign(text.begin(), text.end());
  example.labels.assign(text.size(), -1);
  for_each_layer(model, specials, example, {false, false}, look);
  out.factor = 4 * out.gamma * out.beta * double(spec.heads) * spec.score_scale();
  for (size_t l = 0; l < out.residual.size(); ++l) {
    const double cubed = std::pow(3.0, double(l));
    out.log10_bound.push_back((cubed - 1) / 2 * std::log10(out.factor) + cubed * std::log10(out.residual.front()));
  }
  return out;
}

void add_bound(int64_t width, int64_t length, int64_t seeds, std::span<const double> deviations, StudyReport& r) {
  constexpr int64_t layers = 3;
  const Tokenizer bytes;
  StudyTable table{
      fmt::format("The theorem's bound on |res(X)| by the deviation of weights: measured / bound, as shares "
                  "of the input's; rows see both sides, no norms, {} layers of width {}, {} seeds",
                  layers, width, seeds),
      {"deviation", "C |res|^2", "layer 1", "layer 2", "layer 3", "power", "D", "it says"},
      {}};
  std::vector<double> speaks;
  int64_t speaking = 0, vacuous = 0, exceeded = 0;  // layers of nets that the theorem applies to
  for (double deviation : deviations) {
    ModelSpec spec = preset("gpt2", Family::encoder, width, layers);
    spec.norm = NormKind::none;
    spec.init_std = deviation;
    std::vector<double> measured(layers + 1, 0.0), bound(layers + 1, 0.0);  // log10, mean over seeds
    double entry = 0, spread = 0;
    std::vector<double> order;
    bool rounded = false;
    for (int64_t seed = 1; seed <= seeds; ++seed) {
      const Beginning b = beginning(spec, "both sides", bytes, length, seed);
      const AttentionBound x = attention_bound(*b.model, bytes.specials(), b.studied.texts[0]);
      entry = std::max(entry, x.factor * x.residual[0] * x.residual[0]);
      spread = std::max(spread, x.spread);
      for (size_t l = 0; l <= layers; ++l) {
        measured[l] += std::log10(x.residual[l] / x.residual[0]) / double(seeds);
        bound[l] += (x.log10_bound[l] - std::log10(x.residual[0])) / double(seeds);
        if (x.ratio[l] < kRoundedRatio) {
          rounded = true;
        } else if (l > 0 && x.spread <= kLargestSpread) {  // before the first layer both are the same number
          ++(x.says_something() ? speaking : vacuous);
          exceeded += std::log10(x.residual[l] / 2) > x.log10_bound[l];
        }
      }
      const auto fall = [&](size_t l) { return std::log(x.residual[l] / x.residual[l - 1]); };
      if (x.ratio[2] >= kRoundedRatio) order.push_back(fall(2) / fall(1));
    }
    if (entry < 1) speaks.push_back(deviation);
    std::vector<std::string> row = {fmt::format("{}", deviation), fmt::format("{:.1e}", entry)};
    for (size_t l = 1; l <= layers; ++l) {
      row.push_back(fmt::format("1e{:.1f} / 1e{:.1f}", measured[l], bound[l]));
    }
    row.push_back(int64_t(order.size()) < seeds ? "rounding" : over_seeds(order));
    row.push_back(fmt::format("{:.2g}", spread));
    row.push_back(entry >= 1 ? "nothing" : rounded ? "collapse, to rounding" : "collapse");
    table.rows.push_back(row);
  }
  r.tables.push_back(table);
  const auto all = [&] { return fmt::format("{} to {}", deviations.front(), deviations.back()); };
  r.findings.push_back(
      fmt::format("The theorem's bound {} {} layers where it says something and {} where it is vacuous; ",
                  exceeded == 0 ? std::string("held behind all") : fmt::format("was exceeded {} times, of", exceeded),
                  speaking, vacuous) +
      (speaks.empty() ? fmt::format("at none of the deviations of weights tried ({}) does it say anything.", all())
       : speaks.size() == deviations.size()
           ? fmt::format("at all deviations of weights tried ({}) it says that rows collapse.", all())
           : fmt::format("it says that rows collapse up to weights of deviation {}; beyond, C |res|^2 passes 1, the "
                         "bound grows with depth, and says nothing, whatever is measured.",
                         speaks.back())));
  r.method.push_back(fmt::format(
      "Bound: |res(X_L)| <= C^((3^L - 1) / 2) |res(X)|^(3^L), C = 4 gamma beta H / sqrt(d) (theorem 2.3), with beta "
      "from the weights and gamma the least that their proof allows for the scores at hand; the proof asks that scores "
      "differ by at most {} within a row (D; beyond, it is no bound). Means over seeds of "
      "logarithms; the largest C |res|^2 and D. Power: ln of what layer 2 leaves over ln of what layer 1 leaves.",
      kLargestSpread));
  r.limits.push_back(
      "The theorem is about attention without norms, whose rows see both sides: it does not speak of the other models "
      "here. Norms keep rows large, where it says nothing.");
}

}  // namespace triarch
