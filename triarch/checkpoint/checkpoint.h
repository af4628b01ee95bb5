// A checkpoint is a folder <run>/checkpoint-<step>/ that appears whole or not at all:
//
//   model.safetensors       weights                      config.yaml   what was run, resolved
//   optimizer.safetensors   its moments                  tokenizer.*   text <-> ids
//   state.json              step, tokens, data position, log position, precision, instruction set
//   manifest.json           size and hash of every other file; written last, checked on opening
//
// This file knows folders, names and hashes; what the files say is the caller's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "triarch/base/fields.h"
#include "triarch/base/files.h"
#include "triarch/checkpoint/safetensors.h"

namespace triarch {

namespace checkpoint_file {
inline constexpr const char* model = "model.safetensors";
inline constexpr const char* optimizer = "optimizer.safetensors";
inline constexpr const char* state = "state.json";
inline constexpr const char* config = "config.yaml";
inline constexpr const char* manifest = "manifest.json";
}  // namespace checkpoint_file

// Writes <run>/checkpoint-<step>. Without commit() nothing is left; an older checkpoint of the same step is replaced.
class CheckpointWriter {
 public:
  CheckpointWriter(const std::filesystem::path& run, int64_t step);

  // Where further files may be put (a tokenizer that saves itself).
  const std::filesystem::path& path() const { return folder_.path(); }
  void text(const std::string& name, std::string_view content);
  void tensors(const std::string& name, std::vector<NamedTensor> tensors, Metadata metadata = {});
  // Any struct with fields(), holding what is needed to go on.
  template <class T>
  void state(const T& state) {
    text(checkpoint_file::state, to_json(state) + "\n");
  }
  // Returns the folder's final path.
  std::filesystem::path commit();

 private:
  std::filesystem::path final_;
  AtomicFolder folder_;
  int64_t step_;
};

// An existing checkpoint. A missing, cut or changed file is an error with ExitCode::corrupt.
class Checkpoint {
 public:
  // All files have to be there in their length. `read`: those whose content is checked, too; all if none is named.
  explicit Checkpoint(const std::filesystem::path& folder, std::initializer_list<std::string_view> read = {});

  const std::filesystem::path& path() const { return path_; }
  int64_t step() const { return step_; }
  bool has(const std::string& name) const { return files_.count(name) > 0; }
  // Path of a file of the checkpoint; error if there is none of this name.
  std::filesystem::path file(const std::string& name) const;
  std::string text(const std::string& name) const;
  SafetensorsFile tensors(const std::string& name) const;
  template <class T>
  void state(T& state) const {
    parse_json(text(checkpoint_file::state), file(checkpoint_file::state).string(), state);
  }

 private:
  std::filesystem::path path_;
  int64_t step_ = 0;
  std::map<std::string, uint64_t> files_;  // name -> bytes
};

struct CheckpointPlace {
  int64_t step;
  std::filesystem::path path;
};
// The complete checkpoints of a run, oldest first (complete: with a manifest; their contents are checked on opening).
std::vector<CheckpointPlace> list_checkpoints(const std::filesystem::path& run);
std::optional<CheckpointPlace> newest_checkpoint(const std::filesystem::path& run);
// Which folder a person means: a checkpoint itself, or a run, whose newest it is. Error if there is none.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

// Removes all but the newest `limit` checkpoints (0 or less: keeps all) and the one of step `kept`. The caller
// holds the run's FolderLock.
void prune_checkpoints(const std::filesystem::path& run, int64_t limit, int64_t kept = -1);

}  // namespace triarch
