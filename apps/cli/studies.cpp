#include "apps/cli/studies.h"

#include <fmt/format.h>

#include <algorithm>

#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/base/threads.h"
#include "triarch/report/study.h"
#include "triarch/study/cache_study.h"
#include "triarch/study/collapse.h"
#include "triarch/study/cost.h"
#include "triarch/study/emergence.h"
#include "triarch/study/forward_backward.h"
#include "triarch/study/icl.h"
#include "triarch/study/multimodal.h"
#include "triarch/study/rank.h"
#include "triarch/study/regression.h"
#include "triarch/study/sorting.h"
#include "triarch/study/sweep.h"

namespace triarch::cli {
namespace {

using Outcome = std::optional<StudyReport>;

// Before the long form; the models that are trained first are not in it.
void announce(const StudyWork& work, double seconds) {
  work.say("takes", fmt::format("about {} on {} thread{}, by timing a small part of it", human_duration(seconds),
                                thread_count(), thread_count() == 1 ? "" : "s"));
}

Outcome rank(const StudyOptions& o, const StudyWork& work) {
  RankOptions options;
  if (o.full) {
    options.lengths = {32, 64, 128, 256, 512, 1024};
    options.draws = 16;
    options.sharpness = {0.0625, 0.125, 0.25, 0.5, 0.71, 1, 1.41, 2, 4, 8, 16};
    announce(work, rank_seconds(options));
  }
  const auto s = studied(o);
  return s ? rank_study(s->models, options) : std::nullopt;
}

Outcome attention(const StudyOptions& o, const StudyWork& work) {
  StudyOptions options = o;
  if (o.full) {
    options.heads = true;
    options.texts = std::max<int64_t>(o.texts, 128);
    work.say("takes", "seconds more than the default: a picture of every head, shares over 128 texts");
  }
  const auto s = studied(options);
  return s ? Outcome(attention_study(s->models, options.heads)) : std::nullopt;
}

Outcome collapse(const StudyOptions& o, const StudyWork& work) {
  CollapseOptions options;
  SortingOptions sorting;
  if (o.full) {
    options.width = 128, options.layers = 24, options.length = 96, options.seeds = 8;
    sorting.passes = 65, sorting.seeds = 10, sorting.draws = 20;
    announce(work, collapse_seconds(options) + sorting_seconds(sorting, work.jobs));
  }
  const auto s = studied(o);
  if (!s) return std::nullopt;
  const auto sorted = learn_to_sort(sorting, work);
  if (!sorted) return std::nullopt;
  Outcome report = collapse_study(s->models, options);
  if (report) add_sorting(sorting, *sorted, *report);
  return report;
}

Outcome cache(const StudyOptions& o, const StudyWork& work) {
  if (!o.models.empty()) {
    fail(ExitCode::usage, "study cache: expected no model, since cost does not depend on weights, found '{}'",
         o.models.front());
  }
  CacheOptions options;
  if (o.full) {
    options.width = 512, options.layers = 8, options.lengths = {64, 256, 1024, 2048, 4096};
    options.turns = 16, options.repeats = 5;
    announce(work, cache_seconds(options));
  }
  return cache_study(options);
}

// What learns from a text of its own has no use for models that have learnt.
void expect_no_models(const StudyOptions& o) {
  if (o.models.empty()) return;
  fail(ExitCode::usage, "study {}: it trains its own models; leave out '{}'", o.name, o.models.front());
}

Outcome forward_backward(const StudyOptions& o, const StudyWork& work) {
  expect_no_models(o);
  ForwardBackwardOptions options;
  options.text = o.text;
  if (o.full) options.tokens = 500'000, options.width = 128, options.layers = 4;
  if (o.tokens > 0) options.tokens = o.tokens;
  return forward_backward_study(options, work);
}

Outcome emergence(const StudyOptions& o, const StudyWork& work) {
  expect_no_models(o);
  if (o.full && o.tokens > 0) fail(ExitCode::usage, "study emergence: --full is --tokens 4000000; give one of them");
  EmergenceOptions options;
  const int64_t last = options.ladder.back().tokens, tokens = o.tokens > 0 ? o.tokens : (o.full ? 8 : 1) * last;
  if (tokens < 50'000) fail(ExitCode::usage, "study emergence: expected at least --tokens 50000, found {}", o.tokens);
  for (Rung& g : options.ladder) g.tokens = g.tokens * tokens / last;
  return emergence_study(options, work);
}

Outcome cost(const StudyOptions& o, const StudyWork& work) {
  expect_no_models(o);
  CostOptions options;
  options.text = o.text;
  options.watts = o.watts;
  if (o.full) options.tokens = 1'500'000, options.items = 24;
  if (o.tokens > 0) options.tokens = o.tokens;
  return cost_study(options, work);
}

Outcome icl(const StudyOptions& o, const StudyWork& work) {
  expect_no_models(o);
  IclOptions options;
  if (o.full) {
    work.say("takes", "about 20 minutes on 2 cores");
    options.steps = 2000, options.demonstrations = 16, options.seeds = 5, options.tasks = 64;
  }
  return icl_study(options, work);
}

Outcome regression(const StudyOptions& o, const StudyWork& work) {
  expect_no_models(o);
  RegressionOptions options;
  if (o.full) {
    work.say("takes", "about 15 minutes on 2 cores");
    options.steps = 4000, options.seeds = 5, options.tasks = 1024;
  }
  return regression_study(options, work);
}

Outcome multimodal(const StudyOptions& o, const StudyWork& work) {
  if (!o.models.empty() || (!o.images.empty() && !o.sounds.empty())) {
    fail(ExitCode::usage, "study multimodal: expected no model, and --images, --sounds or neither");
  }
  MultimodalOptions options;
  if (o.full) {
    work.say("takes", "about 7 minutes on 2 cores");
    options.steps = 1500, options.seeds = 5;
  }
  const int64_t items = o.full ? 1000 : 250;
  return multimodal_study(!o.images.empty()   ? picture_task(o.images, 4 * items)
                          : !o.sounds.empty() ? sound_task(o.sounds, 4 * items)
                                              : scene_task(items),
                          options, work);
}

const Study kStudies[] = {
    {"rank", "singular values of attention, by what rows may look at", 0.5, rank},
    {"attention", "pictures of who looks at whom", 0.3, attention},
    {"collapse", "do rows become alike without skips and feed-forward layers", 1, collapse},
    {"cache", "what keeping keys and values saves, by family", 0.4, cache},
    {"forward-backward", "attention half to the left, half to the right; do blanks spoil a generator", 2.5,
     forward_backward},
    {"emergence", "do abilities come suddenly with size, or only under exact match", 2.5, emergence},
    {"cost", "what training each family costs until it reaches a target", 2.5, cost},
    {"icl", "are demonstrations in context what finetuning on them is", 3, icl},
    {"regression", "do pairs that see one another make better in-context regression", 3, regression},
    {"multimodal", "an encoder before the decoder, or pictures and sounds as its prefix", 2.5, multimodal},
    {"reasons", "all of them together: every reason for and against decoder-only, with a verdict", 12, reasons},
};

// What was asked, as a command: everything that is not its default.
std::string command_of(const StudyOptions& o) {
  std::string out = "triarch study " + o.name;
  for (const std::string& m : o.models) out += " " + shell_word(m);
  const StudyOptions usual;
  const std::vector<Field> asked = fields_of(const_cast<StudyOptions&>(o));
  const std::vector<Field> defaults = fields_of(const_cast<StudyOptions&>(usual));
  for (size_t i = 0; i < asked.size(); ++i) {
    const Field& f = asked[i];
    if (f.kind() != Field::Kind::scalar || f.name == "name" || f.print() == defaults[i].print()) continue;
    out += " --" + f.name;
    if (f.print() != "true") out += " " + shell_word(f.print());
  }
  return out;
}

}  // namespace

std::span<const Study> studies() { return kStudies; }

const Study& study_of(const std::string& name) {
  std::vector<std::string> names;
  for (const Study& s : kStudies) {
    if (s.name == name) return s;
    names.push_back(s.name);
  }
  fail(ExitCode::usage, "study: expected one of {}, found {}{}; `triarch study --help` says what each is",
       fmt::join(names, ", "), name.empty() ? "none" : "'" + name + "'", did_you_mean(name, names));
}

std::optional<StudyReport> perform(const StudyOptions& options, const StudyWork& work) {
  const Study& study = study_of(options.name);
  make_folders(work.folder, "study");
  const std::filesystem::path config = work.folder / "config.yaml";
  if (std::filesystem::exists(config)) {
    StudyOptions begun;
    load_yaml(config, begun);
    if (to_yaml(begun) != to_yaml(options)) {
      fail(ExitCode::usage, "study: '{}' holds what `{}` found, not `{}`; take another --output-dir",
           work.folder.string(), command_of(begun), command_of(options));
    }
  }
  write_file(config, to_yaml(options), "study");
  std::optional<StudyReport> report = study.run(options, work);
  if (!report) return std::nullopt;
  report->command = command_of(options);
  const std::string json = to_json(*report);
  write_file(work.folder / "study.json", json + "\n", "study");
  write_file(work.folder / "study.md", report::study_markdown(json), "study");
  write_file(work.folder / "study.html", report::study_page(json), "study");
  return report;
}

}  // namespace triarch::cli
