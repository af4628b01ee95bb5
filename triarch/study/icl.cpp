#include "triarch/study/icl.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/study/contender.h"
#include "triarch/study/demonstrations.h"
#include "triarch/study/dual_form.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/trial_parts.h"

namespace triarch {
namespace {

constexpr Family kIclFamilies[] = {Family::causal, Family::prefix, Family::encoder_decoder};
constexpr const char* kUpdates[] = {kFinetuned, kShuffled, kOtherTask, kRandom, kReordered};

using IclSeeds = std::span<const IclResult>;  // one family
using Read = std::function<double(const IclResult&)>;

std::vector<double> read(IclSeeds seeds, const Read& f) {
  std::vector<double> out;
  for (const IclResult& r : seeds) out.push_back(f(r));
  return out;
}

std::string figure(IclSeeds seeds, Interval range, const Read& f) {
  return over_seeds(read(seeds, f), "{:.2f}", 1, range);
}

const IclUpdate& update_of(const IclResult& r, const std::string& name) {
  const auto u = std::ranges::find(r.updates, name, &IclUpdate::name);
  require(u != r.updates.end(), "icl: expected a result for '{}', found none", name);
  return *u;
}
double outputs_of(const IclAgreement& a) { return mean(a.outputs); }

Read accuracy(const char* name) {
  return [name](const IclResult& r) { return update_of(r, name).accuracy; };
}
Read outputs(const char* name, size_t place) {
  return [name, place](const IclResult& r) { return outputs_of(update_of(r, name).agreement[place]); };
}
// Whether a family's models learn from demonstrations at all: agreement with what is not there says nothing.
bool learns(IclSeeds seeds) {
  const double chance = 1 / double(DemonstrationWorld::kLabels);
  return mean(read(seeds, [](const IclResult& r) { return r.in_context; })) > 2 * chance;
}

const char* const kDrawing = R"svg(<svg viewBox="0 0 720 200" width="100%" role="img"
 aria-label="F(q) is W_ZSL q plus the sum over i of e_i times the inner product of x_i and q"
 font-family="inherit" font-size="14" fill="currentColor" text-anchor="middle">
<g fill="none" stroke="currentColor"><rect x="10" y="78" width="60" height="44" rx="6"/>
<rect x="140" y="10" width="300" height="48" rx="6"/><rect x="140" y="96" width="300" height="96" rx="6"/>
<circle cx="530" cy="100" r="16"/><rect x="610" y="78" width="100" height="44" rx="6"/>
<path d="M70 100 H105 V34 H140 M105 100 V144 H140 M440 34 H530 V84 M440 144 H530 V116 M546 100 H610"/></g>
<text x="40" y="105">q</text><text x="290" y="39">W_ZSL: the model as it is</text>
<text x="290" y="122">sum over i of e_i (x) x_i</text>
<text x="290" y="150" font-size="12">in context: value (x) key of demonstration i</text>
<text x="290" y="174" font-size="12">finetuned: error signal (x) input of example i</text>
<text x="530" y="105">+</text><text x="660" y="105">F(q)</text></svg>)svg";

void add_exact(StudyReport& r) {
  r.drawings.push_back({"The identity: F(q) = (W_ZSL + sum over i of e_i (x) x_i) q", kDrawing});
  r.tables.push_back(
      {"One formula, read twice: F(q) = (W_ZSL + sum over i of e_i (x) x_i) q",
       {"", "in context", "finetuned"},
       {{"i", "a demonstration's token x'_i", "an example x_i"},
        {"x_i", "its key W_K x'_i", "what the layer is given"},
        {"e_i", "its value W_V x'_i", "its error signal, -rate dL/dy_i"},
        {"W_ZSL", "values (x) keys of the query's own tokens", "the weights before the step"},
        {"sum of e_i (x) x_i", "dW_ICL: linear attention to demonstrations", "dW_FT: one gradient step"}}});
  DualForm worst;
  constexpr int kDraws = 5;
  for (uint64_t seed = 1; seed <= kDraws; ++seed) {
    const DualForm d = dual_form(seed);
    worst.attention = std::max(worst.attention, d.attention);
    worst.squared = std::max(worst.squared, d.squared);
    worst.entropy = std::max(worst.entropy, d.entropy);
    worst.softmax += d.softmax / kDraws;
  }
  r.tables.push_back(
      {fmt::format("The exact case: {} draws of random matrices, float64", kDraws),
       {"what is compared", "largest difference"},
       {{"linear attention over all tokens, (W_ZSL + dW_ICL) q", fmt::format("{:.0e}", worst.attention)},
        {"the same, a gradient step of W_ZSL on squared errors (gradient by differences)",
         fmt::format("{:.0e}", worst.squared)},
        {"a gradient step on cross-entropy (the engine's backward pass), linear attention to the examples",
         fmt::format("{:.0e}", worst.entropy)},
        {"softmax attention, (W_ZSL + dW_ICL) q", fmt::format("{:.0f} % of its size", 100 * worst.softmax)}}});
  r.findings.push_back(fmt::format(
      "Linear attention to demonstrations is one gradient step: the two differ by {:.0e} at most. Softmax attention, "
      "which models have, is not of that form: it differs by {:.0f} % of its size.",
      std::max({worst.attention, worst.squared, worst.entropy}), 100 * worst.softmax));
}

void add_accuracies(const std::vector<IclSeeds>& families, StudyReport& r) {
  StudyTable table{"Right answers, by what was done with the demonstrations (chance: 0.25)",
                   {"family", "nothing", "in context"},
                   {}};
  for (const char* u : kUpdates) {
    if (u != kReordered) table.head.push_back(u);
  }
  table.head.push_back("rate");
  StudyTable recall{"Rec2FTP: of the answers that finetuning mends, how many are right in context",
                    {"family", "Rec2FTP", "in context, of all that were wrong", "difference", "seeds"},
                    {}};
  StudyChart chart{"Right answers by number of demonstrations in context", "demonstrations", "accuracy"};
  for (const IclSeeds& f : families) {
    const std::string title = title_of(f.front().family);
    std::vector<std::string> row = {title, figure(f, kShare, [](const IclResult& x) { return x.zero_shot; }),
                                    figure(f, kShare, [](const IclResult& x) { return x.in_context; })};
    for (const char* u : kUpdates) {
      if (u != kReordered) row.push_back(figure(f, kShare, accuracy(u)));
    }
    std::vector<std::string> rates;
    for (const IclResult& x : f) rates.push_back(fmt::format("{}", x.rate));
    row.push_back(fmt::format("{}", fmt::join(rates, ", ")));
    table.rows.push_back(row);

    std::vector<double> rec, base;  // of the seeds where finetuning mends any answer: else there is nothing to recall
    for (const IclResult& x : f) {
      const IclUpdate& u = update_of(x, kFinetuned);
      if (u.learnt == 0) continue;
      rec.push_back(double(u.recalled) / double(u.learnt));
      base.push_back(x.in_context_of_wrong);
    }
    const std::string seeds = fmt::format("{} of {}", rec.size(), f.size());
    if (rec.empty()) {
      recall.rows.push_back({title, "-", "-", "-", seeds});
    } else {
      recall.rows.push_back({title, over_seeds(rec, "{:.2f}", 1, kShare), over_seeds(base, "{:.2f}", 1, kShare),
                             over_seeds(minus(rec, base)), seeds});
    }

    StudySeries line;
    line.label = title;
    for (size_t k = 0; k < f.front().counts.size(); ++k) {
      line.x.push_back(double(f.front().counts[k]));
      line.y.push_back(mean(read(f, [k](const IclResult& x) { return x.by_count[k]; })));
    }
    chart.series.push_back(line);
    if (!learns(f)) {
      r.findings.push_back(fmt::format(
          "{}: did not learn to use demonstrations in so few steps; what is measured on it says nothing here.",
          sentence_case(title)));
      continue;
    }
    std::string sentence =
        fmt::format("{}: {:.0f} % right without demonstrations, {:.0f} % in context, {:.0f} % finetuned. ",
                    sentence_case(title), 100 * mean(read(f, [](const IclResult& x) { return x.zero_shot; })),
                    100 * mean(read(f, [](const IclResult& x) { return x.in_context; })),
                    100 * mean(read(f, accuracy(kFinetuned))));
    if (rec.empty()) {
      sentence += "Finetuning mends no answer, so there is no Rec2FTP.";
    } else {
      sentence += fmt::format("Rec2FTP is {:.0f} %, against {:.0f} % of all answers that were wrong: {}.",
                              100 * mean(rec), 100 * mean(base), told(paired(rec, base), "more", "less"));
    }
    r.findings.push_back(sentence);
  }
  r.tables.push_back(table);
  r.tables.push_back(recall);
  r.charts.push_back(chart);
}

const std::vector<IclAgreement>& places_of(IclSeeds seeds) { return seeds.front().updates.front().agreement; }

bool more(const std::vector<double>& a, const std::vector<double>& b) { return paired(a, b).above(); }
std::string places(const std::vector<std::string>& names) {
  return names.empty() ? "nowhere" : fmt::format("at: {}", fmt::join(names, "; "));
}

void add_outputs(const std::vector<IclSeeds>& families, StudyReport& r) {
  StudyTable table{
      "SimAOU: does an update move attention outputs where demonstrations move them", {"family", "at"}, {}};
  table.head.insert(table.head.end(), std::begin(kUpdates), std::end(kUpdates));
  StudyChart layers{"SimAOU of finetuning by layer", "layer", "cosine"};
  std::vector<std::string> values, beyond;
  for (const IclSeeds& f : families) {
    const std::string title = title_of(f.front().family);
    for (size_t p = 0; p < places_of(f).size(); ++p) {
      const IclAgreement& place = places_of(f)[p];
      table.rows.push_back({title, place.place});
      for (const char* u : kUpdates) table.rows.back().push_back(figure(f, kCosine, outputs(u, p)));
      StudySeries line;
      line.label = fmt::format("{}, {}", title, place.place);
      for (size_t l = 0; l < place.outputs.size(); ++l) {
        line.x.push_back(double(l + size_t(place.first_layer) + 1));
        line.y.push_back(mean(read(f, [=](const IclResult& x) { return x.updates.front().agreement[p].outputs[l]; })));
      }
      layers.series.push_back(line);
      if (!learns(f)) continue;
      const auto own = read(f, outputs(kFinetuned, p));
      values.push_back(fmt::format("{:.2f} ({})", mean(own), line.label));
      if (std::ranges::all_of(std::initializer_list<const char*>{kRandom, kOtherTask, kShuffled},
                              [&](const char* u) { return more(own, read(f, outputs(u, p))); })) {
        beyond.push_back(line.label);
      }
    }
  }
  if (!values.empty()) {
    r.findings.push_back(
        fmt::format("SimAOU of finetuning is {}. It is told apart as more than that of all three, a "
                    "random update, another task's and shuffled labels', {}.",
                    fmt::join(values, ", "), places(beyond)));
  }
  r.tables.push_back(table);
  r.charts.push_back(layers);

  // On the reason: more alike than what the controls do?
  const auto causal = std::ranges::find(families, Family::causal, [](IclSeeds s) { return s.front().family; });
  if (causal != families.end() && learns(*causal)) {
    std::vector<Difference> all;
    std::string others;
    for (const auto& [u, name] : {std::pair{kRandom, "a random update"}, std::pair{kShuffled, "shuffled labels"},
                                  std::pair{kOtherTask, "another task"}}) {
      all.push_back(paired(read(*causal, outputs(kFinetuned, 0)), read(*causal, outputs(u, 0))));
      others += fmt::format("; minus that of {}: {}", name, in_words(all.back()));
    }
    // More than every control; or less than one of them.
    const std::vector<bool> shown = claimed(all);
    bool less = false;
    for (size_t i = 0; i < all.size(); ++i) less = less || (shown[i] && all[i].mean < 0);
    r.evidence.push_back({"gradient_steps", less ? Verdict::contradicted : verdict_on_all(all, true),
                          fmt::format("Cosine of what demonstrations and what finetuning on them change in a causal "
                                      "decoder's attention: {}{}.",
                                      over_seeds(read(*causal, outputs(kFinetuned, 0))), others)});
  }

  // Is it more direct without an encoder in between? By what finetuning on this task adds to finetuning on any.
  const auto added = [](IclSeeds s) { return minus(read(s, outputs(kFinetuned, 0)), read(s, outputs(kOtherTask, 0))); };
  const auto ed = std::ranges::find(families, Family::encoder_decoder, [](IclSeeds s) { return s.front().family; });
  for (const IclSeeds& f : families) {
    if (ed == families.end() || f.front().family == Family::encoder_decoder || !learns(f) || !learns(*ed)) continue;
    const Difference d = paired(added(f), added(*ed));
    r.findings.push_back(
        fmt::format("Likeness beyond another task's, {} minus the encoder-decoder's cross attention: {}; {}.",
                    title_of(f.front().family), in_words(d),
                    told(d, "with an encoder in between, demonstrations do less of what finetuning does",
                         "with an encoder in between, they do more of it")));
  }
}

void add_weights(const std::vector<IclSeeds>& families, StudyReport& r) {
  StudyTable table{
      "SimAM: are scores to the query's tokens those of in-context learning", {"family", "at", "as it is"}, {}};
  table.head.insert(table.head.end(), std::begin(kUpdates), std::end(kUpdates));
  for (const IclSeeds& f : families) {
    for (size_t p = 0; p < places_of(f).size(); ++p) {
      if (!places_of(f)[p].weights) continue;
      table.rows.push_back({title_of(f.front().family), places_of(f)[p].place,
                            figure(f, kCosine, [p](const IclResult& x) { return x.weights_before[p]; })});
      for (const char* u : kUpdates) {
        table.rows.back().push_back(
            figure(f, kCosine, [=](const IclResult& x) { return *update_of(x, u).agreement[p].weights; }));
      }
    }
  }
  r.tables.push_back(table);
}

void add_taus(const std::vector<IclSeeds>& families, StudyReport& r) {
  StudyTable table{"Kendall's tau: attention in context, and inner products of the query's q with finetuning's",
                   {"family", "at", "over", kFinetuned, kShuffled, kOtherTask},
                   {}};
  std::vector<std::string> values, beyond_other, beyond_shuffled;
  for (const IclSeeds& f : families) {
    const std::string title = title_of(f.front().family);
    for (size_t p = 0; p < places_of(f).size(); ++p) {
      if (!places_of(f)[p].tau_tokens) continue;
      const auto tau = [&](const char* u, bool tokens) {
        return read(f, [=](const IclResult& x) {
          const IclAgreement& a = update_of(x, u).agreement[p];
          return tokens ? *a.tau_tokens : *a.tau_demonstrations;
        });
      };
      for (bool tokens : {true, false}) {
        table.rows.push_back({title, places_of(f)[p].place, tokens ? "tokens" : "demonstrations"});
        for (const char* u : {kFinetuned, kShuffled, kOtherTask}) {
          table.rows.back().push_back(over_seeds(tau(u, tokens), "{:.2f}", 1, kCosine));
        }
      }
      if (!learns(f)) continue;
      const auto own = tau(kFinetuned, false);
      values.push_back(fmt::format("{:.2f} ({})", mean(own), title));
      if (more(own, tau(kOtherTask, false))) beyond_other.push_back(title);
      if (more(own, tau(kShuffled, false))) beyond_shuffled.push_back(title);
    }
  }
  if (!values.empty()) {
    r.findings.push_back(
        fmt::format("Kendall's tau over demonstrations is {}. It is told apart as more than another "
                    "task's {}; as more than with labels shuffled {}.",
                    fmt::join(values, ", "), places(beyond_other), places(beyond_shuffled)));
  }
  r.tables.push_back(table);
}

void add_example(const IclOptions& o, StudyReport& r) {
  const DemonstrationWorld world;
  StudyTable table{"What a model is shown: three tasks, the first demonstrations of each and a query",
                   {"demonstrations", "query", "answer"},
                   {}};
  for (uint64_t t = 0; t < 3; ++t) {
    const DemonstrationTask task = world.task(Key(1, Purpose::test).with(t));
    Draw draw(Key(2, Purpose::test).with(t));
    const auto shown = world.balanced(task, size_t(std::min<int64_t>(4, o.demonstrations)), draw);
    const Demonstration query = world.draw(task, size_t(t) % DemonstrationWorld::kLabels, draw);
    const auto text = [&](const std::vector<int32_t>& ids) {
      const std::string s = world.tokenizer().decode(ids);
      return s.substr(s.find_first_not_of(' '));
    };
    std::vector<std::string> parts;
    for (const Demonstration& d : shown) parts.push_back(fmt::format("{} {}", text(d.words), text({d.label})));
    table.rows.push_back({fmt::format("{}", fmt::join(parts, ", ")), text(query.words), text({query.label})});
  }
  r.tables.push_back(table);
}

}  // namespace

