#include "triarch/study/collapse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "triarch/base/error.h"
#include "triarch/inference/packed.h"

namespace triarch {
namespace {

struct Part {
  const char* name;
  Surgery surgery;
};
constexpr Part kParts[] = {{"attention alone", {false, false}},
                           {"with skips", {true, false}},
                           {"with feed-forward layers", {false, true}},
                           {"the whole model", {true, true}}};

// [layers + 1] ratios of the stack that predicts, before the first layer and behind each.
std::vector<double> ratios(Model& model, const Specials& specials, const std::vector<int32_t>& text, Surgery surgery) {
  std::vector<double> out;
  model.surgery = surgery;
  model.observer = [&](const StackSpec& stack, int64_t, const ops::Residual& r) {
    if (&stack != &model.spec().last()) return;
    const Var& plain = model.spec().norm_place == NormPlace::post ? r.y : r.x;
    std::vector<double> rows = doubles_of(plain.value);
    if (!r.delta.empty()) {
      const std::vector<double> delta = doubles_of(r.delta.value);
      for (size_t i = 0; i < rows.size(); ++i) rows[i] += delta[i];
    }
    out.push_back(residual_ratio(rows, model.spec().width));
  };
  const Example example = looked_at(model.spec(), text);
  packed(
      model, specials, 0, 1, [&](size_t) { return example; },
      [&](Context& ctx, const Batch& batch, size_t, size_t) { model.forward(ctx, batch); });
  model.observer = {};
  model.surgery = {};
  return out;
}

// Geometric means over texts.
std::vector<double> mean_ratios(std::span<const StudiedModel> models, Surgery surgery) {
  std::vector<double> logs;
  double n = 0;
  for (const StudiedModel& m : models) {
    for (const std::vector<int32_t>& text : m.texts) {
      const std::vector<double> r = ratios(*m.model, m.tokenizer->specials(), text, surgery);
      logs.resize(r.size(), 0.0);
      for (size_t i = 0; i < r.size(); ++i) logs[i] += std::log(std::max(r[i], 1e-300));
      n += 1;
    }
  }
  for (double& x : logs) x = std::exp(x / n);
  return logs;
}

std::vector<std::string> cells_of(const std::string& title, const char* part, const std::vector<double>& r) {
  std::vector<std::string> row = {title, part};
  for (size_t i : {size_t(0), size_t(1), (r.size() - 1) / 2, r.size() - 1}) row.push_back(fmt::format("{:.2g}", r[i]));
  return row;
}
const std::vector<std::string> kHeads = {"model", "what of it", "before", "layer 1", "half way", "last layer"};

}  // namespace

double residual_ratio(std::span<const double> rows, int64_t columns) {
  require(columns > 0 && !rows.empty() && int64_t(rows.size()) % columns == 0,
          "residual: expected rows of {} numbers, found {} numbers", columns, rows.size());
  const int64_t n = int64_t(rows.size()) / columns;
  // sqrt of the largest column sum times the largest row sum.
  const auto norm = [&](bool centred) {
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
  };
  const double whole = norm(false);
  return whole > 0 ? norm(true) / whole : 0;
}

StudyReport collapse_study(std::span<const StudiedModel> models, const CollapseOptions& o) {
  StudyReport r;
  r.name = "collapse";
  r.title = "Rank collapse";
  r.question = "Does attention alone make all rows alike, and what stops it?";
  r.source = "Dong, Cordonnier and Loukas, ICML 2021 (arXiv 2103.03404).";

  StudyTable table{
      fmt::format("At the beginning: {} layers of width {}, {} seeds; |res(X)| / |X|", o.layers, o.width, o.seeds),
      kHeads,
      {}};
  StudyChart chart{"Models as they begin: how far rows are from being alike, by layer", "layer",
                   "log10 |res(X)| / |X|"};
  const Tokenizer bytes;
  struct Kind {
    const char* title;
    Family family;
    Visibility visibility;
  };
  std::map<std::string, double> last;  // of attention alone
  for (const Kind& kind : {Kind{"both sides", Family::encoder, Visibility::full},
                           Kind{"forward and backward heads", Family::encoder, Visibility::forward_backward},
                           Kind{"causal", Family::causal, Visibility::causal}}) {
    std::vector<std::unique_ptr<Model>> made;
    std::vector<StudiedModel> studied;
    for (int64_t seed = 1; seed <= o.seeds; ++seed) {
      ModelSpec spec = preset("gpt2", kind.family, o.width, o.layers);
      if (kind.family == Family::encoder) spec.encoder.visibility = kind.visibility;
      spec.vocabulary = bytes.vocabulary();
      spec.max_positions = o.length + 8;
      made.push_back(std::make_unique<Model>(spec, Precision::float64(), false));
      made.back()->parameters().initialise(uint64_t(seed));
      std::vector<int32_t> text;
      Draw draw(Key(uint64_t(seed), Purpose::test));
      const int32_t first = bytes.specials().size();
      for (int64_t i = 0; i < o.length; ++i) {
        text.push_back(first + int32_t(draw.below(uint64_t(bytes.vocabulary() - first))));
      }
      studied.push_back({kind.title, made.back().get(), &bytes, {text}});
    }
    for (const Part& part : kParts) {
      const std::vector<double> ratio = mean_ratios(studied, part.surgery);
      table.rows.push_back(cells_of(kind.title, part.name, ratio));
      // The two ends are drawn.
      if (part.surgery.skip != part.surgery.feed_forward) continue;
      if (!part.surgery.skip) last[kind.title] = ratio.back();
      StudySeries line;
      line.label = fmt::format("{}, {}", kind.title, part.name);
      for (size_t l = 0; l < ratio.size(); ++l) {
        line.x.push_back(double(l));
        line.y.push_back(std::log10(std::max(ratio[l], 1e-17)));
      }
      chart.series.push_back(line);
    }
  }
  r.tables.push_back(table);
  r.charts.push_back(chart);
  r.findings.push_back(
      fmt::format("Attention alone makes rows alike: after {} layers {:.0e} of their size is left of what tells them "
                  "apart where tokens see "
                  "both sides, {:.0e} with forward and backward heads, {:.0e} where they see the left only.",
                  o.layers, last["both sides"], last["forward and backward heads"], last["causal"]));

  if (!models.empty()) {
    StudyTable trained{"Models: the stack that predicts, over their texts", kHeads, {}};
    for (const StudiedModel& m : models) {
      if (m.model->parameters().precision().stream != m.model->parameters().precision().operand) {
        fail(ExitCode::usage, "study collapse: expected models in float32 or float64, found {} in bfloat16", m.title);
      }
      for (const Part& part : kParts) {
        trained.rows.push_back(cells_of(m.title, part.name, mean_ratios({&m, 1}, part.surgery)));
      }
    }
    r.tables.push_back(trained);
  }
  r.method = {
      "res(X) = X - 1 x, x the mean of the rows; |A| = sqrt of the largest column sum times the largest row sum of "
      "absolute "
      "values. Geometric means over seeds and texts.",
      "Taken out of the model as it is: a layer without its skip is f(norm(x)) in place of x + f(norm(x)); without "
      "feed-forward layers their sublayer is left out. Norms stay.",
      "At the beginning: preset gpt2 (whose weights of deviation 0.02 make attention nearly uniform), random tokens, "
      "float64."};
  r.limits = {
      "Ratios below about 1e-16 are rounding.",
      "A trained model from which something was taken is another function than it was trained to be: its ratios say "
      "what its attention does, not how well it works."};
  r.command = "triarch study collapse";
  return r;
}

}  // namespace triarch
