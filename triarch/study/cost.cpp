#include "triarch/study/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/study/compare.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

constexpr double kFinetuned = 3.0 / 11;  // share of the tokens where there is finetuning: three for every eight

constexpr double kAboveChance = 0.08;  // of the best, for a target of right answers to say anything

struct Moment {
  Spent spent;
  const CurvePoint* point;
};

// The points of all stages, with what was spent since the beginning.
std::vector<Moment> course_of(const TrialResult& run) {
  std::vector<Moment> out;
  const auto add = [&](const TrialCounters& before, const std::vector<CurvePoint>& curve) {
    for (const CurvePoint& p : curve) {
      out.push_back({{double(before.tokens + p.tokens), double(before.examples + p.examples), before.flops + p.flops,
                      before.seconds + p.seconds},
                     &p});
    }
  };
  add({}, run.curve);
  for (const Finetuned& f : run.finetuned) add(run, f.curve);
  return out;
}

// A family trained in one way, with all seeds.
struct Entry {
  std::string title;   // "causal decoder (next token), finetuned"
  std::string family;  // without the way
  bool finetuned = false;
  Runs runs;

  // Of each seed, where it ends; nothing if it has no such figure.
  std::vector<double> last(const CurveFigure& figure) const {
    std::vector<double> out;
    for (const TrialResult* r : runs) {
      const std::vector<Moment> course = course_of(*r);
      if (const auto y = course.empty() ? std::nullopt : figure(*course.back().point)) out.push_back(*y);
    }
    return out;
  }
};

// What is to be reached.
struct Target {
  std::string title;  // "a suffix loss of 2.10 nats per token"
  double level = 0;
  bool less_is_better = false;
  CurveFigure figure;
};

class Prices {
 public:
  Prices(StudyReport& report, const CostOptions& options, std::vector<Entry> entries)
      : r_(report), o_(options), entries_(std::move(entries)) {}

  // On whether a causal decoder is cheapest.
  void conclude() {
    if (!figure_.empty()) r_.evidence.push_back({"training_cost", cheapest(reached_), figure_ + "."});
  }

  void price(const Target& t) {
    StudyTable table{
        "To reach " + t.title,
        {"", "seeds", "tokens", "labelled examples", "FLOPs", "seconds", fmt::format("J at {} W", o_.watts)},
        {}};
    std::vector<Priced> reached;
    std::string missed;
    for (const Entry& e : entries_) {
      if (e.last(t.figure).empty()) continue;  // it has no such figure
      std::vector<Spent> spent;
      std::vector<double> logs;
      for (const TrialResult* run : e.runs) {
        if (const auto s = spent_until(*run, t.level, t.less_is_better, t.figure)) {
          spent.push_back(*s);
          logs.push_back(std::log(s->flops));
        }
      }
      const Spent whole = course_of(*e.runs.front()).back().spent;
      std::vector<std::string> row = {e.title, fmt::format("{} of {}", spent.size(), e.runs.size())};
      if (spent.empty()) {
        row.insert(row.end(), {fmt::format("not reached within {}", human_count(whole.tokens)), "",
                               fmt::format("> {}", human_count(whole.flops)), "", ""});
      } else {
        Spent m;
        for (const Spent& s : spent) {
          const double n = double(spent.size());
          m.tokens += s.tokens / n, m.examples += s.examples / n, m.flops += s.flops / n, m.seconds += s.seconds / n;
        }
        row.insert(row.end(), {human_count(m.tokens), human_count(m.examples), human_count(m.flops),
                               fmt::format("{:.1f}", m.seconds), fmt::format("{:.0f}", m.seconds * o_.watts)});
      }
      table.rows.push_back(row);
      if (spent.size() == e.runs.size()) {
        reached.push_back({&e, logs});
      } else {
        missed +=
            fmt::format("{}{} ({} of {} seeds)", missed.empty() ? "" : "; ", e.title, spent.size(), e.runs.size());
      }
    }
    if (table.rows.empty()) return;
    r_.tables.push_back(table);

    judge(t, reached);
    std::string sentence;
    if (reached.empty()) {
      sentence = fmt::format("None reaches {} with every seed.", t.title);
    } else {
      const Priced& best = *std::ranges::min_element(reached, {}, [](const Priced& p) { return mean(p.log_flops); });
      sentence = fmt::format("To reach {} the {} needs the fewest operations on average", t.title, best.entry->title);
      std::string others;
      for (const Priced& p : reached) {
        if (&p == &best) continue;
        others += fmt::format("{}{} {}", others.empty() ? "; times as many: " : "; ", p.entry->title,
                              times(paired(p.log_flops, best.log_flops)));
      }
      sentence += others + ".";
    }
    if (!missed.empty()) {
      sentence +=
          fmt::format(" Not reached within {} tokens with every seed: {}.", human_count(double(o_.tokens)), missed);
    }
    r_.findings.push_back(sentence);

    // The two ways of one family.
    for (const Entry& e : entries_) {
      if (e.finetuned) continue;
      const auto way = [&](bool finetuned) {
        return std::ranges::find_if(
            reached, [&](const Priced& p) { return p.entry->family == e.family && p.entry->finetuned == finetuned; });
      };
      const auto alone = way(false), with = way(true);
      if (alone == reached.end() || with == reached.end()) continue;
      r_.findings.push_back(
          fmt::format("To reach {}, {}: operations with finetuning as multiples of those of pretraining alone: {}.",
                      t.title, e.family, times(paired(with->log_flops, alone->log_flops))));
    }
  }

