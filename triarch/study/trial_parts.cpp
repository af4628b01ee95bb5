#include "triarch/study/trial_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/study/adapt.h"
#include "triarch/study/workers.h"

namespace triarch {
namespace {

constexpr double kTimed = 0.2;  // seconds for which each kind of trial is timed
constexpr double kMore = 1.2;   // what evaluations add to training, about

int64_t tokens_of(const PlannedTrial& t) {
  double n = double(t.inputs->instructions ? t.inputs->instruction_tokens : 0);
  for (const Curriculum::Stage& s : t.inputs->stages) n += double(s.tokens);
  return int64_t(n * t.contender.token_share);
}

}  // namespace

std::string PlannedTrial::name() const {
  return setting.empty() ? fmt::format("{}.{}", contender.name, seed)
                         : fmt::format("{}.{}.{}", contender.name, setting, seed);
}

std::optional<std::vector<TrialResult>> run_trials(const StudyWork& work, std::span<const PlannedTrial> trials) {
  // One of each kind is timed.
  std::map<std::string, size_t> kinds;
  std::vector<const PlannedTrial*> timed;
  std::vector<size_t> kind;
  for (const PlannedTrial& t : trials) {
    const auto [at, fresh] =
        kinds.try_emplace(fmt::format("{} {} {}", t.contender.name, t.inputs->width, t.inputs->layers), timed.size());
    if (fresh) timed.push_back(&t);
    kind.push_back(at->second);
  }
  // Seconds where somebody wants to know, else operations: parts need costs in proportion only.
  std::vector<double> cost_per_token(timed.size());
  each_on_a_thread(work.jobs, int64_t(timed.size()), [&](int64_t i) {
    const TrialCost cost = trial_cost(timed[size_t(i)]->contender, *timed[size_t(i)]->inputs, work.say ? kTimed : 0);
    cost_per_token[size_t(i)] = work.say ? cost.seconds_per_token : cost.flops_per_token;
  });
  std::vector<Part> parts;
  double cost = 0, tokens = 0;
  for (size_t i = 0; i < trials.size(); ++i) {
    const int64_t n = tokens_of(trials[i]);
    parts.push_back({trials[i].name(), double(n) * cost_per_token[kind[i]], n});
    cost += parts.back().cost;
    tokens += double(n);
  }
  if (work.say) {
    work.say("plan", fmt::format("{} trials, {} tokens in all, about {} with {} at a time", trials.size(),
                                 human_count(tokens), human_duration(kMore * cost / work.jobs), work.jobs));
  }
  return work_on<TrialResult>(work, parts, [&](size_t i, const PartProgress& going) {
    TrialEvents events;
    events.progress = going;
    return run_trial(trials[i].contender, trials[i].seed, *trials[i].inputs, events);
  });
}

std::string failure_of(const Runs& runs) {
  for (const TrialResult* r : runs) {
    if (!r->failure.empty()) return fmt::format("{} (seed {})", r->failure, r->seed);
  }
  return "";
}

Estimate estimate_of(const Runs& runs, const std::function<double(const TrialResult&)>& figure) {
  std::vector<double> x;
  for (const TrialResult* r : runs) x.push_back(figure(*r));
  return estimate_of(x);
}

Estimate suffix_estimate(const Runs& runs, const SuffixSet& suffixes) {
  Measurements m;
  m.weights = suffixes.tokens;
  for (const TrialResult* r : runs) m.values.push_back(r->suffix_losses);
  m.check();
  return estimate(m);
}

Verdict verdict_on(const Difference& d, bool claimed_positive) {
  if (!d.significant()) return Verdict::undecided;
  return (d.mean > 0) == claimed_positive ? Verdict::supported : Verdict::contradicted;
}

Verdict verdict_on_all(std::span<const Difference> all, bool claimed_positive) {
  const bool above = !all.empty() && std::ranges::all_of(all, &Difference::above);
  const bool below = !all.empty() && std::ranges::all_of(all, &Difference::below);
  if (!above && !below) return Verdict::undecided;
  return above == claimed_positive ? Verdict::supported : Verdict::contradicted;
}

Verdict verdict_on_any(std::span<const Difference> all, bool claimed_positive) {
  const std::vector<bool> shown = claimed(all);
  int count[2] = {};  // contrary, as claimed
  for (size_t i = 0; i < all.size(); ++i) count[(all[i].mean > 0) == claimed_positive] += shown[i];
  if ((count[0] > 0) == (count[1] > 0)) return Verdict::undecided;
  return count[1] > 0 ? Verdict::supported : Verdict::contradicted;
}

void add_place(StudySeries& line, double x, const std::vector<double>& over_seeds) {
  line.x.push_back(x);
  line.y.push_back(mean(over_seeds));
  line.low.push_back(std::ranges::min(over_seeds));
  line.high.push_back(std::ranges::max(over_seeds));
}

StudySeries mean_curve(const std::string& label, std::span<const Places> over_seeds) {
  StudySeries s;
  s.label = label;
  const size_t points = std::ranges::min(over_seeds, {}, &Places::size).size();
  for (size_t i = 0; i < points; ++i) {
    std::vector<double> at;
    for (const Places& seed : over_seeds) {
      if (seed[i].second) at.push_back(*seed[i].second);
    }
    if (!at.empty()) add_place(s, over_seeds.front()[i].first, at);
  }
  if (over_seeds.size() < 2) s.low = s.high = {};
  return s;
}

StudySeries curve_of(const std::string& label, const Runs& runs,
                     const std::function<std::optional<double>(const CurvePoint&)>& figure) {
  std::vector<Places> over_seeds;
  for (const TrialResult* r : runs) {
    Places& seed = over_seeds.emplace_back();
    for (const CurvePoint& p : r->curve) seed.emplace_back(double(p.tokens), figure(p));
  }
  return mean_curve(label, over_seeds);
}

std::optional<double> tokens_to(const TrialResult& run, double level,
                                const std::function<std::optional<double>(const CurvePoint&)>& figure) {
  std::vector<LossPoint> curve;
  for (const CurvePoint& p : run.curve) {
    if (const auto y = figure(p)) curve.push_back({p.tokens, *y});
  }
  return tokens_to(curve, level);
}

}  // namespace triarch
