#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "triarch/study/contender.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/regression.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

using RegressionSeeds = std::span<const RegressionResult>;
using Curve = std::vector<double> RegressionResult::*;

std::vector<double> at(RegressionSeeds seeds, Curve curve, size_t k) {
  std::vector<double> out;
  for (const RegressionResult& r : seeds) out.push_back((r.*curve)[k]);
  return out;
}

// Mean over numbers of pairs, of each seed.
std::vector<double> whole(RegressionSeeds seeds, Curve curve) {
  std::vector<double> out;
  for (const RegressionResult& r : seeds) out.push_back(mean(r.*curve));
  return out;
}

std::string text_of(double x) { return fmt::format("{:.3f}", x); }

}  // namespace

StudyReport regression_report(const RegressionOptions& o, const RegressionMethods& methods,
                              std::span<const RegressionResult> results) {
  StudyReport r;
  r.name = "regression";
  r.title = "In-context linear regression";
  r.question =
      "Does it matter whether the pairs that are shown see one another (prefix) or only what precedes (causal)?";
  r.source =
      "Ding et al. 2023 (arXiv 2308.06912): prefix LMs converge to least squares, causal ones follow online gradient "
      "descent and underperform in all their settings; Garg et al. 2022 (arXiv 2208.01066).";
  const std::vector<int64_t> counts = o.counts();
  const std::vector<RegressionSeeds> families = grouped(results, [](const RegressionResult& x) { return x.family; });

  StudyTable errors{"Mean squared error by number of pairs (1: nothing known)", {"pairs"}, {}};
  StudyTable nearest{"Whose answers are theirs: mean squared distance",
                     {"model", "pairs", "to least squares", "to online descent", "to one step"},
                     {}};
  StudyChart chart{"Mean squared error by number of pairs", "pairs", "mean squared error"};
  const std::pair<std::string, const std::vector<double>*> known[] = {
      {"least squares", &methods.least_squares},
      {"online descent", &methods.online},
      {"one step", &methods.descent},
      {fmt::format("{} steps", o.layers), &methods.steps}};
  for (const RegressionSeeds& f : families) {
    errors.head.push_back(title_of(f.front().family));
    for (size_t k = 0; k < counts.size(); ++k) {
      nearest.rows.push_back({title_of(f.front().family), std::to_string(counts[k])});
      for (Curve c :
           {&RegressionResult::from_least_squares, &RegressionResult::from_online, &RegressionResult::from_descent}) {
        nearest.rows.back().push_back(over_seeds(at(f, c, k), "{:.3f}", 1, kPositive));
      }
    }
    StudySeries line{title_of(f.front().family), {counts.begin(), counts.end()}, {}, {}, {}};
    for (size_t k = 0; k < counts.size(); ++k) line.y.push_back(mean(at(f, &RegressionResult::error, k)));
    chart.series.push_back(line);
  }
  if (families.size() == 2) {
    errors.head.push_back("difference");
    errors.title += fmt::format("; difference: {} minus {}", title_of(families[0].front().family),
                                title_of(families[1].front().family));
  }
  for (const auto& [name, curve] : known) {
    errors.head.push_back(name);
    chart.series.push_back({name, {counts.begin(), counts.end()}, *curve, {}, {}});
  }
  for (size_t k = 0; k < counts.size(); ++k) {
    std::vector<std::string> row = {std::to_string(counts[k])};
    for (const RegressionSeeds& f : families)
      row.push_back(over_seeds(at(f, &RegressionResult::error, k), "{:.3f}", 1, kPositive));
    if (families.size() == 2) {
      row.push_back(over_seeds(
          minus(at(families[0], &RegressionResult::error, k), at(families[1], &RegressionResult::error, k)), "{:.3f}"));
    }
    for (const auto& [name, curve] : known) row.push_back(text_of((*curve)[k]));
    errors.rows.push_back(row);
  }
  r.tables = {errors, nearest};
  r.charts = {chart};

  if (families.size() == 2) {
    const Difference d =
        paired(whole(families[0], &RegressionResult::error), whole(families[1], &RegressionResult::error));
    r.evidence = {{"prefix_in_context", verdict_on(d, true),
                   fmt::format("Squared error of in-context linear regression, causal minus prefix decoder, over all "
                               "numbers of pairs: {} ({} dimensions, {} seeds).",
                               in_words(d), o.dimensions, families[0].size())}};
    const std::string a = title_of(families[0].front().family), b = title_of(families[1].front().family);
    r.findings.push_back(fmt::format(
        "Over all numbers of pairs, the error of {} - {} is {}: {}.", a, b, in_words(d),
        told(d, fmt::format("the {} has the smaller one", b), fmt::format("the {} has the smaller one", a))));
    std::vector<Difference> by_count;
    for (size_t k = 0; k < counts.size(); ++k) {
      by_count.push_back(
          paired(at(families[0], &RegressionResult::error, k), at(families[1], &RegressionResult::error, k)));
    }
    std::vector<int64_t> a_better, b_better;
    const std::vector<bool> shown = claimed(by_count);
    for (size_t k = 0; k < counts.size(); ++k) {
      if (shown[k]) (by_count[k].mean > 0 ? b_better : a_better).push_back(counts[k]);
    }
    const auto with = [](const std::vector<int64_t>& n) {
      return n.empty() ? std::string("no number of pairs")
                       : fmt::format("{} pair{}", fmt::join(n, ", "), n.back() == 1 ? "" : "s");
    };
    r.findings.push_back(fmt::format("Number by number: the {} is shown to be better with {}, the {} with {}.", b,
                                     with(b_better), a, with(a_better)));
    const size_t last = counts.size() - 1;
    r.findings.push_back(fmt::format(
        "With {} pairs the error is {:.3f} ({}) and {:.3f} ({}); least squares {:.3f}, online "
        "descent {:.3f}.",
        counts.back(), mean(at(families[0], &RegressionResult::error, last)), a,
        mean(at(families[1], &RegressionResult::error, last)), b, methods.least_squares.back(), methods.online.back()));
  }
  for (const RegressionSeeds& f : families) {
    const Difference to_online =
        paired(whole(f, &RegressionResult::from_online), whole(f, &RegressionResult::from_least_squares));
    r.findings.push_back(fmt::format(
        "The {}'s answers, to which of both they are nearer: {}; mean squared distance {:.3f} from least squares, "
        "{:.3f} from online descent.",
        title_of(f.front().family), told(to_online, "least squares", "online gradient descent"),
        mean(whole(f, &RegressionResult::from_least_squares)), mean(whole(f, &RegressionResult::from_online))));
  }
  r.method = {
      fmt::format(
          "y = w.x without noise, {} dimensions, x standard normal, w normal with y of variance 1. A row is a pair "
          "(x, y) or a question (x, nothing), as a feature vector; no positions. {} steps of {} sequences, of 1 to "
          "{} pairs and {} questions; the same sequences for both families, which differ in what pairs see and in "
          "nothing else. Width {}, {} layers, {} seeds.",
          o.dimensions, o.steps, o.sequences, o.pairs, o.questions, o.width, o.layers, o.seeds),
      fmt::format(
          "y is predicted as one of {} bins between -{} and {} with cross-entropy, and the answer is the expected "
          "value (as Mueller et al. 2022, arXiv 2112.10510): a model may say how sure it is, and its answers are "
          "finer than the bins.",
          o.bins, o.limit, o.limit),
      fmt::format("{} tasks, the same for all. Least squares: least norm where pairs do not decide, which is the best "
                  "possible here. Descent from w = 0, online (a step for each pair), one step "
                  "or as many as layers on all pairs; the rate is the best on {} other tasks for each number of pairs. "
                  "Intervals: over seeds, 95 %; differences seed by seed, and number by number by Holm's correction "
                  "over all numbers of pairs.",
                  o.tasks, o.validation_tasks)};
  r.limits = {
      "Errors fall with steps: this is how far so many lead, not where the families converge, which is what the "
      "paper's theorems are about.",
      "Questions see earlier questions (without their values), in both families.",
      fmt::format("The paper's models have 24 layers and more dimensions; {} seeds find large differences only.",
                  o.seeds)};
  return r;
}

std::optional<StudyReport> regression_study(const RegressionOptions& o, const StudyWork& work) {
  const RegressionMethods methods = regression_methods(o);
  std::vector<Part> parts;
  std::vector<std::pair<Family, uint64_t>> of;
  for (Family f : {Family::causal, Family::prefix}) {
    for (int64_t seed = 1; seed <= o.seeds; ++seed) {
      parts.push_back({fmt::format("{}-{}", enum_name(f), seed), 1, 0});
      of.emplace_back(f, uint64_t(seed));
    }
  }
  const auto results = work_on<RegressionResult>(work, parts, [&](size_t i, const PartProgress& going) {
    return regression_trial(of[i].first, of[i].second, o, methods, going);
  });
  return results ? std::optional(regression_report(o, methods, *results)) : std::nullopt;
}

}  // namespace triarch
