#include "triarch/study/reasons.h"

#include <fmt/format.h>

#include <algorithm>

#include "triarch/base/human.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

constexpr Reason kReasons[] = {
    {"zero_shot", true,
     "after learning to predict text alone, a causal decoder answers tasks that it was never taught best",
     "Wang et al. 2022", "compare",
     "paired differences: supported if it is ahead of both the prefix decoder and the encoder-decoder, contradicted if "
     "either is ahead of it (Holm)"},
    {"prediction", true, "of the same tokens, a causal decoder learns to predict text best", "Wang et al. 2022",
     "compare",
     "paired differences, each for itself: supported if it is below every other, contradicted if any is below it"},
    {"one_stack", true, "one stack is simpler: fewer weights, and nothing is better with two", "Su 2023 and others",
     "compare",
     "paired differences, each for itself: supported if it has fewer weights and is ahead by every measure, "
     "contradicted if the encoder-decoder is by any"},
    {"training_cost", true, "a causal decoder reaches a given quality with the fewest operations",
     "Wang et al. 2022; folklore", "cost",
     "paired ratios: supported if cheaper than every other at every target, contradicted if dearer than another at any "
     "(Holm)"},
    {"growth", true, "with growth, what encoder-decoders are ahead by shrinks", "folklore; Zhang et al. 2022",
     "emergence",
     "a slope over seeds: supported if the difference falls, contradicted if it rises, where the encoder-decoder is "
     "shown to be ahead at an end of the ladder"},
    {"suddenly", true, "abilities appear suddenly with scale, and decoders were scaled", "Wei et al. 2022", "emergence",
     "thresholds, no test: a rise is sharp if two thirds of it lie within a third of the way, in every seed and by "
     "both metrics; supported if any is, contradicted if none is"},
    {"gradient_steps", true, "demonstrations in a prompt act on a decoder as gradient steps would", "Dai et al. 2022",
     "icl",
     "a paired difference: supported if more alike than with each of three controls, contradicted if less than with "
     "any (Holm)"},
    {"rank", true, "causal attention has full rank, attention to both sides loses rank", "Su 2023", "rank",
     "paired differences over draws: supported if larger at every scale of the logits, contradicted if smaller at "
     "every one"},
    {"collapse", true, "attention to both sides makes all tokens alike with depth", "Dong et al. 2021", "collapse",
     "an interval over seeds against thresholds: supported if whole models keep less than 0.1, contradicted if more "
     "than 0.5"},
    {"cache", true, "a causal decoder reads nothing twice: its cache serves every turn of a conversation",
     "Shazeer 2019; folklore", "cache",
     "counted rows, no chance in them: supported if others compute more than a causal decoder"},
    {"blanks", true, "filling blanks with sight of both sides is learnt faster and makes a weaker generator", "Su 2023",
     "forward-backward",
     "paired differences: supported if faster to half of its gain and weaker in the end against every rival, "
     "contradicted if the one or the other is shown the other way against every one"},
    {"finetuned", false, "after multitask finetuning, encoder-decoders and prefix decoders answer new tasks best",
     "Wang et al. 2022", "compare",
     "a paired difference: supported if any is ahead of the causal decoder (Holm), contradicted if all are behind"},
    {"prefix_in_context", false, "seeing demonstrations both ways, a model learns more from them", "Ding et al. 2023",
     "regression",
     "a paired difference over all numbers of pairs: supported if the prefix decoder's error is less, contradicted if "
     "it is more"},
    {"forward_backward", false, "an encoder with half of its heads to either side keeps full rank and both sides",
     "Su 2023", "forward-backward",
     "paired differences: supported if better in any of three groups (Holm) and shown worse in none, contradicted if "
     "the other way round"},
};

const ContenderReport* of_family(const CompareReport& r, std::string_view family) {
  for (const ContenderReport& c : r.contenders) {
    if (c.runs > 0 && c.name.starts_with(fmt::format("{}-", family))) return &c;
  }
  return nullptr;
}

// A group's score in a stage, by seed; empty: it was not measured.
std::vector<double> scores(const ContenderReport& c, const char* stage, const char* group) {
  for (const StageReport& s : c.stages) {
    if (s.stage != stage) continue;
    for (const GroupReport& g : s.scores) {
      if (g.name == group) return g.score.seeds;
    }
  }
  return {};
}