  void chart(const std::string& title, const std::string& y, const CurveFigure& figure,
             const std::vector<Target>& targets) {
    StudyChart chart{title, "training FLOPs", y, true};
    for (const Entry& e : entries_) {
      if (e.last(figure).empty()) continue;
      std::vector<Places> seeds;
      for (const TrialResult* r : e.runs) {
        Places& seed = seeds.emplace_back();
        for (const Moment& m : course_of(*r)) seed.emplace_back(m.spent.flops, figure(*m.point));
      }
      chart.series.push_back(mean_curve(e.title, seeds));
    }
    if (chart.series.empty()) return;
    for (const Target& t : targets) chart.levels.push_back({t.title, t.level});
    r_.charts.push_back(chart);
  }

  // Where the entries end: the means of all, and of all seeds.
  struct Ends {
    std::vector<double> means, seeds;
  };
  Ends ends(const CurveFigure& figure) const {
    Ends out;
    for (const Entry& e : entries_) {
      const std::vector<double> last = e.last(figure);
      if (last.empty()) continue;
      out.means.push_back(mean(last));
      out.seeds.insert(out.seeds.end(), last.begin(), last.end());
    }
    return out;
  }

 private:
  struct Priced {
    const Entry* entry;
    std::vector<double> log_flops;  // of each seed
  };

  void judge(const Target& t, const std::vector<Priced>& priced) {
    const Priced* best = nullptr;  // of the causal decoder's ways
    std::vector<Reached>& all = reached_.emplace_back();
    for (const Priced& p : priced) {
      all.push_back({p.entry->family.starts_with("causal"), p.log_flops});
      if (all.back().causal && (!best || mean(p.log_flops) < mean(best->log_flops))) best = &p;
    }
    if (priced.empty()) return;
    figure_ += figure_.empty() ? "" : "; ";
    std::string others;
    for (const Priced& p : priced) {
      if (p.entry->family.starts_with("causal")) continue;
      others += others.empty() ? "" : ", ";
      others += p.entry->title;
      if (best) others += " " + times(paired(p.log_flops, best->log_flops));
    }
    if (!best || others.empty()) {
      figure_ += fmt::format("{} is reached with every seed by {} only", t.title, best ? best->entry->title : others);
    } else {
      figure_ += fmt::format("to {}, times the operations of the {}: {}", t.title, best->entry->title, others);
    }
  }

  // A difference of logarithms as a ratio.
  static std::string times(const Difference& d) {
    return d.significant() ? in_times(d) : fmt::format("{}, {}", in_times(d), told(d, "", ""));
  }

  StudyReport& r_;
  const CostOptions& o_;
  const std::vector<Entry> entries_;
  std::vector<std::vector<Reached>> reached_;  // each target
  std::string figure_;
};

}  // namespace