StudyReport icl_report(const IclOptions& o, std::span<const IclResult> results) {
  StudyReport r;
  r.name = "icl";
  r.title = "In-context learning as implicit finetuning";
  r.question = "Does a model that is shown demonstrations do what finetuning on them would do to it?";
  r.source =
      "Dai et al. 2022 (arXiv 2212.10559): GPT 1.3B and 2.7B on six tasks: Rec2FTP 0.86 and 0.89, SimAOU 0.19 and "
      "0.23, SimAM 0.34 -> 0.44 and 0.36 -> 0.43, Kendall's tau 0.19 and 0.21.";
  add_exact(r);
  add_example(o, r);
  const std::vector<IclSeeds> families = grouped(results, [](const IclResult& x) { return x.family; });
  add_accuracies(families, r);
  add_outputs(families, r);
  add_weights(families, r);
  add_taus(families, r);
  r.method = {
      fmt::format(
          "Models: width {}, {} layers (in each stack), {} steps of {} documents, {} seeds. A document is a task: four "
          "of six topics get the labels A to D at random; {} demonstrations of two words and a label. They learn to "
          "predict labels, nothing else; without demonstrations nothing better than chance is possible. A causal "
          "decoder learns from each label of a document; the others have a random number of demonstrations in the "
          "prefix or encoder, and learn from the labels behind.",
          o.width, o.layers, o.steps, o.documents, o.seeds, o.demonstrations),
      fmt::format("Measured on {} tasks of {} queries, the same for all models. Intervals: over seeds, 95 %; "
                  "differences are taken seed by seed.",
                  o.tasks, o.queries),
      "Finetuned: SGD, one epoch, one demonstration per step in the order in which they are shown, zero-shot template, "
      "key and value projections only; the rate is the best of a grid on other tasks. Then the query without "
      "demonstrations.",
      "SimAOU: cosine of h_ICL - h_ZSL and h - h_ZSL, h what attention adds to the row that answers, of length 1; mean "
      "over layers. SimAM: cosine of the scores (before the softmax) from that row to the query's tokens, with ICL's; "
      "mean over heads and layers. Rec2FTP: share of the answers right after and wrong before finetuning that are "
      "right in context, over the seeds where there are any.",
      "Kendall's tau: attention in context, summed over heads, to each token (or all of a demonstration), and the "
      "inner product of the query's q in the finetuned model with the q of that token (or of the row that answered) at "
      "its step of finetuning. Queries are compared as attention has them, rotated by position.",
      "Controls: labels shuffled among the demonstrations; another task's demonstrations; normal numbers in place of "
      "the update, each projection's as large. Another order: the same demonstrations in context, shuffled: about as "
      "alike as anything can be.",
      "The encoder-decoder has the demonstrations in the encoder and the query in the decoder. Zero-shot and finetuned "
      "its encoder reads the end of a text and nothing else, so there cross attention gives every row the same. Its "
      "decoder's first self attention is not reached by demonstrations and left out."};
  r.limits = {
      "Small models made for one kind of task; the paper's are large and learnt from text. Alike directions do not "
      "show that a model computes gradients.",
      fmt::format(
          "{} seeds: small differences stay hidden. One way of finetuning; other rates and weights move outputs "
          "elsewhere.",
          o.seeds),
      "The identity holds for linear attention; the models have softmax attention, several layers and feed-forward "
      "layers between them."};
  return r;
}

std::optional<StudyReport> icl_study(const IclOptions& o, const StudyWork& work) {
  std::vector<Part> parts;
  std::vector<std::pair<Family, uint64_t>> of;
  for (Family f : kIclFamilies) {
    for (int64_t seed = 1; seed <= o.seeds; ++seed) {
      parts.push_back({fmt::format("{}-{}", enum_name(f), seed), f == Family::causal ? 1. : 1.3, 0});
      of.emplace_back(f, uint64_t(seed));
    }
  }
  const auto results = work_on<IclResult>(
      work, parts, [&](size_t i, const PartProgress& going) { return icl_trial(of[i].first, of[i].second, o, going); });
  return results ? std::optional(icl_report(o, *results)) : std::nullopt;
}

}  // namespace triarch
