#include "triarch/base/machine.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

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

// The number that a file begins with; none if it is missing or says "max".
std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t value;
  if (file >> value) return value;
  return std::nullopt;
}

struct Group {
  fs::path folder;
  bool second;  // version 2 of control groups
};

// The groups that limit this process for a controller ("cpu", "memory"), with all above. Lines are
// "0::/path" (version 2) or "4:cpu,cpuacct:/path"; a container may see its own group as the root.
std::vector<Group> groups_of(const fs::path& root, const std::string& controller) {
  std::vector<Group> groups;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), next = line.find(':', first + 1);
    if (first == std::string::npos || next == std::string::npos) continue;
    const std::string names = line.substr(first + 1, next - first - 1);
    const bool second = names.empty() && line.starts_with("0:");
    if (!second && ("," + names + ",").find("," + controller + ",") == std::string::npos) continue;
    const fs::path base = root / "sys/fs/cgroup" / (second ? "" : controller);
    for (fs::path group = fs::path(line.substr(next + 1)).relative_path();; group = group.parent_path()) {
      groups.push_back({base / group, second});
      if (group.empty()) break;
    }
  }
  return groups;
}

// limit - used, where page cache that can be dropped is not used.
std::optional<int64_t> memory_left(const Group& g) {
  const auto limit = number_in(g.folder / (g.second ? "memory.max" : "memory.limit_in_bytes"));
  const auto used = number_in(g.folder / (g.second ? "memory.current" : "memory.usage_in_bytes"));
  if (!limit || !used) return std::nullopt;
  const int64_t cache = number_after(g.folder / "memory.stat", g.second ? "inactive_file" : "total_inactive_file");
  return std::max<int64_t>(0, *limit - *used + cache);
}

// Of as much time as one core has.
std::optional<double> quota_of(const Group& g) {
  std::optional<int64_t> quota, period;
  if (g.second) {
    std::ifstream file(g.folder / "cpu.max");  // "200000 100000", or "max 100000"
    int64_t a, b;
    if (file >> a >> b) quota = a, period = b;
  } else {
    quota = number_in(g.folder / "cpu.cfs_quota_us");  // -1: none
    period = number_in(g.folder / "cpu.cfs_period_us");
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return double(*quota) / double(*period);
}

}  // namespace

int64_t peak_memory() { return number_after("/proc/self/status", "VmHWM:") * 1024; }

int64_t available_memory(const fs::path& root) {
  int64_t available = number_after(root / "proc/meminfo", "MemAvailable:") * 1024;
  for (const Group& g : groups_of(root, "memory")) {
    if (const auto left = memory_left(g)) available = std::min(available, *left);
  }
  return available;
}

int available_cores(const fs::path& root) {
  cpu_set_t allowed;
  int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  for (const Group& g : groups_of(root, "cpu")) {
    if (const auto quota = quota_of(g)) cores = std::min(cores, int(std::min(std::ceil(*quota), 1e6)));
  }
  return std::max(1, cores);
}

}  // namespace triarch
