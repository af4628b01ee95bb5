// Files and folders that are written completely or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace triarch {

// In all of these `what` opens the message of an error ("load tokenizer").

// The bytes of a file. Error if it is missing, a folder or unreadable.
std::string read_file(const std::filesystem::path& path, std::string_view what);

// A folder, and all above it.
void make_folders(const std::filesystem::path& path, std::string_view what);

// Writes all or nothing: to a temporary sibling, synced to disk, then renamed over `path`. After an
// error (full disk, read-only folder) or a crash at any moment the old file is whole.
void write_file(const std::filesystem::path& path, std::string_view bytes, std::string_view what);

// write_file in pieces. Without commit() nothing is left.
class AtomicFile {
 public:
  AtomicFile(std::filesystem::path path, std::string what);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void commit();

 private:
  void flush();
  [[noreturn]] void give_up(const char* step);

  std::filesystem::path path_, temporary_;
  std::string what_;
  std::string buffer_;
  int fd_ = -1;
};

// A folder that appears under its name complete or not at all. Write into path(), then commit(): everything in it is
// synced, and it takes the place of what had its name. Without commit() nothing is left, apart from after a crash: the
// temporary sibling <name>.tmp-<pid>-<8 hex digits>, which remove_leftovers() takes away.
class AtomicFolder {
 public:
  AtomicFolder(std::filesystem::path path, std::string what);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  std::string what_;
  bool done_ = false;
};

// Removes a folder and all in it, or nothing: it first loses its name, so a crash leaves a leftover, not a part of it.
void remove_folder(const std::filesystem::path& path, std::string_view what);

// Removes what an interrupted AtomicFile, AtomicFolder or remove_folder left inside `folder`; the number removed. Only
// for one who knows that no other process writes there: see FolderLock.
int remove_leftovers(const std::filesystem::path& folder);

// Makes and returns the first folder of prefix-0001, prefix-0002 ... that is not there yet, and all folders above it;
// of several processes that ask at once each gets one of its own.
std::filesystem::path new_folder(const std::string& prefix, std::string_view what);

// Makes the folder, if needed, and holds it until destroyed or the process ends; an error if another process does.
class FolderLock {
 public:
  static constexpr const char* kFile = ".lock";  // inside the folder; it stays
  FolderLock(const std::filesystem::path& folder, std::string_view what);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

// The bytes of a file as read-only memory, loaded as they are touched.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(const std::filesystem::path& path, std::string_view what);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept : bytes_(other.bytes_) { other.bytes_ = {}; }
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

// Shortens a file to `size` bytes and syncs it; an error if it is shorter.
void truncate_file(const std::filesystem::path& path, uint64_t size, std::string_view what);

}  // namespace triarch
