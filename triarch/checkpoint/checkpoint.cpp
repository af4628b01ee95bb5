#include "triarch/checkpoint/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "triarch/base/error.h"
#include "triarch/base/hash.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* prefix = "checkpoint-";

struct Entry {
  uint64_t bytes;
  std::string hash;
};
struct Manifest {
  int64_t step = 0;
  std::map<std::string, Entry> files;
};

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }

// One way only to write it, with a hash of itself: a file that reads back as another text is damaged.
std::string render(const Manifest& manifest) {
  ordered_json json = {{"format", "triarch checkpoint 1"}, {"step", manifest.step}, {"files", ordered_json::object()}};
  for (const auto& [name, entry] : manifest.files) json["files"][name] = {{"bytes", entry.bytes}, {"hash", entry.hash}};
  json["hash"] = hex(hash64(json.dump()));
  return json.dump(2) + "\n";
}

Manifest parse_manifest(const fs::path& path) {
  const std::string text = read_file(path, "open checkpoint");
  Manifest manifest;
  std::string again;
  try {
    const auto json = nlohmann::json::parse(text);
    manifest.step = json.at("step").get<int64_t>();
    for (const auto& [name, entry] : json.at("files").items()) {
      manifest.files[name] = {entry.at("bytes").get<uint64_t>(), entry.at("hash").get<std::string>()};
    }
    again = render(manifest);
  } catch (const nlohmann::json::exception& e) {
    fail(ExitCode::corrupt, "open checkpoint: '{}' is damaged: {}", path.string(), e.what());
  }
  if (again != text) {
    fail(ExitCode::corrupt, "open checkpoint: '{}' is damaged: expected the hash of its own text, found another",
         path.string());
  }
  return manifest;
}

// "checkpoint-120" -> 120
std::optional<int64_t> step_of(const std::string& name) {
  if (name.rfind(prefix, 0) != 0) return std::nullopt;
  const char* begin = name.data() + std::string_view(prefix).size();
  const char* end = name.data() + name.size();
  int64_t step;
  const auto [stop, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || stop != end || step < 0) return std::nullopt;
  return step;
}

}  // namespace

CheckpointWriter::CheckpointWriter(const fs::path& run, int64_t step)
    : final_(run / (prefix + std::to_string(step))), folder_(final_, "save checkpoint"), step_(step) {}

void CheckpointWriter::text(const std::string& name, std::string_view content) {
  write_file(path() / name, content, "save checkpoint");
}

void CheckpointWriter::tensors(const std::string& name, std::vector<NamedTensor> tensors, Metadata metadata) {
  write_safetensors(path() / name, std::move(tensors), std::move(metadata), "save checkpoint");
}

fs::path CheckpointWriter::commit() {
  Manifest manifest;
  manifest.step = step_;
  for (const auto& entry : fs::recursive_directory_iterator(path())) {
    if (!entry.is_regular_file()) continue;
    const MappedFile file(entry.path(), "save checkpoint");
    manifest.files[entry.path().lexically_relative(path()).generic_string()] = {file.bytes().size(),
                                                                                hex(hash64(file.bytes()))};
  }
  text(checkpoint_file::manifest, render(manifest));
  folder_.commit();
  return final_;
}

Checkpoint::Checkpoint(const fs::path& folder, std::initializer_list<std::string_view> read) : path_(folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    fail("open checkpoint: expected a folder at '{}', found none", folder.string());
  if (!fs::exists(folder / checkpoint_file::manifest, ignored)) {
    fail(ExitCode::corrupt,
         "open checkpoint: '{}' has no {}: no checkpoint, or one that was never finished; take another of the run",
         folder.string(), checkpoint_file::manifest);
  }
  const Manifest manifest = parse_manifest(folder / checkpoint_file::manifest);
  step_ = manifest.step;
  for (std::string_view name : read) {
    if (!manifest.files.count(std::string(name))) {
      fail(ExitCode::corrupt, "open checkpoint: '{}' holds no {}", folder.string(), name);
    }
  }
  for (const auto& [name, entry] : manifest.files) {
    const fs::path file = folder / name;
    if (!fs::exists(file, ignored)) {
      fail(ExitCode::corrupt, "open checkpoint: '{}' is missing; take another checkpoint of the run", file.string());
    }
    const MappedFile mapped(file, "open checkpoint");
    if (mapped.bytes().size() != entry.bytes) {
      fail(ExitCode::corrupt,
           "open checkpoint: '{}' is damaged: expected {} bytes, found {}; take another checkpoint of the run",
           file.string(), entry.bytes, mapped.bytes().size());
    }
    files_[name] = entry.bytes;
    if (read.size() > 0 && std::find(read.begin(), read.end(), name) == read.end()) continue;
    const std::string hash = hex(hash64(mapped.bytes()));
    if (hash != entry.hash) {
      fail(ExitCode::corrupt,
           "open checkpoint: '{}' is damaged: expected content with hash {}, found {}; take another checkpoint of the "
           "run",
           file.string(), entry.hash, hash);
    }
  }
}

fs::path Checkpoint::file(const std::string& name) const {
  if (!has(name)) fail(ExitCode::corrupt, "open checkpoint: '{}' holds no {}", path_.string(), name);
  return path_ / name;
}

std::string Checkpoint::text(const std::string& name) const { return read_file(file(name), "open checkpoint"); }

SafetensorsFile Checkpoint::tensors(const std::string& name) const { return {file(name), "open checkpoint"}; }

std::vector<CheckpointPlace> list_checkpoints(const fs::path& run) {
  std::vector<CheckpointPlace> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run, ignored)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && fs::exists(entry.path() / checkpoint_file::manifest, ignored)) found.push_back({*step, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

std::optional<CheckpointPlace> newest_checkpoint(const fs::path& run) {
  std::vector<CheckpointPlace> all = list_checkpoints(run);
  if (all.empty()) return std::nullopt;
  return all.back();
}

fs::path resolve_checkpoint(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path / checkpoint_file::manifest, ignored)) return path;
  if (const auto newest = newest_checkpoint(path)) return newest->path;
  if (!fs::exists(path, ignored)) fail("open checkpoint: there is nothing at '{}'", path.string());
  fail("open checkpoint: '{}' is no checkpoint and holds none; expected a folder with {}, or with folders {}<step>",
       path.string(), checkpoint_file::manifest, prefix);
}

void prune_checkpoints(const fs::path& run, int64_t limit, int64_t kept) {
  if (limit <= 0) return;
  const std::vector<CheckpointPlace> all = list_checkpoints(run);
  for (size_t i = 0; i + size_t(limit) < all.size(); ++i) {
    if (all[i].step != kept) remove_folder(all[i].path, "remove an old checkpoint");
  }
}

}  // namespace triarch
