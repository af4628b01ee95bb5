// What this process has taken of the machine, and what it may take. Limits of control groups (containers; both
// versions) hold too. `root` is where the system's files are, for tests.
#pragma once

#include <cstdint>
#include <filesystem>

namespace triarch {

// The most bytes that this process has had in main memory; 0 if the system does not tell.
int64_t peak_memory();
// The bytes that may still be taken without swapping; 0 if the system does not tell.
int64_t available_memory(const std::filesystem::path& root = "/");
// The cores whose time this process gets: those that it may run on, or fewer where a group has a quota of time (a part
// of a core counts as one); at least 1.
int available_cores(const std::filesystem::path& root = "/");

}  // namespace triarch
