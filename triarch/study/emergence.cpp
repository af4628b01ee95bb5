#include "triarch/study/emergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/model/model.h"
#include "triarch/study/compare.h"
#include "triarch/study/emergence_tasks.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

constexpr const char* kAsked[] = {"causal", "prefix", "encoder_decoder"};
constexpr double kPrimer = 0.2;       // share of pretraining's tokens
constexpr int64_t kStepTokens = 128;  // many small steps: sums are learnt by steps more than by tokens
constexpr const char* kStages[] = {"after pretraining", "after finetuning"};

// What verdict_of says.
constexpr const char *kNoRise = "no jump, no rise in this range", *kGradual = "no jump, a gradual rise",
                     *kSharp = "sharp under both metrics", *kSharpExact = "sharp only under exact match";

Key key_of(uint64_t what) { return Key(1, Purpose::world).with(1000 + what); }

// What a trial has to say about a task in a stage.
using Metric = double (ExactAnswers::*)() const;
const ExactAnswers& answers_of(const TrialResult& t, size_t stage, size_t task) {
  return stage == 0 ? t.exact.at(task) : t.finetuned.at(0).exact.at(task);
}

double flops_of(const TrialResult& t, size_t stage) { return t.flops + (stage == 0 ? 0 : t.finetuned.at(0).flops); }

// Of y over x, by least squares.
double slope_of(std::span<const double> x, std::span<const double> y) {
  const double mx = mean(x), my = mean(y);
  double xy = 0, xx = 0;
  for (size_t i = 0; i < x.size(); ++i) xy += (x[i] - mx) * (y[i] - my), xx += (x[i] - mx) * (x[i] - mx);
  return xy / xx;
}

// A difference of two figures of the same seeds, at every rung, and how it changes with operations.
struct Gap {
  std::string title;
  size_t family = 0;
  std::vector<double> flops;            // [rungs]
  std::vector<Difference> differences;  // [rungs]
  Difference slope;                     // per tenfold operations
};

class Ladder {
 public:
  Ladder(StudyReport& report, const EmergenceOptions& options, std::vector<EmergenceTask> tasks)
      : r_(report), o_(options), tasks_(std::move(tasks)) {
    for (const char* f : kAsked) titles_.push_back(title_of(parse_contender(f).family));
  }

  void add(size_t family, size_t rung, const TrialResult& t) { runs_[{family, rung}].push_back(&t); }

  // Rungs with a diverged trial are left out, and said.
  void settle() {
    for (auto at = runs_.begin(); at != runs_.end();) {
      const std::string failure = failure_of(at->second);
      if (!failure.empty()) {
        r_.findings.push_back(
            fmt::format("{}, rung {}: {}; it is left out.", titles_[at->first.first], at->first.second + 1, failure));
      }
      at = failure.empty() ? std::next(at) : runs_.erase(at);
    }
  }

  void task(size_t task, size_t stage, std::vector<std::vector<std::string>>& verdicts) {
    const EmergenceTask& t = tasks_[task];
    StudyChart exact{fmt::format("{}, {}: exact match", t.name, kStages[stage]), "training FLOPs", "share of answers",
                     true};
    StudyChart tokens{fmt::format("{}, {}: tokens of answers", t.name, kStages[stage]), "training FLOPs",
                      "share of tokens", true};
    std::vector<StudySeries> predicted;
    size_t items = 1;
    for (size_t f = 0; f < std::size(kAsked); ++f) {
      StudySeries e = series(f, stage, task, &ExactAnswers::exact_match);
      if (e.x.empty()) continue;
      const StudySeries p = series(f, stage, task, &ExactAnswers::token_accuracy);
      StudySeries power{
          fmt::format("{}: p^{}", titles_[f], t.answer), p.x, {}, {}, {}, true, int64_t(exact.series.size())};
      double off = 0;
      for (size_t i = 0; i < p.y.size(); ++i) {
        power.y.push_back(std::pow(p.y[i], double(t.answer)));
        off = std::max(off, std::abs(power.y[i] - e.y[i]));
      }
      exact.series.push_back(e);
      tokens.series.push_back(p);
      predicted.push_back(power);
      const std::string verdict = over_seeds(verdicts_of(f, stage, task));
      verdicts.push_back({t.name, titles_[f], kStages[stage], fmt::format("{:.3f}", e.y.front()),
                          fmt::format("{:.3f}", e.y.back()), fmt::format("{:.3f}", off), verdict});
      items = answers_of(*at(f).begin()->second->front(), stage, task).right.size();
    }
    if (exact.series.empty()) return;
    exact.series.insert(exact.series.end(), predicted.begin(), predicted.end());
    exact.levels = {{"chance", t.chance}, {fmt::format("one of {} items", items), 1.0 / double(items)}};
    r_.charts.push_back(exact);
    r_.charts.push_back(tokens);
  }

