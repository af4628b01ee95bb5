#include "triarch/study/forward_backward.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/study/compare.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

// Contenders that differ in what rows of the input look at, and share all else, learning rates too.
struct Group {
  const char* title;  // of its table
  const char* task;   // in a sentence
  const char* unit;
  std::vector<const char*> contenders;  // in the order of kLooks
};
constexpr const char* kLooks[] = {"both sides", "forward-backward heads", "forward-backward layers", "left side only"};

const Group kGroups[] = {{"Filling masks: encoders, held-out loss of masked LM",
                          "As masked LM",
                          "nats per masked token",
                          {"encoder", "encoder/forward_backward", "encoder/forward_backward_layers", "encoder/causal"}},
                         {"Continuing a text: encoder-decoders, suffix loss",
                          "In the encoder of an encoder-decoder",
                          "nats per token of the suffix",
                          {"encoder_decoder:prefix_lm", "encoder_decoder/forward_backward:prefix_lm",
                           "encoder_decoder/forward_backward_layers:prefix_lm", "encoder_decoder/causal:prefix_lm"}},
                         {"Continuing a text: prefix decoders, suffix loss",
                          "In the prefix of a decoder",
                          "nats per token of the suffix",
                          {"prefix:prefix_lm", "prefix/forward_backward:prefix_lm",
                           "prefix/forward_backward_layers:prefix_lm", "causal:prefix_lm"}}};

// What fills blanks, against what goes on word by word.
struct Rivals {
  const char *blanks, *words;
};
constexpr Rivals kRivals[] = {{"prefix:span_corruption", "causal:next_token"},
                              {"prefix:span_corruption", "prefix:prefix_lm"},
                              {"encoder_decoder:span_corruption", "encoder_decoder:prefix_lm"}};
constexpr const char* kSpoiling[] = {"causal:next_token", "prefix:prefix_lm", "prefix:span_corruption",
                                     "encoder_decoder:prefix_lm", "encoder_decoder:span_corruption"};
constexpr int64_t kBudgetParts[] = {4, 2, 1};  // budgets: all tokens, divided by these

// Contenders by their text, with the learning rates that suit the family with its usual objectives.
std::map<std::string, Contender> all_of(int64_t width) {
  std::map<std::string, Contender> all;
  const auto add = [&](const char* text, Family rates_of) {
    Contender c = parse_contender(text);
    c.rate = swept_rate(parse_contender(enum_name(rates_of)), width);
    all.try_emplace(text, c);
  };
  for (const Group& g : kGroups) {
    for (const char* c : g.contenders) add(c, parse_contender(g.contenders[0]).family);
  }
  for (const char* c : kSpoiling) add(c, parse_contender(c).family);
  return all;
}

class Findings {
 public:
  Findings(StudyReport& report, const std::map<std::string, Contender>& contenders, const SuffixSet& suffixes,
           int64_t tokens)
      : r_(report), contenders_(contenders), suffixes_(suffixes), tokens_(tokens) {}

  void add(const std::string& contender, int64_t part, const TrialResult& result) {
    runs_[{contender, part}].push_back(&result);
  }

  void group(const Group& g) {
    StudyTable table{
        fmt::format("{}, {}", g.title, g.unit), {"input sees", "loss", "sd", "minus both sides", "95 %", "shown"}, {}};
    StudyChart chart{g.title, "tokens seen", g.unit, false, true};
    const bool generates = contenders_.at(g.contenders[0]).family != Family::encoder;
    std::optional<Estimate> first;
    std::string sentence;
    for (size_t k = 0; k < g.contenders.size(); ++k) {
      const char* c = g.contenders[k];
      const Runs& runs = runs_.at({c, 1});
      const std::string title = kLooks[k];
      if (const std::string failure = failure_of(runs); !failure.empty()) {
        table.rows.push_back({title, failure, "", "", "", ""});
        r_.findings.push_back(fmt::format("{}: {}; it is left out.", contenders_.at(c).title(), failure));
        continue;
      }
      chart.series.push_back(curve_of(title, runs, [&](const CurvePoint& p) -> std::optional<double> {
        return generates ? p.suffix_loss : p.own_loss;
      }));
      const Estimate e = generates ? suffix_estimate(runs, suffixes_)
                                   : estimate_of(runs, [](const TrialResult& t) { return t.own_loss; });
      std::vector<std::string> row = {title, fmt::format("{:.3f}", e.mean()),
                                      fmt::format("{:.3f}", standard_deviation(e.runs))};
      if (k == 0) {
        first = e;
      } else if (first) {
        const Difference d = difference(e, *first);
        const std::string verdict = told(d, "worse", "better");
        row.insert(row.end(),
                   {fmt::format("{:+.3f}", d.mean),
                    d.runs < 2 ? "-" : fmt::format("{:+.3f} to {:+.3f}", d.interval.low, d.interval.high), verdict});
        if (k == 1) {  // heads
          by_heads_.push_back(d);
          heads_ += fmt::format("{}{} {}", heads_.empty() ? "" : "; ", g.task, in_words(d));
        }
        sentence += fmt::format("{}{} {}, {}", sentence.empty() ? "" : "; ", title, in_words(d), verdict);
      }
      row.resize(6);
      table.rows.push_back(row);
    }
    r_.tables.push_back(table);
    r_.charts.push_back(chart);
    if (!sentence.empty()) {
      r_.findings.push_back(fmt::format("{}, minus attention to both sides, in {}: {}.", g.task, g.unit, sentence));
    }
  }

