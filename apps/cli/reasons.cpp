// triarch study reasons: finds what other studies have found, and runs those that are missing.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "apps/cli/comparing.h"
#include "apps/cli/loaded.h"
#include "apps/cli/studies.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/study/reasons.h"

namespace triarch::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kCompareMinutes = 3.5;  // the default, on 2 cores

// What lies in the folder of a study or a comparison; nothing if it is neither, or not finished, or says nothing on
// reasons.
std::optional<Found> found_in(const fs::path& folder) {
  Found f;
  if (const fs::path file = folder / "study.json"; fs::exists(file)) {
    StudyReport r;
    parse_json(read_file(file, "study"), file.string(), r);
    f = {r.name, "study.html", r.command, r.evidence};
  } else if (const fs::path report = folder / "report.json"; fs::exists(report)) {
    CompareReport r;
    parse_json(read_file(report, "study"), report.string(), r);
    if (r.finished < r.trials) return std::nullopt;
    f = {"compare", "report.html", r.command, evidence_of(r)};
  }
  if (f.evidence.empty()) return std::nullopt;
  f.page = (folder / f.page).string();
  return f;
}

// The newest below runs/ that is readable as of this version: of its own command, or run by an earlier `reasons`.
std::optional<Found> newest(const std::string& study) {
  const std::string prefix = study == "compare" ? "compare-" : "study-" + study + "-";
  std::vector<fs::path> folders;
  std::error_code error;
  for (auto at = fs::directory_iterator("runs", error); !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(prefix)) folders.push_back(at->path());
    if (name.starts_with("study-reasons-") && fs::exists(at->path() / study)) folders.push_back(at->path() / study);
  }
  std::ranges::sort(folders, std::greater(), [](const fs::path& p) { return fs::last_write_time(p); });
  for (const fs::path& folder : folders) {
    try {
      if (const auto f = found_in(folder); f && f->study == study) return f;
    } catch (const Error&) {  // of another version: another will do
    }
  }
  return std::nullopt;
}

// Runs it in a folder of its own; nothing if a signal stopped it.
bool run_missing(const std::string& study, const StudyOptions& o, StudyWork work) {
  if (study != "compare") {
    StudyOptions options;
    options.name = study;
    options.full = o.full;
    return perform(options, work).has_value();
  }
  const auto comparison = fs::exists(work.folder / "queue") ? Comparison::open(work.folder)
                                                            : Comparison::create({}, work.folder, work.jobs);
  if (!run_comparison(*comparison, work.jobs)) return false;
  write_report(*comparison);
  return true;
}

}  // namespace

std::optional<StudyReport> reasons(const StudyOptions& o, const StudyWork& work) {
  std::map<std::string, Found> known;
  for (const std::string& folder : o.models) {
    const auto f = found_in(folder);
    if (!f) {
      fail(ExitCode::usage,
           "study reasons: '{}': expected the folder of a finished study or comparison that says "
           "something on reasons, found none",
           folder);
    }
    known.insert_or_assign(f->study, *f);
  }
  // Cheap ones first.
  std::vector<std::pair<double, std::string>> wanted;
  for (const Reason& r : triarch::reasons()) {
    const std::string name(r.study);
    const auto s = std::ranges::find(studies(), name, &Study::name);
    const std::pair entry(s == studies().end() ? kCompareMinutes : s->minutes, name);
    if (std::ranges::find(wanted, entry) == wanted.end()) wanted.push_back(entry);
  }
  std::ranges::sort(wanted);
  double minutes = 0;
  std::vector<std::string> missing;
  for (const auto& [time, name] : wanted) {
    if (known.count(name)) continue;
    auto f = found_in(work.folder / name);  // of this very study, interrupted
    if (!f && !o.full) f = newest(name);
    if (f) {
      known[name] = *f;
      continue;
    }
    missing.push_back(name);
    minutes += time;
  }
  if (!missing.empty()) {
    work.say("plan", fmt::format("{} are missing and will be run{}", fmt::join(missing, ", "),
                                 o.full ? " in full: each says its time"
                                        : fmt::format(", about {}", human_duration(60 * minutes))));
  }
  for (const std::string& name : missing) {
    StudyWork part = work;
    part.folder = work.folder / name;
    work.say("runs", name);
    if (!run_missing(name, o, part)) return std::nullopt;
    known[name] = found_in(part.folder).value();
  }
  std::vector<Found> found;
  for (auto& [name, f] : known) {
    f.page = fs::absolute(f.page).lexically_normal().lexically_relative(fs::absolute(work.folder).lexically_normal());
    found.push_back(f);
  }
  return reasons_study(found);
}

}  // namespace triarch::cli
