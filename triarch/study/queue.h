// Work shared by threads, processes and machines through a folder, without a server or locks: a task is a file, and who
// renames it has it (a rename happens once). A worker that dies leaves its claim; others take it back.
//
//   queue/NAME                    waits
//   working/NAME@HOST-PROCESS.N   is being worked on, by one of a process's queues; touched now and then as a sign of
//                                 life
//   results/NAME.json             is done
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace triarch {

class WorkQueue {
 public:
  // An existing one.
  explicit WorkQueue(std::filesystem::path folder);
  // Makes the folders if there are none, and those of the tasks wait that are nowhere yet.
  static void create(const std::filesystem::path& folder, const std::vector<std::string>& names);

  // The first waiting task in the order of `names`; none if none waits.
  std::optional<std::string> claim(const std::vector<std::string>& names);
  // It waits again.
  void give_back(const std::string& name);
  // Stores the result, then drops the claim.
  void finish(const std::string& name, const std::string& result);
  // A sign of life of all that this process works on; cheap: the files are touched every few seconds only.
  void touch();
  // Takes back claims of processes that are gone from this machine, and of others without a sign of life for two
  // minutes.
  void recover();

  std::optional<std::string> result(const std::string& name) const;
  size_t waiting() const;

 private:
  std::filesystem::path claim_path(const std::string& name) const;
  std::filesystem::path folder_;
  std::string owner_;
  std::mutex mutex_;
  double touched_ = 0;
};

}  // namespace triarch