  // Does filling blanks learn faster and end weaker?
  void spoiling() {
    StudyTable levels{"Blanks or words: what was learnt, by budget",
                      {"", "tokens", "own objective, nats below frequencies", "suffix loss",
                       "tokens to half of its gain", "tokens to the common suffix loss"},
                      {}};
    // The lowest suffix loss that all reach, by the parts of the suffix set that curves look at.
    double common = 0;
    for (const char* c : kSpoiling) {
      for (const TrialResult* t : runs_.at({c, 1})) {
        if (!t->failure.empty()) return fail_spoiling(c, t->failure);
        double lowest = 1e9;
        for (const CurvePoint& p : t->curve) lowest = std::min(lowest, *p.suffix_loss);
        common = std::max(common, lowest);
      }
    }
    StudyChart chart{"Blanks or words: suffix loss by tokens seen", "tokens seen", "nats per token", false, true};
    for (const char* c : kSpoiling) {
      for (int64_t part : kBudgetParts) {
        const Runs& runs = runs_.at({c, part});
        const std::string title = contenders_.at(c).title();
        if (const std::string failure = failure_of(runs); !failure.empty()) return fail_spoiling(c, failure);
        std::vector<std::string> row = {title, human_count(double(tokens_ / part)), cell(gain(runs)),
                                        cell(suffix_estimate(runs, suffixes_))};
        if (part == 1) {
          row.push_back(mean_tokens(runs, [](const TrialResult& t) {
            const std::optional<double> half = log_tokens_to_half(t);
            return half ? std::optional(std::exp(*half)) : std::nullopt;
          }));
          row.push_back(mean_tokens(runs, [&](const TrialResult& t) {
            return tokens_to(t, common, [](const CurvePoint& p) { return p.suffix_loss; });
          }));
          chart.series.push_back(curve_of(title, runs, [](const CurvePoint& p) { return p.suffix_loss; }));
        }
        row.resize(6);
        levels.rows.push_back(row);
      }
    }
    chart.levels.push_back({"common suffix loss", common});
    r_.tables.push_back(levels);
    r_.charts.push_back(chart);

    StudyTable pairs{"Blanks minus words, by budget",
                     {"blanks", "words", "tokens", "gain, nats per target", "suffix loss, nats",
                      "tokens to half of its gain: times as many"},
                     {}};
    bool all = true, all_contrary = true;
    std::string figure;
    for (const Rivals& rivals : kRivals) {
      const std::string blanks = contenders_.at(rivals.blanks).title(), words = contenders_.at(rivals.words).title();
      std::optional<Difference> weaker;
      for (int64_t part : kBudgetParts) {
        const Runs &a = runs_.at({rivals.blanks, part}), &b = runs_.at({rivals.words, part});
        weaker = difference(suffix_estimate(a, suffixes_), suffix_estimate(b, suffixes_));
        pairs.rows.push_back({blanks, words, human_count(double(tokens_ / part)),
                              in_words(difference(gain(a), gain(b))), in_words(*weaker), ""});
      }
      // The whole budget is the last, and has a curve.
      const std::optional<Difference> slower = halves(runs_.at({rivals.blanks, 1}), runs_.at({rivals.words, 1}));
      const std::string times = slower ? in_times(*slower) : "not every seed gains anything";
      pairs.rows.back().back() = times;
      const bool fast = slower && slower->below(), weak = weaker->above();
      all = all && fast && weak;
      all_contrary = all_contrary && ((slower && slower->above()) || weaker->below());
      figure += fmt::format("{}{} against {}: tokens to half of its gain, times as many: {}; suffix loss in the end {}",
                            figure.empty() ? "" : "; ", blanks, words, times, in_words(*weaker));
      r_.findings.push_back(fmt::format(
          "Blanks against words, {} against {}: to half of what each gains of its own objective the former takes {} "
          "times the tokens ({}); after {} tokens the suffix loss differs by {} nats ({}). Faster, and weaker in the "
          "end: {}.",
          blanks, words, times,
          slower ? told(*slower, "blanks are learnt more slowly", "blanks are learnt faster") : "no answer",
          human_count(double(tokens_)), in_words(*weaker), told(*weaker, "a weaker generator", "a stronger generator"),
          fast && weak ? "both are seen here"
          : fast       ? "only the first"
          : weak       ? "only the second"
                       : "neither is seen"));
    }
    r_.tables.push_back(pairs);
    r_.evidence.push_back({"blanks",
                           all            ? Verdict::supported
                           : all_contrary ? Verdict::contradicted
                                          : Verdict::undecided,
                           figure + "."});
  }