Verdict cheapest(std::span<const std::vector<Reached>> targets) {
  struct Pair {
    size_t target, causal, other;
  };
  std::vector<Pair> pairs;
  std::vector<Difference> dearer;  // another minus a causal one
  bool missed = false;
  for (size_t t = 0; t < targets.size(); ++t) {
    const std::vector<Reached>& all = targets[t];
    missed = missed || (!all.empty() && std::ranges::none_of(all, &Reached::causal));
    for (size_t c = 0; c < all.size(); ++c) {
      for (size_t i = 0; all[c].causal && i < all.size(); ++i) {
        if (all[i].causal) continue;
        pairs.push_back({t, c, i});
        dearer.push_back(paired(all[i].log_flops, all[c].log_flops));
      }
    }
  }
  // The causal decoder has to win every pair, each for itself; a rival only one of many.
  const std::vector<bool> shown = claimed(dearer);
  // Whether some entry of a target wins all of its pairs.
  const auto wins = [&](size_t target, bool causal) {
    for (size_t e = 0; e < targets[target].size(); ++e) {
      size_t met = 0, won = 0;
      for (size_t i = 0; i < pairs.size(); ++i) {
        if (pairs[i].target != target || (causal ? pairs[i].causal : pairs[i].other) != e) continue;
        ++met;
        won += causal ? dearer[i].above() : shown[i] && dearer[i].mean < 0;
      }
      if (met > 0 && met == won) return true;
    }
    return false;
  };
  bool everywhere = !pairs.empty() && !missed, beaten = false;
  for (const Pair& p : pairs) {
    everywhere = everywhere && wins(p.target, true);
    beaten = beaten || wins(p.target, false);
  }
  return beaten ? Verdict::contradicted : everywhere ? Verdict::supported : Verdict::undecided;
}

std::optional<Spent> spent_until(const TrialResult& run, double level, bool less_is_better, const CurveFigure& figure) {
  std::vector<std::pair<Spent, double>> at;
  for (const Moment& m : course_of(run)) {
    if (const auto y = figure(*m.point)) at.emplace_back(m.spent, *y);
  }
  const auto there = [&](size_t i) { return less_is_better ? at[i].second <= level : at[i].second >= level; };
  for (size_t i = 0; i < at.size(); ++i) {
    if (!there(i) || (i + 1 < at.size() && !there(i + 1))) continue;
    const auto& [b, y] = at[i];
    if (i == 0 || there(i - 1)) return b;
    const auto& [a, before] = at[i - 1];
    const double share = (before - level) / (before - y);
    const auto between = [&](double u, double v) { return u + (v - u) * share; };
    return Spent{between(a.tokens, b.tokens), between(a.examples, b.examples), between(a.flops, b.flops),
                 between(a.seconds, b.seconds)};
  }
  return std::nullopt;
}

