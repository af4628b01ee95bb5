#include "triarch/train/record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <vector>

#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/base/files.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

constexpr const char* metrics_name = "metrics.jsonl";

}  // namespace

RunRecord::RunRecord(const fs::path& run) : metrics_path_(run / metrics_name) {
  events_path_ = run / event_file_name(unix_seconds());
  open();
}

RunRecord::RunRecord(const fs::path& run, const RecordPosition& at)
    : metrics_path_(run / metrics_name),
      events_path_(run / (at.events_file.empty() ? event_file_name(unix_seconds()) : at.events_file)) {
  if (fs::exists(metrics_path_)) truncate_file(metrics_path_, uint64_t(at.metrics_bytes), "resume the run record");
  if (fs::exists(events_path_)) truncate_file(events_path_, uint64_t(at.events_bytes), "resume the run record");
  open();
}

RunRecord::~RunRecord() {
  if (metrics_ >= 0) ::close(metrics_);
  if (events_ >= 0) ::close(events_);
}

void RunRecord::open() {
  const auto open_one = [](const fs::path& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) fail("open the run record: cannot write '{}': {}", path.string(), std::strerror(errno));
    return fd;
  };
  metrics_ = open_one(metrics_path_);
  events_ = open_one(events_path_);
  if (::lseek(events_, 0, SEEK_END) == 0) append(events_, event_file_header(unix_seconds()), events_path_);
}

void RunRecord::append(int fd, const std::string& bytes, const fs::path& path) {
  const off_t before = ::lseek(fd, 0, SEEK_END);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      // No half line stays behind.
      if (::ftruncate(fd, before) != 0) errno = error;
      fail("write the run record: cannot write '{}': {}", path.string(), std::strerror(error));
    }
    done += size_t(n);
  }
}

void RunRecord::log(int64_t step, const std::vector<Metric>& metrics) {
  std::string line = fmt::format("{{\"step\": {}", step);
  for (const auto& [name, number] : metrics) {
    line += ", " + json_string(name) + ": " + (std::isfinite(number) ? fmt::format("{}", number) : "null");
  }
  append(metrics_, line + "}\n", metrics_path_);
  append(events_, event_record(unix_seconds(), step, metrics), events_path_);
}

void RunRecord::text(int64_t step, const std::string& name, const std::string& text) {
  append(metrics_, fmt::format("{{\"step\": {}, {}: {}}}\n", step, json_string(name), json_string(text)),
         metrics_path_);
}

RecordPosition RunRecord::sync() {
  if (::fsync(metrics_) != 0 || ::fsync(events_) != 0) {
    fail("write the run record: cannot sync '{}': {}", metrics_path_.string(), std::strerror(errno));
  }
  return {::lseek(metrics_, 0, SEEK_END), events_path_.filename().string(), ::lseek(events_, 0, SEEK_END)};
}

}  // namespace triarch