// What was learnt from, and by what: comparisons differ in both.
std::string setting(const CompareReport& r) {
  return fmt::format("{}; width {}, {} layers, {} tokens, {} seeds", r.data.substr(0, r.data.find(':')), r.config.width,
                     r.config.layers, human_count(double(r.config.tokens)), r.seeds);
}

Evidence scored(const CompareReport& r, const char* reason, const char* stage, const char* group, bool of_causal) {
  Evidence e{reason, Verdict::undecided, ""};
  const ContenderReport* causal = of_family(r, "causal");
  if (!causal) return e;
  const std::vector<double> own = scores(*causal, stage, group);
  if (own.empty()) return e;
  e.figure = fmt::format("Causal decoder {:.3f}", mean(own));
  std::vector<Difference> all;  // positive where the other is better
  for (const char* family : {"prefix", "encoder_decoder"}) {
    const ContenderReport* c = of_family(r, family);
    if (!c) continue;
    const std::vector<double> theirs = scores(*c, stage, group);
    if (theirs.size() != own.size()) continue;
    all.push_back(paired(theirs, own));
    e.figure += fmt::format("; {} {:.3f}, which is {}", c->label, mean(theirs), in_words(all.back()));
  }
  const std::vector<bool> shown = claimed(all);
  bool any_ahead = false, all_behind = !all.empty();
  for (size_t i = 0; i < all.size(); ++i) {
    any_ahead = any_ahead || (shown[i] && all[i].mean > 0);
    all_behind = all_behind && all[i].below();
  }
  if (any_ahead) e.verdict = of_causal ? Verdict::contradicted : Verdict::supported;
  if (all_behind) e.verdict = of_causal ? Verdict::supported : Verdict::contradicted;
  e.figure += fmt::format(" (of 1, chance 0; {}).", setting(r));
  return e;
}

Evidence prediction(const CompareReport& r) {
  Evidence e{"prediction", Verdict::undecided, ""};
  const ContenderReport* causal = of_family(r, "causal");
  if (!causal || causal->stages.empty() || causal->stages[0].suffix.empty()) return e;
  e.figure = fmt::format("Suffix loss of the causal decoder {:.3f} nats per token", causal->stages[0].suffix[0].mean);
  bool best = true, any = false;
  for (const DifferenceReport& d : r.differences) {
    if (d.measure != "generate" || (d.a != causal->name && d.b != causal->name)) continue;
    const bool first = d.a == causal->name;
    const double sign = first ? 1 : -1;
    const auto other = std::ranges::find(r.contenders, first ? d.b : d.a, &ContenderReport::name);
    any = true;
    best = best && d.significant && sign * d.mean < 0;
    if (d.significant && sign * d.mean > 0) e.verdict = Verdict::contradicted;
    const double low = first ? d.low : -d.high, high = first ? d.high : -d.low;
    e.figure += fmt::format("; minus the {}'s {:+.3f} ({:+.3f} to {:+.3f})", other->label, sign * d.mean, low, high);
  }
  if (any && best) e.verdict = Verdict::supported;
  e.figure += fmt::format(" ({}).", setting(r));
  return e;
}

Evidence one_stack(const CompareReport& r) {
  Evidence e{"one_stack", Verdict::undecided, ""};
  const ContenderReport *causal = of_family(r, "causal"), *both = of_family(r, "encoder_decoder");
  if (!causal || !both) return e;
  const double ratio = double(both->parameters) / double(causal->parameters);
  std::vector<std::string> all, better, worse;  // measures, for the encoder-decoder
  for (const DifferenceReport& d : r.differences) {
    const bool first = d.a == both->name;
    if ((first ? d.b : d.a) != causal->name || (!first && d.b != both->name)) continue;
    const auto use = std::ranges::find(r.uses, d.measure, &MeasureReport::name);
    if (use == r.uses.end()) continue;
    const double ahead = (first ? d.mean : -d.mean) * (use->lower_is_better ? -1 : 1);
    all.push_back(d.measure);
    if (d.significant) (ahead > 0 ? better : worse).push_back(d.measure);
  }
  // That nothing is better with two is shown only where it is excluded by every measure.
  if (!better.empty()) {
    e.verdict = Verdict::contradicted;
  } else if (ratio > 1 && !all.empty() && worse.size() == all.size()) {
    e.verdict = Verdict::supported;
  }
  const auto by = [](const std::vector<std::string>& measures) {
    return measures.empty() ? std::string("nothing") : listed(measures);
  };
  e.figure = fmt::format(
      "The encoder-decoder has {:.1f} times the weights of the causal decoder; of {} it is shown to be better at {}, "
      "worse at {} ({}).",
      ratio, by(all), by(better), by(worse), setting(r));
  return e;
}

