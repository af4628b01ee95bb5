#include "triarch/base/memory.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace triarch {
namespace {

namespace fs = std::filesystem;

// The number after `key` in a file of "key value" lines, or 0.
int64_t number_after(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    if (word != key) continue;
    int64_t value = 0;
    file >> value;
    return value;
  }
  return 0;
}

// A file that holds one number; none if it is missing or says "max".
std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t value;
  if (file >> value) return value;
  return std::nullopt;
}

// What a control group (version 2) leaves: limit - used, where page cache that can be dropped is not used.
std::optional<int64_t> left_in_group(const fs::path& group) {
  const auto limit = number_in(group / "memory.max"), used = number_in(group / "memory.current");
  if (!limit || !used) return std::nullopt;
  return std::max<int64_t>(0, *limit - *used + number_after(group / "memory.stat", "inactive_file"));
}

}  // namespace

int64_t peak_memory() { return number_after("/proc/self/status", "VmHWM:") * 1024; }

int64_t available_memory() {
  int64_t available = number_after("/proc/meminfo", "MemAvailable:") * 1024;
  const fs::path root = "/sys/fs/cgroup";
  // One line "0::/path"; the limits of all groups above hold too.
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("0::/", 0) != 0) continue;
    for (fs::path group = fs::path(line.substr(4)).relative_path();; group = group.parent_path()) {
      if (const auto left = left_in_group(root / group)) available = std::min(available, *left);
      if (group.empty()) break;
    }
  }
  return available;
}

}  // namespace triarch
