#include "triarch/study/collapse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/signals.h"
#include "triarch/study/beginning.h"
#include "triarch/study/bound.h"
#include "triarch/study/decay.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/paths.h"
#include "triarch/study/residual.h"

namespace triarch {
namespace {

struct Sublayers {
  const char* name;
  Surgery surgery;
};
const Sublayers kSublayers[] = {{"attention alone", {false, false}},
                                {"with skips", {true, false}},
                                {"with feed-forward layers", {false, true}},
                                {"the whole model", {true, true}}};

// What a whole model keeps of what tells rows apart, as a share: less is a collapse, more is none.
constexpr double kCollapsed = 0.1, kNotCollapsed = 0.5;

using Ratios = std::vector<double>;  // before the first layer, and behind each

// Of each text of each model.
std::vector<Ratios> ratios(std::span<const StudiedModel> models, const Surgery& surgery) {
  std::vector<Ratios> out;
  for (const StudiedModel& m : models) {
    for (const std::vector<int32_t>& text : m.texts) {
      Ratios& r = out.emplace_back();
      for_each_layer(
          *m.model, m.tokenizer->specials(), looked_at(m.model->spec(), text), surgery,
          [&](int64_t, std::span<const double> rows) { r.push_back(residual_ratio(rows, m.model->spec().width)); });
    }
  }
  return out;
}

Ratios geometric_mean(const std::vector<Ratios>& runs) {
  Ratios out(runs.front().size(), 0.0);
  for (const Ratios& r : runs) {
    for (size_t i = 0; i < out.size(); ++i) out[i] += std::log(std::max(r[i], 1e-300)) / double(runs.size());
  }
  for (double& x : out) x = std::exp(x);
  return out;
}

std::vector<std::string> cells_of(const std::string& title, const char* part, const Ratios& r) {
  std::vector<std::string> row = {title, part};
  for (size_t i : {size_t(0), size_t(1), (r.size() - 1) / 2, r.size() - 1}) row.push_back(fmt::format("{:.2g}", r[i]));
  return row;
}
const std::vector<std::string> kHeads = {"model", "what of it", "before", "layer 1", "half way", "last layer"};

StudySeries line_of(const std::string& label, const Ratios& r) {
  StudySeries line;
  line.label = label;
  for (size_t l = 0; l < r.size(); ++l) {
    line.x.push_back(double(l));
    line.y.push_back(std::log10(std::max(r[l], 1e-17)));
  }
  return line;
}

// A row of the table of fits, over seeds or texts; what it says, as a clause.
std::string add_decay(const std::string& title, const std::vector<Ratios>& runs, StudyTable& table) {
  std::vector<double> factor, fit, cubic_fit, power;
  int64_t points = 0, doubly = 0;
  for (const Ratios& r : runs) {
    const std::optional<Decay> d = decay_of(r);
    if (!d) continue;
    factor.push_back(d->factor);
    fit.push_back(d->fit);
    cubic_fit.push_back(d->cubic_fit);
    power.push_back(d->power);
    points = std::max(points, d->points);
    doubly += d->doubly();
  }
  const auto n = int64_t(runs.size());
  if (int64_t(power.size()) < n) {
    table.rows.push_back({title, "below 3", "-", "-", "-", "-", "-"});
    return title + " too soon to tell";
  }
  table.rows.push_back({title, std::to_string(points), over_seeds(factor, "{:.2g}"), fmt::format("{:.3f}", mean(fit)),
                        fmt::format("{:.3f}", mean(cubic_fit)), over_seeds(power),
                        doubly == n   ? "doubly exponentially"
                        : doubly == 0 ? "exponentially"
                                      : fmt::format("doubly in {} of {}", doubly, n)});
  if (doubly == n) return fmt::format("{} doubly exponentially (power {})", title, over_seeds(power));
  if (doubly == 0) return fmt::format("{} exponentially (a layer multiplies by {})", title, over_seeds(factor));
  return title + " in no one form over the seeds";
}

}  // namespace

std::optional<StudyReport> collapse_study(std::span<const StudiedModel> models, const CollapseOptions& o) {
  for (const StudiedModel& m : models) {
    require(!m.texts.empty(), "study collapse: expected a text for {}, found none; try a smaller --length", m.title);
    if (m.model->parameters().precision().stream == m.model->parameters().precision().operand) continue;
    fail(ExitCode::usage, "study collapse: expected models in float32 or float64, found {} in bfloat16", m.title);
  }
  StudyReport r;
  r.name = "collapse";
  r.title = "Rank collapse";
  r.question = "Does attention alone make all rows alike, and what stops it?";
  r.source = "Dong, Cordonnier and Loukas, ICML 2021 (arXiv 2103.03404).";

  StudyTable begins{
      fmt::format("At the beginning: {} layers of width {}, {} seeds; |res(X)| / |X|", o.layers, o.width, o.seeds),
      kHeads,
      {}};
  StudyTable fits{"How the ratio of attention alone falls with depth",
                  {"rows see", "ratios", "multiplied by", "R2 of l", "R2 of 3^l", "power", "it falls"},
                  {}};
  StudyTable products = paths_table("At the beginning: products of attention matrices along random paths", o.layers);
  StudyChart fall{"Models as they begin: how far rows are from being alike, by layer", "layer", "log10 |res(X)| / |X|"};
  StudyChart by_path{"Models as they begin: products of attention matrices along random paths (band: 80 % of paths)",
                     "layers that the path goes through", "log10 |res(P)| / |P|"};
  const Tokenizer bytes;
  struct Kind {
    const char* title;
    Family family;
    Visibility visibility;
  };
  std::string left, form;
  std::vector<double> kept;  // by the whole model that sees both sides, in each seed
  for (const Kind& kind : {Kind{"both sides", Family::encoder, Visibility::full},
                           Kind{"forward and backward heads", Family::encoder, Visibility::forward_backward},
                           Kind{"causal", Family::causal, Visibility::causal}}) {
    std::vector<Beginning> begun;
    std::vector<StudiedModel> seeds;
    for (int64_t seed = 1; seed <= o.seeds; ++seed) {
      ModelSpec spec = preset("gpt2", kind.family, o.width, o.layers);
      if (kind.family == Family::encoder) spec.encoder.visibility = kind.visibility;
      begun.push_back(beginning(spec, kind.title, bytes, o.length, seed));
      seeds.push_back(begun.back().studied);
    }
    for (const Sublayers& of : kSublayers) {
      if (stop_signal() != 0) return std::nullopt;
      const std::vector<Ratios> runs = ratios(seeds, of.surgery);
      const Ratios ratio = geometric_mean(runs);
      begins.rows.push_back(cells_of(kind.title, of.name, ratio));
      // The two ends are drawn.
      if (of.surgery.skip != of.surgery.feed_forward) continue;
      fall.series.push_back(line_of(fmt::format("{}, {}", kind.title, of.name), ratio));
      if (of.surgery.skip) {
        for (const Ratios& run : kind.visibility == Visibility::full ? runs : std::vector<Ratios>{}) {
          kept.push_back(run.back() / run.front());
        }
        continue;
      }
      left += fmt::format("{}{:.0e} ({})", left.empty() ? "" : ", ", ratio.back(), kind.title);
      form += (form.empty() ? "" : "; ") + add_decay(kind.title, runs, fits);
    }
    add_paths(kind.title, seeds, std::max<int64_t>(1, o.paths / o.seeds), products, by_path);
  }
  r.tables = {begins, fits};
  r.charts = {fall};
  r.findings = {fmt::format("Attention alone makes rows alike. After {} layers, what is left of what tells them apart, "
                            "as a share of their size: {}.",
                            o.layers, left),
                "With depth it falls: " + form + "."};

  const Interval keeps = estimate_of(kept).interval();
  r.evidence = {
      {"collapse",
       kept.size() < 2             ? Verdict::undecided
       : keeps.high < kCollapsed   ? Verdict::supported
       : keeps.low > kNotCollapsed ? Verdict::contradicted
                                   : Verdict::undecided,
       fmt::format("Attention alone leaves, after {} layers: {}; but with its skips and feed-forward layers, as "
                   "models are, attention to both sides keeps {} of what tells tokens apart ({} seeds).",
                   o.layers, left, over_seeds(kept), o.seeds)}};

  add_bound(o.width, o.length, o.seeds, o.deviations, r);
  r.tables.push_back(products);
  r.charts.push_back(by_path);
  r.findings.push_back(paths_finding(by_path));

  if (!models.empty()) {
    StudyTable trained{"Models: the stack that predicts, over their texts", kHeads, {}};
    int64_t deepest = 0;
    for (const StudiedModel& m : models) deepest = std::max(deepest, m.model->spec().last().layers);
    StudyTable paths = paths_table("Models: products of attention matrices along random paths", deepest);
    StudyChart chart = by_path;
    chart.title = "Models: products of attention matrices along random paths (band: 80 % of paths)";
    chart.series.clear();
    for (const StudiedModel& m : models) {
      if (stop_signal() != 0) return std::nullopt;
      for (const Sublayers& of : kSublayers) {
        const std::vector<Ratios> runs = ratios({&m, 1}, of.surgery);
        trained.rows.push_back(cells_of(m.title, of.name, geometric_mean(runs)));
        const bool alone = !of.surgery.skip && !of.surgery.feed_forward;
        if (alone && m.model->spec().last().layers >= 4) add_decay(m.title, runs, r.tables[1]);
      }
      add_paths(m.title, {&m, 1}, std::max<int64_t>(1, o.paths / int64_t(m.texts.size())), paths, chart);
    }
    r.tables.push_back(trained);
    r.tables.push_back(paths);
    r.charts.push_back(chart);
  }
  r.method.insert(
      r.method.begin(),
      {"res(X) = X - 1 x, x the mean of the rows; |A| = sqrt of the largest column sum times the largest row sum of "
       "absolute values. Geometric means over seeds and texts.",
       "Taken out of the model as it is: a layer without its skip is f(norm(x)) in place of x + f(norm(x)); without "
       "feed-forward layers their sublayer is left out. Norms stay.",
       "At the beginning: preset gpt2 (whose weights of deviation 0.02 make attention nearly uniform), random tokens, "
       "float64.",
       fmt::format(
           "Falls: ln r = a + b l (exponentially) or a + b 3^l (doubly, as in the theorem), by the better R2 of "
           "least squares, over the ratios from the embedding on down to {:.0e}, below which they are rounding. "
           "Power: the slope of ln r behind a layer over ln r before it; 1 is exponential, the theorem's is 3. "
           "In each seed (of models of 4 layers and more: over each text), with its 95 % interval over them.",
           kRoundedRatio),
       fmt::format("Paths: {} of each length, a head in each of so many layers, all chosen at random; the matrices are "
                   "the whole model's own, multiplied in the order of the layers.",
                   o.paths)});
  r.limits.insert(
      r.limits.begin(),
      {fmt::format("Ratios below about {:.0e} are rounding.", kRoundedRatio),
       "Where rows see both sides, two or three layers pass before all is rounding: what fits them is decided by so "
       "few points.",
       "A trained model from which something was taken is another function than it was trained to be: its ratios say "
       "what its attention does, not how well it works. Intervals are over seeds of initial weights; of the models "
       "there is one of each."});
  return r;
}

double collapse_seconds(const CollapseOptions& o) {
  const Tokenizer bytes;
  const Beginning b = beginning(preset("gpt2", Family::encoder, o.width, o.layers), "", bytes, o.length, 1);
  StudyTable table = paths_table("", o.layers);
  StudyChart chart;
  Stopwatch watch;
  ratios({&b.studied, 1}, {false, false});
  const double pass = watch.seconds();
  watch.restart();
  add_paths("", {&b.studied, 1}, 1, table, chart);
  const double paths = watch.seconds();  // one of each length, with the maps
  return 3 * double(o.seeds) * (4 * pass + double(o.paths) / double(o.seeds) * paths);
}

}  // namespace triarch
