#include "triarch/study/reasons.h"

#include <fmt/format.h>

#include <algorithm>

#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

constexpr Reason kReasons[] = {
    {"zero_shot", true,
     "after learning to predict text alone, a causal decoder answers tasks that it was never taught best",
     "Wang et al. 2022", "compare"},
    {"prediction", true, "of the same tokens, a causal decoder learns to predict text best", "Wang et al. 2022",
     "compare"},
    {"one_stack", true, "one stack is simpler: fewer weights, and nothing is better with two", "Su 2023 and others",
     "compare"},
    {"training_cost", true, "a causal decoder reaches a given quality with the fewest operations",
     "Wang et al. 2022; folklore", "cost"},
    {"growth", true, "with growth, what encoder-decoders are ahead by shrinks", "folklore; Zhang et al. 2022",
     "emergence"},
    {"suddenly", true, "abilities appear suddenly with scale, and decoders were scaled", "Wei et al. 2022",
     "emergence"},
    {"gradient_steps", true, "demonstrations in a prompt act on a decoder as gradient steps would", "Dai et al. 2022",
     "icl"},
    {"rank", true, "causal attention has full rank, attention to both sides loses rank", "Su 2023", "rank"},
    {"collapse", true, "attention to both sides makes all tokens alike with depth", "Dong et al. 2021", "collapse"},
    {"cache", true, "a causal decoder reads nothing twice: its cache serves every turn of a conversation",
     "Shazeer 2019; folklore", "cache"},
    {"blanks", true, "filling blanks with sight of both sides is learnt faster and makes a weaker generator", "Su 2023",
     "forward-backward"},
    {"finetuned", false, "after multitask finetuning, encoder-decoders and prefix decoders answer new tasks best",
     "Wang et al. 2022", "compare"},
    {"prefix_in_context", false, "seeing demonstrations both ways, a model learns more from them", "Ding et al. 2023",
     "regression"},
    {"forward_backward", false, "an encoder with half of its heads to either side keeps full rank and both sides",
     "Su 2023", "forward-backward"},
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

// A contender against the causal decoder: positive where it is better.
struct Against {
  const ContenderReport* other;
  Difference d;
};

Evidence scored(const CompareReport& r, const char* reason, const char* stage, const char* group, bool of_causal) {
  Evidence e{reason, Verdict::undecided, ""};
  const ContenderReport* causal = of_family(r, "causal");
  if (!causal) return e;
  const std::vector<double> own = scores(*causal, stage, group);
  if (own.empty()) return e;
  e.figure = fmt::format("Causal decoder {:.3f}", mean(own));
  std::vector<Against> all;
  for (const char* family : {"prefix", "encoder_decoder"}) {
    const ContenderReport* c = of_family(r, family);
    if (!c) continue;
    const std::vector<double> theirs = scores(*c, stage, group);
    if (theirs.size() != own.size()) continue;
    all.push_back({c, difference(estimate_of(theirs), estimate_of(own))});
    e.figure += fmt::format("; {} {:.3f}, which is {}", c->label, mean(theirs), in_words(all.back().d));
  }
  const auto ahead = [](const Against& a) { return a.d.significant() && a.d.mean > 0; };
  const auto behind = [](const Against& a) { return a.d.significant() && a.d.mean < 0; };
  const bool any_ahead = std::ranges::any_of(all, ahead), all_behind = !all.empty() && std::ranges::all_of(all, behind);
  if (any_ahead) e.verdict = of_causal ? Verdict::contradicted : Verdict::supported;
  if (all_behind) e.verdict = of_causal ? Verdict::supported : Verdict::contradicted;
  e.figure += fmt::format(" (of 1, chance 0; {} seeds, {}).", own.size(), r.data);
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
  e.figure += ".";
  return e;
}

Evidence one_stack(const CompareReport& r) {
  Evidence e{"one_stack", Verdict::undecided, ""};
  const ContenderReport *causal = of_family(r, "causal"), *both = of_family(r, "encoder_decoder");
  if (!causal || !both) return e;
  const double ratio = double(both->parameters) / double(causal->parameters);
  std::string better;
  for (const DifferenceReport& d : r.differences) {
    const bool first = d.a == both->name;
    if (!d.significant || (first ? d.b : d.a) != causal->name || (!first && d.b != both->name)) continue;
    const auto use = std::ranges::find(r.uses, d.measure, &MeasureReport::name);
    if (use == r.uses.end()) continue;
    if ((first ? d.mean : -d.mean) * (use->lower_is_better ? -1 : 1) > 0)
      better += (better.empty() ? "" : ", ") + d.measure;
  }
  e.verdict = ratio <= 1 || !better.empty() ? Verdict::contradicted : Verdict::supported;
  e.figure = fmt::format(
      "At equal tokens the encoder-decoder has {:.1f} times the weights of the causal decoder, and is {}.", ratio,
      better.empty() ? "significantly better at nothing that was measured" : "significantly better to " + better);
  return e;
}

const char* in_words(Verdict v) {
  return v == Verdict::supported ? "supported" : v == Verdict::contradicted ? "contradicted" : "not decidable here";
}

}  // namespace

std::span<const Reason> reasons() { return kReasons; }

std::vector<Evidence> evidence_of(const CompareReport& r) {
  std::vector<Evidence> all = {scored(r, "zero_shot", "pretrained", "all", true),
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
  int counts[2][3] = {};
  for (const Reason& reason : kReasons) {
    const Evidence* evidence = nullptr;
    for (const Found& f : found) {
      const auto e = std::ranges::find(f.evidence, reason.name, &Evidence::reason);
      if (f.study == reason.study && e != f.evidence.end()) evidence = &*e;
    }
    const Verdict verdict = evidence ? evidence->verdict : Verdict::undecided;
    ++counts[reason.in_favour][int(verdict)];
    (reason.in_favour ? for_it : against)
        .rows.push_back({std::string(reason.claim), std::string(reason.by), std::string(reason.study),
                         evidence ? in_words(verdict) : "not measured"});
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
      fmt::format("Of the reasons for decoder-only models, at this size and on this text: {}. Of those against: {}.",
                  count(true), count(false)));
  r.tables = {for_it, against};
  for (const Found& f : found) r.method.push_back(fmt::format("{}: {} ({})", f.study, f.command, f.page));
  r.method.push_back(
      "Each verdict is made by its experiment, from figures with intervals over seeds: supported or contradicted only "
      "where an interval excludes the contrary and all seeds agree.");
  r.limits = {
      "Models of this size, minutes of training and one kind of text: a verdict says what is seen here, not what is "
      "true "
      "of models a million times larger. Reasons that need scale (abilities, the cost of serving millions) can only be "
      "touched.",
      "Triarch's own text asks for copying, which suits decoders: run `triarch compare YOUR-TEXT` and give its folder "
      "to "
      "`triarch study reasons` to see your own."};
  r.source = "As named with each reason.";
  return r;
}

}  // namespace triarch