std::optional<StudyReport> cost_study(const CostOptions& o, const StudyWork& work) {
  if (!(o.watts > 0)) fail(ExitCode::usage, "study cost: expected watts above 0, found {}", o.watts);
  CompareConfig config;
  if (!o.text.empty()) config.data.inputs = {o.text};
  config.contenders = default_contenders();
  config.tokens = o.tokens;
  config.finetune_tokens = std::llround(kFinetuned * double(o.tokens));
  config.seeds = o.seeds;
  config.width = o.width;
  config.layers = o.layers;
  config.task_items = o.items;
  const auto comparison = Comparison::create(config, {}, work.jobs, true);
  const CompareData& data = comparison->data();
  // The kinds of questions that finetuning teaches, under one prompt that the text knows.
  std::vector<ChoiceTask> tasks;
  for (const ChoiceTask& t : data.tasks) {
    if (data.world && !t.held_out && t.wrapper == 0 && t.shots == 0) tasks.push_back(t);
  }
  double questions = 0, chance = 0;
  for (const ChoiceTask& t : tasks) {
    questions += double(t.choices.size());
    chance += t.chance * double(t.choices.size());
  }
  if (questions > 0) chance /= questions;

  TrialInputs alone = comparison->inputs();
  alone.tasks = tasks;
  alone.ask_at_points = true;
  alone.points = 10;
  alone.instructions = nullptr;
  TrialInputs finetuned = alone;
  const bool teaches = data.world;
  if (teaches) {
    finetuned.instructions = &data.instructions;
    finetuned.instruction_tokens = config.finetune_tokens;
    for (Curriculum::Stage& s : finetuned.stages) s.tokens = std::llround((1 - kFinetuned) * double(s.tokens));
    finetuned.points = 7;
    finetuned.finetune_points = 4;
  }
  std::vector<PlannedTrial> trials;
  for (int64_t seed = 1; seed <= o.seeds; ++seed) {
    for (const Contender& c : comparison->config().contenders) {
      trials.push_back({c, uint64_t(seed), &alone, "alone"});
      if (teaches) trials.push_back({c, uint64_t(seed), &finetuned, "finetuned"});
    }
  }
  const auto results = run_trials(work, trials);
  if (!results) return std::nullopt;

  StudyReport r;
  r.name = "cost";
  r.title = "What training costs";
  r.question = "What does each family cost until it reaches the same target, with and without multitask finetuning?";
  r.source = "Wang et al. 2022 (arXiv 2204.05832), sections 2.2 and 3; here by target, not by budget.";
  std::vector<Entry> entries;
  for (const Contender& c : comparison->config().contenders) {
    for (bool with : {false, true}) {
      if (with && !teaches) continue;
      Entry e{c.title() + (with ? ", finetuned" : ""), c.title(), with, {}};
      for (size_t i = 0; i < trials.size(); ++i) {
        if (trials[i].contender.name == c.name && (trials[i].inputs == &finetuned) == with) {
          e.runs.push_back(&(*results)[i]);
        }
      }
      const std::string failure = failure_of(e.runs);
      if (failure.empty()) {
        entries.push_back(std::move(e));
      } else {
        r.findings.push_back(fmt::format("{}: {}; it is left out.", e.title, failure));
      }
    }
  }
  Prices prices(r, o, std::move(entries));
  const CurveFigure suffix = [](const CurvePoint& p) { return p.suffix_loss; };
  const CurveFigure accuracy = [](const CurvePoint& p) { return p.accuracy; };
  std::vector<Target> losses, shares;
  if (const auto ends = prices.ends(suffix); !ends.seeds.empty()) {
    const double all = std::ranges::max(ends.seeds), best = std::ranges::min(ends.means);
    for (double level : {all, (all + best) / 2}) {
      losses.push_back({fmt::format("a suffix loss of {:.2f}", level), level, true, suffix});
    }
  }
  if (const auto ends = prices.ends(accuracy); !ends.means.empty()) {
    const double best = std::ranges::max(ends.means);
    if (best < chance + kAboveChance) {
      r.findings.push_back(
          fmt::format("No family answers more than {:.0f} % of the questions rightly in the end, where guessing gives "
                      "{:.0f} %: too "
                      "little to set a target of right answers; give more tokens.",
                      100 * best, 100 * chance));
    } else {
      for (double share : {0.5, 0.9}) {
        const double level = chance + share * (best - chance);
        shares.push_back({fmt::format("{:.0f} % right answers", 100 * level), level, false, accuracy});
      }
    }
  }
  for (const auto* targets : {&losses, &shares}) {
    for (const Target& t : *targets) prices.price(t);
  }
  prices.chart("Suffix loss by operations", "nats per token", suffix, losses);
  prices.conclude();
  shares.push_back({"guessing", chance, false, accuracy});
  prices.chart("Right answers by operations", "share of questions", accuracy, shares);
  r.method = {
      fmt::format("Text: {}.", data.description),
      fmt::format("{} layers of width {} in each stack, {} seeds, {} tokens of each run in all{}; each stage has a "
                  "schedule of its own.",
                  o.layers, o.width, o.seeds, human_count(double(o.tokens)),
                  teaches ? ", of which three in eleven are finetuning where there is any" : ""),
      "Spent: until a run is first at a target and at the next point still (or at its end), by lines between points of "
      "its curve, both stages counted. Operations "
      "and seconds are those of training steps; seconds are of one core while others work beside it.",
      fmt::format("Energy: seconds times {} W, an assumption for a busy core with its share of the machine (--watts); "
                  "nothing was measured.",
                  o.watts),
      "Targets are set by what was reached. Suffix loss (second halves of held-out texts): what all generators reach "
      "in the end, and half way from there to the best. Right answers (questions of the kinds that finetuning teaches, "
      "under a prompt that the text knows): from chance, half and nine tenths of the way to the best.",
      "Ratios of operations are of logarithms, paired by seed, with 95 % intervals over seeds. Which family is "
      "cheapest is judged with every rival; that one is cheaper than the causal decoder, by Holm's correction over all "
      "of them at all targets."};
  r.limits = {fmt::format("{:.0f} questions at each point: a target may be met by luck too early.", questions),
              "A target that few reach is dear for the others by an unknown amount: not reached within the budget says "
              "no more.",
              "A budget planned for a target would end its schedule there, and reach it with less. Before finetuning "
              "the schedule is shorter: rates that fall earlier bring a loss nearer by themselves."};
  return r;
}

}  // namespace triarch