  void table(size_t stage) {
    StudyTable table{fmt::format("{}: exact match / tokens right / nats per token", kStages[stage]), {"", ""}, {}};
    for (const Rung& g : o_.ladder) {
      table.head.push_back(fmt::format("{} x {}, {}", g.width, g.layers, human_count(double(g.tokens))));
    }
    for (size_t k = 0; k < tasks_.size(); ++k) {
      for (size_t f = 0; f < std::size(kAsked); ++f) {
        std::vector<std::string> row = {tasks_[k].name, titles_[f]};
        for (size_t g = 0; g < o_.ladder.size(); ++g) {
          const auto runs = runs_.find({f, g});
          if (runs == runs_.end()) {
            row.push_back("diverged");
            continue;
          }
          const auto m = [&](Metric metric) { return mean(values(runs->second, stage, k, metric)); };
          row.push_back(fmt::format("{:.2f} / {:.2f} / {:.2f}", m(&ExactAnswers::exact_match),
                                    m(&ExactAnswers::token_accuracy), m(&ExactAnswers::nats_per_token)));
        }
        table.rows.push_back(row);
      }
    }
    r_.tables.push_back(table);
  }

  // Families minus the first, and after minus before finetuning: means over tasks.
  void gaps() {
    for (const auto& [metric, name] : {std::pair<Metric, const char*>{&ExactAnswers::exact_match, "exact match"},
                                       {&ExactAnswers::token_accuracy, "tokens right"}}) {
      std::vector<Gap> families, gains;
      for (size_t stage = 0; stage < 2; ++stage) {
        for (size_t f = 1; f < std::size(kAsked); ++f) {
          families.push_back(gap(fmt::format("{}, {}", titles_[f], kStages[stage]), f, stage, 0, stage, metric));
        }
      }
      for (size_t f = 0; f < std::size(kAsked); ++f) gains.push_back(gap(titles_[f], f, 1, f, 0, metric));
      show(fmt::format("Families minus the causal decoder: {}, mean over tasks", name), families);
      show(fmt::format("Gain from finetuning: {}, mean over tasks", name), gains);
      if (metric == &ExactAnswers::exact_match) continue;
      growth(families.back());  // the encoder-decoder, finetuned
      for (const Gap& g : families) {
        if (g.family + 1 == std::size(kAsked)) {
          r_.findings.push_back(
              fmt::format("{}, minus the causal decoder: {}", g.title, change(g, name, "an advantage")));
        }
      }
      for (const Gap& g : gains) {
        r_.findings.push_back(fmt::format("Finetuning of the {}: {}", g.title, change(g, name, "a gain")));
      }
    }
  }

  // Of tasks with answers of several words and families after finetuning: of one word and its full stop, both metrics
  // are nearly the same.
  void suddenness() {
    std::vector<std::string> agreed;      // over the seeds of a task and family
    std::map<std::string, int64_t> runs;  // whose seeds need not agree
    for (size_t k = 0; k < tasks_.size(); ++k) {
      if (tasks_[k].answer < 3) continue;
      for (size_t f = 0; f < std::size(kAsked); ++f) {
        if (at(f).empty()) continue;
        const std::map<std::string, int> said = verdicts_of(f, 1, k);
        if (o_.seeds > 1) agreed.push_back(over_seeds(said));  // one agrees with itself
        for (const auto& [verdict, n] : said) runs[verdict] += n;
      }
    }
    r_.evidence.push_back(suddenness_of(agreed));
    r_.findings.push_back(fmt::format(
        "Of {} runs whose exact match rises (each a task with answers of several words, a family and a seed, after "
        "finetuning), {} are {}, {} {}, {} gradual.",
        runs[kSharp] + runs[kSharpExact] + runs[kGradual], runs[kSharp], kSharp, runs[kSharpExact], kSharpExact,
        runs[kGradual]));
  }

 private:
  void growth(const Gap& g) {
    if (g.differences.size() < 2) return;
    const bool ahead = g.differences.front().above() || g.differences.back().above();
    r_.evidence.push_back(
        {"growth", ahead ? verdict_on(g.slope, false) : Verdict::undecided,
         fmt::format("Encoder-decoder minus causal decoder after finetuning, share of tokens right: {} on "
                     "the first rung, {} on the last; {} per tenfold operations.",
                     in_words(g.differences.front()), in_words(g.differences.back()), in_words(g.slope))});
  }

