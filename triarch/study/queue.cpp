#include "triarch/study/queue.h"

#include <unistd.h>
#include <csignal>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <random>
#include <set>
#include <string_view>
#include <system_error>

#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

constexpr double kTouchSeconds = 5;
constexpr auto kSilence = std::chrono::seconds(120);

std::string host() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::vector<fs::path> paths_in(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    paths.push_back(it->path());
  }
  return paths;
}

}  // namespace

WorkQueue::WorkQueue(fs::path folder)
    : folder_(std::move(folder)), owner_(fmt::format("{}-{}.{:08x}", host(), ::getpid(), std::random_device{}())) {
  for (const char* part : {"queue", "working", "results"}) {
    if (!fs::is_directory(folder_ / part)) {
      fail(ExitCode::usage, "expected the folder of a comparison or study, found no {}/ in '{}'", part,
           folder_.string());
    }
  }
}

void WorkQueue::create(const fs::path& folder, const std::vector<std::string>& names) {
  for (const char* part : {"queue", "working", "results"}) make_folders(folder / part, "queue");
  // Names move from queue to working to results: read in this order, those that others move meanwhile are seen too.
  std::set<std::string> known;
  for (const char* part : {"queue", "working", "results"}) {
    for (const fs::path& path : paths_in(folder / part)) {
      const std::string file = path.filename().string();
      known.insert(part == std::string_view("queue")     ? file
                   : part == std::string_view("working") ? file.substr(0, file.rfind('@'))
                                                         : path.stem().string());
    }
  }
  for (const std::string& name : names) {
    if (!known.contains(name)) write_file(folder / "queue" / name, "", "shared work");
  }
}

fs::path WorkQueue::claim_path(const std::string& name) const { return folder_ / "working" / (name + "@" + owner_); }

std::optional<std::string> WorkQueue::claim(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::error_code error;
    // Who is second finds nothing to rename.
    fs::rename(folder_ / "queue" / name, claim_path(name), error);
    if (error) continue;
    fs::last_write_time(claim_path(name), fs::file_time_type::clock::now(), error);
    // Its former worker may have died between storing the result and dropping the claim.
    if (result(name)) {
      fs::remove(claim_path(name), error);
      continue;
    }
    return name;
  }
  return std::nullopt;
}

void WorkQueue::give_back(const std::string& name) {
  std::error_code error;
  fs::rename(claim_path(name), folder_ / "queue" / name, error);
}

void WorkQueue::finish(const std::string& name, const std::string& result) {
  write_file(folder_ / "results" / (name + ".json"), result, "shared work");
  std::error_code error;
  fs::remove(claim_path(name), error);
}

void WorkQueue::touch() {
  {
    const std::lock_guard lock(mutex_);
    const double now = steady_seconds();
    if (now - touched_ < kTouchSeconds) return;
    touched_ = now;
  }
  for (const fs::path& claim : paths_in(folder_ / "working")) {
    std::error_code ignored;
    if (claim.filename().string().ends_with("@" + owner_)) {
      fs::last_write_time(claim, fs::file_time_type::clock::now(), ignored);
    }
  }
}

void WorkQueue::recover() {
  for (const fs::path& claim : paths_in(folder_ / "working")) {
    const std::string file = claim.filename().string();
    const size_t at = file.rfind('@'), dash = file.rfind('-');
    if (at == std::string::npos || dash == std::string::npos || dash < at || file.substr(at + 1) == owner_) continue;
    pid_t process = 0;
    std::from_chars(file.data() + dash + 1, file.data() + file.size(), process);
    const bool here = file.substr(at + 1, dash - at - 1) == host();
    // A restarted container may give us the number of the one that died.
    const bool gone = here && process > 0 && (process == ::getpid() || (::kill(process, 0) != 0 && errno == ESRCH));
    std::error_code missing;
    const auto life = fs::last_write_time(claim, missing);
    if (missing) continue;
    if (!gone && fs::file_time_type::clock::now() - life < kSilence) continue;
    fs::rename(claim, folder_ / "queue" / file.substr(0, at), missing);
  }
}

std::optional<std::string> WorkQueue::result(const std::string& name) const {
  const fs::path path = folder_ / "results" / (name + ".json");
  if (!fs::exists(path)) return std::nullopt;
  return read_file(path, "shared work");
}

size_t WorkQueue::waiting() const { return paths_in(folder_ / "queue").size(); }

}  // namespace triarch