const char* in_words(Verdict v) {
  return v == Verdict::supported ? "supported" : v == Verdict::contradicted ? "contradicted" : "not decidable here";
}

}  // namespace

std::span<const Reason> reasons() { return kReasons; }

std::vector<Evidence> evidence_of(const CompareReport& r) {
  std::vector<Evidence> all = {scored(r, "zero_shot", "pretrained", "seen", true),
                               scored(r, "finetuned", "finetuned", "held_out", false), prediction(r), one_stack(r)};
  std::erase_if(all, [](const Evidence& e) { return e.figure.empty(); });
  return all;
}

StudyReport reasons_study(std::span<const Found> found) {
  StudyReport r;
  r.name = "reasons";
  r.title = "Why decoder-only?";
  r.question = "Why are most language models decoder-only, and should mine be?";
  StudyTable for_it{"Reasons given for decoder-only models", {"reason", "said by", "experiment", "here"}, {}};
  StudyTable against{"Reasons given against them", for_it.head, {}};
  StudyTable judged{"What makes them supported or contradicted", {"reason", "judged by"}, {}};
  int counts[2][3] = {};
  for (const Reason& reason : kReasons) {
    const Evidence* evidence = nullptr;
    for (const Found& f : found) {
      const auto e = std::ranges::find(f.evidence, reason.name, &Evidence::reason);
      if (f.study != reason.study || e == f.evidence.end()) continue;
      evidence = &*e;
    }
    const Verdict verdict = evidence ? evidence->verdict : Verdict::undecided;
    ++counts[reason.in_favour][int(verdict)];
    (reason.in_favour ? for_it : against)
        .rows.push_back({std::string(reason.claim), std::string(reason.by), std::string(reason.study),
                         evidence ? in_words(verdict) : "not measured"});
    judged.rows.push_back({std::string(reason.claim), std::string(reason.judged)});
    if (evidence) {
      r.findings.push_back(fmt::format("{}, that {} ({}): {}. {}", reason.in_favour ? "For" : "Against", reason.claim,
                                       reason.by, in_words(verdict), evidence->figure));
    }
  }
  const auto count = [&](bool in_favour) {
    const int* c = counts[in_favour];
    return fmt::format("{} supported, {} contradicted, {} not decided", c[int(Verdict::supported)],
                       c[int(Verdict::contradicted)], c[int(Verdict::undecided)]);
  };
  r.findings.insert(
      r.findings.begin(),
      fmt::format(
          "Of the reasons for decoder-only models, by experiments each on its own text and of its own size: {}. "
          "Of those against: {}.",
          count(true), count(false)));
  r.tables = {for_it, against, judged};
  for (const Found& f : found) r.method.push_back(fmt::format("{}: {} ({})", f.study, f.command, f.page));
  r.method.push_back(
      "Each verdict is made by its experiment, in the version that ran it, by the rule of the last table. A "
      "difference is one only where its 95 % interval over seeds excludes 0 and every seed agrees, and by Holm's "
      "correction over several, too, where the rule says so. Rules that are a count or a threshold say so.");
  r.limits = {
      "Small models, minutes of training, and a text for each experiment: a verdict says what is seen here, not what "
      "is true of models a million times larger. Reasons that need scale (abilities, the cost of serving millions) can "
      "only be touched.",
      "Triarch's own text asks for copying, which suits decoders: run `triarch compare YOUR-TEXT` and give its folder "
      "to `triarch study reasons` to see your own."};
  r.source = "As named with each reason.";
  return r;
}

}  // namespace triarch