  std::map<size_t, const Runs*> at(size_t family) const {
    std::map<size_t, const Runs*> out;
    for (const auto& [place, runs] : runs_) {
      if (place.first == family) out[place.second] = &runs;
    }
    return out;
  }

  static std::vector<double> values(const Runs& runs, size_t stage, size_t task, Metric metric) {
    std::vector<double> out;
    for (const TrialResult* t : runs) out.push_back((answers_of(*t, stage, task).*metric)());
    return out;
  }

  static double flops(const Runs& runs, size_t stage) {
    double sum = 0;
    for (const TrialResult* t : runs) sum += flops_of(*t, stage) / double(runs.size());
    return sum;
  }

  StudySeries series(size_t family, size_t stage, size_t task, Metric metric) const {
    StudySeries s;
    s.label = titles_[family];
    for (const auto& [rung, runs] : at(family)) {
      add_place(s, flops(*runs, stage), values(*runs, stage, task, metric));
    }
    return s;
  }

  // How many seeds say what.
  std::map<std::string, int> verdicts_of(size_t family, size_t stage, size_t task) const {
    std::map<std::string, int> said;
    for (size_t seed = 0; seed < size_t(o_.seeds); ++seed) {
      std::vector<double> x, exact, tokens;
      for (const auto& [rung, runs] : at(family)) {
        const ExactAnswers& a = answers_of(*(*runs)[seed], stage, task);
        x.push_back(std::log10(flops_of(*(*runs)[seed], stage)));
        exact.push_back(a.exact_match());
        tokens.push_back(a.token_accuracy());
      }
      ++said[verdict_of(rise_of(x, exact), rise_of(x, tokens))];
    }
    return said;
  }

  static std::string over_seeds(const std::map<std::string, int>& said) {
    if (said.size() == 1) return said.begin()->first;
    std::string all;
    for (const auto& [verdict, n] : said) all += fmt::format("{}{} in {}", all.empty() ? "" : ", ", verdict, n);
    return fmt::format("undecided, seeds disagree ({})", all);
  }

  // Mean over tasks, by seed.
  std::vector<double> over_tasks(const Runs& runs, size_t stage, Metric metric) const {
    std::vector<double> out(runs.size(), 0);
    for (size_t k = 0; k < tasks_.size(); ++k) {
      const std::vector<double> v = values(runs, stage, k, metric);
      for (size_t i = 0; i < v.size(); ++i) out[i] += v[i] / double(tasks_.size());
    }
    return out;
  }

  // Family a in a stage minus b in another, on the rungs that both have.
  Gap gap(const std::string& title, size_t a, size_t stage_a, size_t b, size_t stage_b, Metric metric) const {
    Gap out;
    out.title = title;
    out.family = a;
    std::vector<std::vector<double>> by_seed(size_t(o_.seeds));
    std::vector<double> x;
    for (const auto& [rung, runs] : at(a)) {
      const auto other = runs_.find({b, rung});
      if (other == runs_.end()) continue;
      const auto u = over_tasks(*runs, stage_a, metric), v = over_tasks(other->second, stage_b, metric);
      out.differences.push_back(difference(estimate_of(u), estimate_of(v)));
      out.flops.push_back(flops(*runs, stage_a));
      x.push_back(std::log10(out.flops.back()));
      for (size_t s = 0; s < by_seed.size(); ++s) by_seed[s].push_back(u[s] - v[s]);
    }
    if (x.size() < 2) return out;
    std::vector<double> slopes;
    for (const auto& y : by_seed) slopes.push_back(slope_of(x, y));
    out.slope = difference_of(estimate_of(slopes));
    return out;
  }

  void show(const std::string& title, const std::vector<Gap>& gaps) {
    StudyTable table{title + " (95 %)", {"", "smallest", "largest", "per tenfold FLOPs"}, {}};
    StudyChart chart{title, "training FLOPs", "difference", true};
    for (const Gap& g : gaps) {
      if (g.differences.size() < 2) continue;
      table.rows.push_back(
          {g.title, in_words(g.differences.front()), in_words(g.differences.back()), in_words(g.slope)});
      StudySeries s;
      s.label = g.title;
      s.x = g.flops;
      for (const Difference& d : g.differences) {
        s.y.push_back(d.mean);
        s.low.push_back(d.interval.low);
        s.high.push_back(d.interval.high);
      }
      chart.series.push_back(s);
    }
    chart.levels = {{"no difference", 0}};
    r_.tables.push_back(table);
    r_.charts.push_back(chart);
  }