  void heads() {
    if (heads_.empty()) return;
    r_.evidence.push_back({"forward_backward", verdict_on_any(by_heads_, false),
                           "Loss with half of the heads to either side minus attention to both: " + heads_ + "."});
  }

 private:
  void fail_spoiling(const char* c, const std::string& failure) {
    r_.findings.push_back(fmt::format("Blanks or words: no answer, since {} {}.", contenders_.at(c).title(), failure));
  }
  static Estimate gain(const Runs& runs) {
    return estimate_of(runs, [](const TrialResult& t) { return t.unigram_entropy - t.own_loss; });
  }
  // ln of the tokens to half of the gain, a minus b; none if a seed gains nothing.
  static std::optional<Difference> halves(const Runs& a, const Runs& b) {
    std::vector<double> logs[2];
    for (size_t i = 0; i < a.size(); ++i) {
      const std::optional<double> x = log_tokens_to_half(*a[i]), y = log_tokens_to_half(*b[i]);
      if (!x || !y) return std::nullopt;
      logs[0].push_back(*x), logs[1].push_back(*y);
    }
    return paired(logs[0], logs[1]);
  }
  static std::string cell(const Estimate& e) {
    return fmt::format("{:.3f} (sd {:.3f})", e.mean(), standard_deviation(e.runs));
  }
  template <class Tokens>
  static std::string mean_tokens(const Runs& runs, const Tokens& tokens) {
    double sum = 0;
    size_t reached = 0;
    for (const TrialResult* t : runs) {
      if (const auto n = tokens(*t)) sum += *n, ++reached;
    }
    if (reached == 0) return "not reached";
    const std::string mean = human_count(sum / double(reached));
    return reached == runs.size() ? mean : fmt::format("{} in {} of {} seeds", mean, reached, runs.size());
  }

  StudyReport& r_;
  const std::map<std::string, Contender>& contenders_;
  const SuffixSet& suffixes_;
  const int64_t tokens_;
  std::vector<Difference> by_heads_;  // forward-backward heads minus attention to both sides, in each group
  std::string heads_;                 // the same in words
  std::map<std::pair<std::string, int64_t>, Runs> runs_;  // by contender and part of the tokens
};

}  // namespace

std::optional<double> log_tokens_to_half(const TrialResult& run) {
  if (run.own_loss >= run.unigram_entropy) return std::nullopt;
  const auto tokens = tokens_to(run, (run.unigram_entropy + run.own_loss) / 2,
                                [](const CurvePoint& p) { return std::optional(p.own_loss); });
  return tokens && *tokens > 0 ? std::optional(std::log(*tokens)) : std::nullopt;
}

