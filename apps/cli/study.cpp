// triarch study: the reasons given for one family or another, as experiments.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/studied.h"
#include "triarch/base/files.h"
#include "triarch/base/signals.h"
#include "triarch/base/threads.h"
#include "triarch/report/study.h"
#include "triarch/study/cache_study.h"
#include "triarch/study/collapse.h"
#include "triarch/study/parts.h"
#include "triarch/study/rank.h"
#include "triarch/train/progress.h"

namespace triarch::cli {
namespace {

namespace fs = std::filesystem;

using Outcome = std::optional<StudyReport>;  // nothing if a signal stopped it

struct Study {
  std::string name, about;
  Outcome (*run)(const StudyOptions&, const StudyWork&);
};

Outcome rank(const StudyOptions& o, const StudyWork&) {
  const auto s = studied(o);
  if (!s) return std::nullopt;
  RankOptions options;
  if (o.full) options.lengths = {32, 64, 128, 256, 512, 1024}, options.draws = 16;
  return rank_study(s->models, options);
}

Outcome attention(const StudyOptions& o, const StudyWork&) {
  const auto s = studied(o);
  return s ? Outcome(attention_study(s->models, o.heads)) : std::nullopt;
}

Outcome collapse(const StudyOptions& o, const StudyWork&) {
  const auto s = studied(o);
  if (!s) return std::nullopt;
  CollapseOptions options;
  if (o.full) options.width = 256, options.layers = 24, options.length = 128, options.seeds = 10;
  return collapse_study(s->models, options);
}

Outcome cache(const StudyOptions& o, const StudyWork&) {
  if (!o.models.empty()) {
    fail(ExitCode::usage, "study cache: expected no model, since cost does not depend on weights, found '{}'",
         o.models.front());
  }
  CacheOptions options;
  if (o.full)
    options.width = 512, options.layers = 8, options.lengths = {64, 256, 1024, 2048, 4096}, options.repeats = 5;
  return cache_study(options);
}

const Study kStudies[] = {
    {"rank", "singular values of attention, by what rows may look at", rank},
    {"attention", "pictures of who looks at whom", attention},
    {"collapse", "do rows become alike without skips and feed-forward layers", collapse},
    {"cache", "what keeping keys and values saves, by family", cache},
};

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const Study& s : kStudies) out.push_back(s.name);
  return out;
}

fs::path new_folder(const std::string& name) {
  fs::path folder;
  for (int n = 1; n == 1 || fs::exists(folder); ++n) folder = fmt::format("runs/study-{}-{:04}", name, n);
  return folder;
}

ExitCode publish(const StudyOptions& o, StudyReport report, const fs::path& folder, bool as_json) {
  report.command = "triarch study " + o.name;
  for (const std::string& m : o.models) report.command += " " + m;
  if (!o.text.empty()) report.command += fmt::format(" --text '{}'", o.text);
  if (o.heads) report.command += " --heads";
  if (o.full) report.command += " --full";
  const std::string json = to_json(report);
  write_file(folder / "study.json", json + "\n", "study");
  write_file(folder / "study.md", report::study_markdown(json), "study");
  write_file(folder / "study.html", report::study_page(json), "study");
  std::cout << (as_json ? json + "\n" : report::study_text(json)) << std::flush;
  say("page", fs::absolute(folder / "study.html").lexically_normal().string());
  return ExitCode::ok;
}

ExitCode run(StudyOptions o, std::string output, const std::string& resume, int jobs, bool as_json) {
  if (!resume.empty()) {
    if (!o.name.empty()) {
      fail(ExitCode::usage, "study: --resume goes on with what '{}' was asked; leave out the name and settings",
           resume);
    }
    load_yaml(fs::path(resume) / "config.yaml", o);
    output = resume;
  }
  const auto study = std::ranges::find(kStudies, o.name, &Study::name);
  if (study == std::end(kStudies)) {
    fail(ExitCode::usage, "study: expected one of {}, found '{}'{}", fmt::join(names(), ", "), o.name,
         did_you_mean(o.name, names()));
  }
  StudyWork work;
  work.folder = output.empty() ? new_folder(o.name) : fs::path(output);
  work.jobs = jobs > 0 ? jobs : thread_count();
  std::error_code error;
  fs::create_directories(work.folder, error);
  require(!error, "study: could not make the folder '{}': {}", work.folder.string(), error.message());
  write_file(work.folder / "config.yaml", to_yaml(o), "study");

  std::unique_ptr<Progress> line;
  work.say = say;
  work.progress = [&](const PartsState& s) {
    if (!line) {
      line = std::make_unique<Progress>(s.parts);
      line->set_unit("part");
    }
    line->update(s.done, s.share, s.tokens, {}, s.finished_one);
  };
  Outcome report;
  {
    const StopSignals signals;
    report = study->run(o, work);
  }
  if (line) line->finish();
  if (!report) {
    if (line) say("stopped", "finished parts are kept; go on with: triarch study --resume " + work.folder.string());
    return stop_exit_code();
  }
  return publish(o, *std::move(report), work.folder, as_json);
}

}  // namespace

Action declare_study(CLI::App& app) {
  struct Flags {
    StudyOptions options;
    std::string output, resume;
    int jobs = 0;
    bool json = false;
  };
  auto f = std::make_shared<Flags>();
  StudyOptions& o = f->options;
  std::string about;
  for (const Study& s : kStudies) about += fmt::format("{}{} ({})", about.empty() ? "" : "; ", s.name, s.about);
  app.add_option("name", o.name, about);
  app.add_option("models", o.models, "folders of models; none: small ones are trained on the built-in world first");
  app.add_option("--text", o.text, "what models are shown: a file, or the text itself");
  app.add_option("--length", o.length, "tokens of a text, at most; default: 48");
  app.add_option("--texts", o.texts, "texts, at most; default: 16");
  app.add_option("--tokens", o.tokens, "tokens that small models learn from; default: 200000");
  app.add_flag("--heads", o.heads, "attention: a picture for every head");
  app.add_flag("--full", o.full, "larger, longer, more seeds: minutes to hours; the time is printed first");
  app.add_option("-j,--jobs", f->jobs, "parts at a time, each on one core; default: the cores this process may use");
  app.add_option("-o,--output-dir", f->output, "folder; default: runs/study-NAME-NNNN");
  app.add_option("--resume", f->resume, "go on with a study, or help another process with it: its folder");
  app.add_flag("--json", f->json, "print the record as one line of JSON");
  return [f] { return run(f->options, f->output, f->resume, f->jobs, f->json); };
}

}  // namespace triarch::cli
