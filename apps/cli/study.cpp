// triarch study: the reasons given for one family or another, as experiments.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/studies.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/base/signals.h"
#include "triarch/base/threads.h"
#include "triarch/report/study.h"
#include "triarch/train/progress.h"

namespace triarch::cli {
namespace {

namespace fs = std::filesystem;

struct StudyFlags {
  StudyOptions options;
  std::string output, resume;
  int jobs = 0;
  bool json = false;
};

// A folder in which nothing was found yet, only what was asked.
void forget_unbegun(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename() != "config.yaml") return;
  }
  fs::remove_all(folder, ignored);
}

ExitCode run_study(const StudyFlags& f) {
  StudyOptions o = f.options;
  StudyWork work;
  work.folder = f.output;
  if (!f.resume.empty()) {
    if (!o.name.empty()) {
      fail(ExitCode::usage, "study: --resume goes on with what '{}' was asked; leave out the name and settings",
           f.resume);
    }
    work.folder = f.resume;
    load_yaml(work.folder / "config.yaml", o);
  }
  study_of(o.name);
  if (o.tokens < 0) fail(ExitCode::usage, "study: expected a positive number of --tokens, found {}", o.tokens);
  const bool fresh = work.folder.empty();
  if (fresh) work.folder = new_folder("runs/study-" + o.name, "study");
  work.jobs = f.jobs > 0 ? f.jobs : thread_count();
  work.say = say;
  std::unique_ptr<Progress> line;
  work.progress = [&](const PartsState& s) {
    if (!line) {
      line = std::make_unique<Progress>(s.parts);
      line->set_unit("part");
    }
    line->update(s.done, s.share, s.tokens, {}, s.finished_one);
    if (s.done == s.parts) line.reset();
  };
  std::optional<StudyReport> report;
  {
    const StopSignals signals;
    try {
      report = perform(o, work);
    } catch (...) {
      if (fresh) forget_unbegun(work.folder);
      throw;
    }
  }
  if (line) line->finish();
  if (!report) {
    say("stopped", "what is finished is kept; go on with: triarch study --resume " + work.folder.string());
    return stop_exit_code();
  }
  const std::string json = to_json(*report);
  std::cout << (f.json ? json + "\n" : report::study_text(json)) << std::flush;
  say("page", fs::absolute(work.folder / "study.html").lexically_normal().string());
  return ExitCode::ok;
}

}  // namespace

Action declare_study(Arguments& app) {
  auto f = std::make_shared<StudyFlags>();
  StudyOptions& o = f->options;
  std::string about = "Studies:\n";
  for (const Study& s : studies())
    about += fmt::format("  {:<18}{} (about {})\n", s.name, s.about, human_duration(60 * s.minutes));
  app.footer(about);
  app.add_option("NAME", o.name, "which one: see below");
  app.add_option("MODEL", o.models,
                 "folders of models; none: small ones are trained on the built-in world first. reasons: folders of "
                 "studies and of a comparison");
  app.add_option("--text", o.text, "what models are shown or learn from: a file, or the text itself");
  app.add_option("--images", o.images, "multimodal: labelled pictures, an IDX file or a folder of PNG files");
  app.add_option("--sounds", o.sounds, "multimodal: a folder of labelled WAV files");
  app.add_option("--length", o.length, "tokens of a text, at most; default: 48");
  app.add_option("--texts", o.texts, "texts, at most; default: 16");
  app.add_option("--tokens", o.tokens,
                 "tokens that each model learns from (emergence: the last of its ladder); default: by the study");
  app.add_option("--watts", o.watts, "cost: power of a busy core with its share of the machine; default: 10");
  app.add_flag("--heads", o.heads, "attention: a picture for every head");
  app.add_flag("--full", o.full, "larger, longer, more seeds: minutes to hours; the time is printed first");
  app.add_option("-j,--jobs", f->jobs, "parts at a time, each on one core; default: the cores this process may use");
  app.add_option("-o,--output-dir", f->output, "folder; default: runs/study-NAME-NNNN");
  app.add_option("--resume", f->resume, "go on with a study, or help another process with it: its folder");
  app.add_flag("--json", f->json, "print the record as one line of JSON");
  return [f] { return run_study(*f); };
}

}  // namespace triarch::cli