std::optional<StudyReport> forward_backward_study(const ForwardBackwardOptions& o, const StudyWork& work) {
  if (o.layers < 3) {
    fail(
        ExitCode::usage,
        "study forward-backward: expected at least 3 layers (of two that take turns, the second changes nothing that a "
        "prefix decoder predicts from), found {}",
        o.layers);
  }
  const std::map<std::string, Contender> contenders = all_of(o.width);
  CompareConfig config;
  if (!o.text.empty()) config.data.inputs = {o.text};
  config.tokens = o.tokens;
  config.seeds = o.seeds;
  config.width = o.width;
  config.layers = o.layers;
  config.task_items = config.finetune_tokens = 0;
  for (const auto& [text, c] : contenders) config.contenders.push_back(c);
  const auto comparison = Comparison::create(config, {}, work.jobs, true);
  std::map<int64_t, TrialInputs> inputs;
  for (int64_t part : kBudgetParts) {
    TrialInputs& in = inputs.try_emplace(part, comparison->inputs()).first->second;
    for (Curriculum::Stage& s : in.stages) s.tokens /= part;
    in.points = part == 1 ? 16 : 1;
  }
  std::vector<PlannedTrial> trials;
  std::vector<std::pair<std::string, int64_t>> of;
  for (int64_t seed = 1; seed <= o.seeds; ++seed) {
    for (const auto& [text, c] : contenders) {
      for (int64_t part : kBudgetParts) {
        const auto is = [&text = text](const char* s) { return text == s; };
        if (part > 1 && std::ranges::none_of(kSpoiling, is)) continue;
        trials.push_back({c, uint64_t(seed), &inputs.at(part), fmt::format("{}", o.tokens / part)});
        of.emplace_back(text, part);
      }
    }
  }
  const auto results = run_trials(work, trials);
  if (!results) return std::nullopt;

  StudyReport r;
  r.name = "forward-backward";
  r.title = "Attention forward and backward";
  r.question =
      "Is attention half to the left and half to the right better than attention to both sides, and does filling "
      "blanks spoil a generator?";
  r.source = "Su Jianlin, 17 March 2023 (kexue.fm 9529), who gives a curve for masked LM and no figures.";
  Findings findings(r, contenders, comparison->data().suffixes, o.tokens);
  for (size_t i = 0; i < trials.size(); ++i) findings.add(of[i].first, of[i].second, (*results)[i]);
  for (const Group& g : kGroups) findings.group(g);
  findings.spoiling();
  findings.heads();
  r.method = {
      fmt::format("Text: {}.", comparison->data().description),
      fmt::format("{} layers of width {} in each stack, {} seeds, {} tokens of each run. In one group all begin with "
                  "the same weights, see the same pieces in the same order and learn with the same rates; they differ "
                  "in the mask only.",
                  o.layers, o.width, o.seeds, human_count(double(o.tokens))),
      "Forward-backward: half of the heads see their token and what precedes it, the others their token and what "
      "follows it; layerwise: even layers the one, odd layers the other. In a prefix decoder it holds inside the "
      "prefix, and what predicts stays causal.",
      "Suffix loss: second halves of held-out texts given their first halves, the same for all generators. The "
      "causal decoder of the same group learns to predict ends of texts only, as the others of the group do (Su's "
      "comparison of GPT with UniLM).",
      "Differences are paired by seed, with intervals that reach as far as Student's t over seeds or a bootstrap over "
      "seeds and texts; one is shown only if it excludes 0 and every seed agrees.",
      "Blanks or words: each budget is a run of its own with its whole schedule. Objectives have different targets, "
      "so neither their losses nor their gains over the frequencies of their targets (entropy minus loss) compare. How "
      "fast each learns its own is judged by the tokens to half of its own gain in the end, of the whole budget, on a "
      "logarithmic scale. The common loss is the lowest suffix loss that all reach, on the texts "
      "that curves look at. Models that learnt spans continue a text as they would fill a last "
      "blank."};
  r.limits = {
      "Attention of small width on short texts is far from the n >> head size for which Su argues; a small loss or "
      "gain of rank may show only there.",
      "A model that learnt blanks only was never asked for so long a span as a suffix: what it lacks there is practice "
      "as well as ability, and a short adaptation to words may give it back (triarch compare --adapt).",
      "Among the targets of blanks are their sentinels and the end, about a quarter of them, which are nearly decided "
      "by where they stand: what is gained from them comes early, and is no sight of both sides.",
      "One learning rate for a group, found for attention to both sides: another mask may want another."};
  return r;
}

}  // namespace triarch