  static std::string change(const Gap& g, const char* metric, const char* what) {
    if (g.differences.size() < 2) return "too few rungs.";
    const Difference& last = g.differences.back();
    return fmt::format("{} {} on the first rung, {} on the last ({}); with growth, per tenfold FLOPs, {} ({}).", metric,
                       in_words(g.differences.front()), in_words(last),
                       told(last, what, fmt::format("the opposite of {}", what)), in_words(g.slope),
                       told(g.slope, "it rises", "it falls"));
  }

  StudyReport& r_;
  const EmergenceOptions& o_;
  const std::vector<EmergenceTask> tasks_;
  std::vector<std::string> titles_;                 // [families]
  std::map<std::pair<size_t, size_t>, Runs> runs_;  // by family and rung
};

}  // namespace

Rise rise_of(std::span<const double> x, std::span<const double> y) {
  require(x.size() == y.size() && !x.empty(), "emergence: expected a value at each place, found {} and {}", y.size(),
          x.size());
  const auto at = [&](double place) {
    if (place <= x.front()) return y.front();
    for (size_t i = 1; i < x.size(); ++i) {
      if (place <= x[i]) return y[i - 1] + (y[i] - y[i - 1]) * (place - x[i - 1]) / (x[i] - x[i - 1]);
    }
    return y.back();
  };
  Rise out;
  out.total = y.back() - y.front();
  const double third = (x.back() - x.front()) / 3;
  // The most is where the window begins or ends at a place.
  for (double place : x) {
    out.in_a_third = std::max({out.in_a_third, at(place + third) - at(place), at(place) - at(place - third)});
  }
  return out;
}

std::string verdict_of(const Rise& exact, const Rise& tokens) {
  if (!exact.rises()) return kNoRise;
  if (!exact.sharp()) return kGradual;
  return tokens.sharp() ? kSharp : kSharpExact;
}

Evidence suddenness_of(std::span<const std::string> verdicts) {
  int64_t rises = 0, both = 0, exact = 0;
  for (const std::string& v : verdicts) {
    both += v == kSharp;
    exact += v == kSharpExact;
    rises += v == kSharp || v == kSharpExact || v == kGradual;
  }
  return {"suddenly",
          both > 0    ? Verdict::supported
          : rises > 0 ? Verdict::contradicted
                      : Verdict::undecided,
          fmt::format("Of {} rises of exact match that all seeds agree on (tasks with answers of several words, by "
                      "families, after finetuning), {} are sharp under exact match only and {} by tokens too.",
                      rises, exact, both)};
}

