// A long work in independent parts, each a pure function of its name: it can be interrupted, goes on where it was, and
// several processes or machines can share it through its folder (study/queue.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/base/fields.h"

namespace triarch {

struct Part {
  std::string name;    // of a file, too
  double cost = 1;     // of all parts in the same unit: for the share of the work that is done
  int64_t tokens = 0;  // about as many as it will see
};

struct PartsState {
  int64_t done = 0, parts = 0;
  double share = 0;             // of all work
  int64_t tokens = 0;           // seen by all parts
  std::vector<size_t> running;  // here
  bool finished_one = false;
};

// Told now and then by a part, with the share of it that is done and the tokens that it has seen; false: stop.
using PartProgress = std::function<bool(double share, int64_t tokens)>;

struct PartEvents {
  std::function<void(const PartsState&)> progress;  // a few times a second, and after each part
  std::function<void(size_t part, const std::string& result)>
      finished;  // here or elsewhere, each once; before progress
};

// Works on what is left of the parts, each on one of `jobs` threads, and waits for those that other processes have
// claimed. `work` gives a part's result, or nothing if it was stopped. The folder is made a queue of them if it is none
// yet. False if a signal stopped it (base/signals.h).
bool work_on_parts(const std::filesystem::path& folder, std::span<const Part> parts, int jobs,
                   const std::function<std::optional<std::string>(size_t part, const PartProgress&)>& work,
                   const PartEvents& events);

// Where and how a study does its long work, and whom it tells.
struct StudyWork {
  std::filesystem::path folder;  // its parts are kept here
  int jobs = 1;
  std::function<void(const PartsState&)> progress;
  std::function<void(const std::string& what, const std::string& text)> say;  // the plan, before the work
};

// The parts' results in their order, of a type with fields; nothing if a signal stopped it.
template <class Result, class Work>
std::optional<std::vector<Result>> work_on(const StudyWork& study, std::span<const Part> parts, const Work& work) {
  std::vector<Result> results(parts.size());
  PartEvents events;
  events.progress = study.progress;
  events.finished = [&](size_t i, const std::string& text) { parse_json(text, parts[i].name + ".json", results[i]); };
  const bool all = work_on_parts(
      study.folder, parts, study.jobs,
      [&](size_t i, const PartProgress& going) -> std::optional<std::string> {
        const std::optional<Result> r = work(i, going);
        return r ? std::optional(to_json(*r)) : std::nullopt;
      },
      events);
  return all ? std::optional(std::move(results)) : std::nullopt;
}

}  // namespace triarch