std::optional<StudyReport> emergence_study(const EmergenceOptions& o, const StudyWork& work) {
  require(o.ladder.size() >= 2 && o.seeds >= 1 && o.digits >= 1 && o.items >= 1,
          "emergence: expected at least two rungs, a seed, a digit and an item");
  const Tokenizer tokenizer = emergence_tokenizer();
  const Vocabulary vocabulary = vocabulary_of(tokenizer);
  const std::vector<EmergenceTask> tasks = emergence_tasks(o.digits);
  const int64_t most = std::ranges::max(o.ladder, {}, &Rung::tokens).tokens;
  const TokenizedCorpus primer = tokenize(emergence_primer(key_of(5), std::llround(kPrimer * double(most))), tokenizer);
  const TokenizedCorpus text = tokenize(emergence_text(key_of(1), o.digits, most), tokenizer);
  const TokenizedCorpus held_out = tokenize(emergence_text(key_of(2), o.digits, 8'000), tokenizer);
  const TokenizedCorpus instructions = tokenize(emergence_instructions(key_of(3), o.digits, most * 3 / 8), tokenizer);
  constexpr int64_t context = 64;
  const SuffixSet suffixes = suffix_set(held_out.view(), context, 64, tokenizer);
  std::vector<ExactTask> questions;
  for (const EmergenceTask& t : tasks) {
    ExactTask& q = questions.emplace_back();
    q.name = t.name;
    std::vector<std::string> asked;
    // Small sums are few: each is asked once.
    for (int64_t n = 0; n < 20 * o.items && int64_t(q.items.size()) < o.items; ++n) {
      const EmergenceItem item = emergence_item(key_of(4), t, n, true);
      if (std::ranges::find(asked, item.prompt) != asked.end()) continue;
      asked.push_back(item.prompt);
      q.items.push_back({tokenizer.encode(item.prompt), tokenizer.encode(" " + item.answer)});
    }
  }

  const CompareConfig defaults;
  std::vector<TrialInputs> inputs;
  for (const Rung& g : o.ladder) {
    TrialInputs& in = inputs.emplace_back();
    in.tokenizer = &tokenizer;
    in.vocabulary = &vocabulary;
    const int64_t first = std::llround(kPrimer * double(g.tokens));
    in.stages = {{&primer, first}, {&text, g.tokens - first}};
    in.validation = &held_out;
    in.suffixes = &suffixes;
    in.exact = questions;
    in.instructions = &instructions;
    in.instruction_tokens = g.tokens * 3 / 8;
    in.finetune_rate = defaults.finetune_rate;
    in.preset = "world";
    in.width = g.width;
    in.layers = g.layers;
    in.context = context;
    in.step_tokens = kStepTokens;
    in.optimizer = defaults.optimizer;
    in.schedule = defaults.schedule;
    in.points = 1;
    in.validation_tokens = 1024;
  }
  std::vector<PlannedTrial> trials;
  std::vector<std::pair<size_t, size_t>> of;
  for (size_t g = 0; g < o.ladder.size(); ++g) {
    for (int64_t seed = 1; seed <= o.seeds; ++seed) {
      for (size_t f = 0; f < std::size(kAsked); ++f) {
        Contender c = parse_contender(kAsked[f]);
        c.rate = swept_rate(c, o.ladder[g].width);
        const Rung& rung = o.ladder[g];
        trials.push_back(
            {c, uint64_t(seed), &inputs[g], fmt::format("{}x{}.{}", rung.width, rung.layers, rung.tokens)});
        of.emplace_back(f, g);
      }
    }
  }
  const auto results = run_trials(work, trials);
  if (!results) return std::nullopt;

  StudyReport r;
  r.name = "emergence";
  r.title = "Emergence";
  r.question =
      "Do abilities come suddenly with size, or only under exact match? Does growth close the gap between families?";
  r.source = "Wei et al. 2022 (arXiv 2206.07682); Schaeffer et al. 2023 (arXiv 2304.15004).";
  Ladder ladder(r, o, tasks);
  for (size_t i = 0; i < trials.size(); ++i) ladder.add(of[i].first, of[i].second, (*results)[i]);
  ladder.settle();
  std::vector<std::vector<std::string>> verdicts;
  for (size_t stage : {1, 0}) {
    for (size_t k = 0; k < tasks.size(); ++k) ladder.task(k, stage, verdicts);
  }
  r.tables.push_back(
      {"Is it sharp?", {"task", "", "", "exact match, first rung", "last rung", "most off p^L", "verdict"}, verdicts});
  ladder.suddenness();
  ladder.table(1);
  ladder.table(0);
  ladder.gaps();
  const auto parameters = [&](const Rung& g) {
    const ModelSpec spec = model_of(parse_contender("causal"), "world", g.width, g.layers, vocabulary.size, context);
    return human_count(double(Model::measure(spec).parameters));
  };
  r.method = {
      fmt::format("A ladder of {} rungs, on each of which size or tokens grow: from width {} and {} tokens (causal "
                  "decoder: {} parameters) to width {} and {} tokens ({} parameters); {} seeds. Operations are those "
                  "executed, finetuning included where it was done.",
                  o.ladder.size(), o.ladder.front().width, human_count(double(o.ladder.front().tokens)),
                  parameters(o.ladder.front()), o.ladder.back().width, human_count(double(o.ladder.back().tokens)),
                  parameters(o.ladder.back()), o.seeds),
      "Text: first a fifth of refrains (what one says, others say again), which make a model learn to copy; then one "
      "half sums (last digit first), one half facts and records drawn from running text, each closed by the "
      "statement that is asked for. Finetuning: prompts and answers of all tasks alike, three tokens for every eight "
      "of pretraining. Questions are new: sums of pairs of numbers that are in no text, and new facts.",
      "Each answer is scored token by token, those before it given. Exact match: every token is the likeliest, which "
      "is what greedy decoding would say. Crosses: p^L, the exact match of answers of L tokens that are right "
      "independently with the accuracy p per token.",
      "Verdict, in each seed: a curve over log FLOPs that rises by at least 0.1 is sharp if two thirds of its rise or "
      "more lie within a third of the way (a steady rise has a third there). Bands: the lowest and the highest seed.",
      "Gaps and gains are means over tasks, paired by seed, with 95 % intervals over seeds; the change with growth is "
      "the slope over log10 FLOPs, of each seed."};
  r.limits = {
      fmt::format("{} rungs are few places to see a jump between, and none above the last: a task that does not rise "
                  "here may rise later.",
                  o.ladder.size()),
      "Size and tokens grow together, so it cannot say which of them did it.",
      "Whether families stand closer at another ratio of tokens to weights, or with other learning rates, is open.",
      fmt::format("A share of {} items cannot be told from 0 below {:.3f}.", o.items, 1.0 / double(o.items))};
  return r;
}

}  // namespace triarch
