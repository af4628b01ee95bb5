#include "triarch/base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "triarch/base/error.h"

namespace triarch {
namespace fs = std::filesystem;

namespace {

constexpr size_t buffer_bytes = 1 << 16;

// Closes what it holds, also when an exception passes.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(size_t(n));
  }
  return true;
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// The path without a slash at its end, so that a suffix makes a sibling.
fs::path without_slash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

// A new name reaches the disk with its folder. Some file systems cannot sync a folder (EINVAL): they need not.
bool sync_path(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.get() >= 0 && (::fsync(file.get()) == 0 || errno == EINVAL);
}

bool sync_tree(const fs::path& path) {
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::directory_iterator(path)) {
      if (!sync_tree(entry.path())) return false;
    }
  }
  return sync_path(path);
}

const char* reason() { return std::strerror(errno); }

// A sibling's name that nobody else takes, on this machine or another that writes there: <name>.tmp-<pid>-<8 hex>.
fs::path temporary_of(const fs::path& path) {
  return fmt::format("{}.tmp-{}-{:08x}", path.string(), ::getpid(), std::random_device{}());
}

bool is_temporary(std::string_view name) {
  const size_t at = name.rfind(".tmp-");
  if (at == std::string_view::npos) return false;
  name.remove_prefix(at + 5);
  const size_t dash = name.find_first_not_of("0123456789");
  return dash > 0 && dash != std::string_view::npos && name[dash] == '-' && name.size() == dash + 9 &&
         name.find_first_not_of("0123456789abcdef", dash + 1) == std::string_view::npos;
}

}  // namespace

void make_folders(const fs::path& path, std::string_view what) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail("{}: cannot create the folder '{}': {}", what, path.string(), error.message());
}

std::string read_file(const fs::path& path, std::string_view what) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) fail("{}: expected a file, found a folder at '{}'", what, path.string());
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail("{}: cannot open '{}': {}", what, path.string(), reason());
  std::string bytes;
  const uintmax_t size = fs::file_size(path, ignored);
  if (!ignored) bytes.reserve(size);
  char buffer[buffer_bytes];
  while (true) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("{}: cannot read '{}': {}", what, path.string(), reason());
    if (n == 0) return bytes;
    bytes.append(buffer, size_t(n));
  }
}

void write_file(const fs::path& path, std::string_view bytes, std::string_view what) {
  AtomicFile file(path, std::string(what));
  file.write(bytes);
  file.commit();
}

AtomicFile::AtomicFile(fs::path path, std::string what) : path_(std::move(path)), what_(std::move(what)) {
  do {
    temporary_ = temporary_of(path_);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) give_up("create");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::give_up(const char* step) {
  const int error = errno;
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
    fd_ = -1;
  }
  fail("{}: cannot {} '{}': {}; any earlier file there is unchanged", what_, step, path_.string(),
       std::strerror(error));
}

void AtomicFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > buffer_bytes) flush();
  if (bytes.size() < buffer_bytes) {
    buffer_ += bytes;
  } else if (!write_all(fd_, bytes)) {
    give_up("write");
  }
}

void AtomicFile::flush() {
  if (!write_all(fd_, buffer_)) give_up("write");
  buffer_.clear();
}

void AtomicFile::commit() {
  flush();
  if (::fsync(fd_) != 0) give_up("write");
  const int fd = fd_;
  // Some file systems report a full disk only on closing.
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fd_ = -1;
    errno = error;
    give_up("write");
  }
  fd_ = -1;
  sync_path(folder_of(path_));
}

AtomicFolder::AtomicFolder(fs::path path, std::string what) : path_(without_slash(path)), what_(std::move(what)) {
  make_folders(folder_of(path_), what_);
  std::error_code error;
  do {
    temporary_ = temporary_of(path_);
  } while (!fs::create_directory(temporary_, error) && !error);
  if (error) fail("{}: cannot create the folder '{}': {}", what_, temporary_.string(), error.message());
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!done_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  if (!sync_tree(temporary_)) fail("{}: cannot write '{}': {}", what_, temporary_.string(), reason());
  // rename() replaces no folder that holds something; exchanging the two names does, in one moment.
  bool exchanged = false;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) {
      fail("{}: cannot rename '{}' to '{}': {}", what_, temporary_.string(), path_.string(), reason());
    }
    exchanged = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0;
    if (!exchanged) {  // a file system without it: a short moment without either
      const fs::path old = temporary_of(path_);
      if (::rename(path_.c_str(), old.c_str()) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
        fail("{}: cannot replace '{}': {}", what_, path_.string(), reason());
      }
      std::error_code ignored;
      fs::remove_all(old, ignored);
    }
  }
  done_ = true;
  sync_path(folder_of(path_));
  std::error_code ignored;
  if (exchanged) fs::remove_all(temporary_, ignored);
}

void remove_folder(const fs::path& path, std::string_view what) {
  const fs::path nameless = temporary_of(without_slash(path));
  std::error_code error;
  fs::rename(path, nameless, error);
  if (!error) fs::remove_all(nameless, error);
  if (error) fail("{}: cannot remove the folder '{}': {}", what, path.string(), error.message());
}

int remove_leftovers(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (is_temporary(entry.path().filename().string())) found.push_back(entry.path());
  }
  for (const fs::path& path : found) fs::remove_all(path, ignored);
  return int(found.size());
}

fs::path new_folder(const std::string& prefix, std::string_view what) {
  make_folders(folder_of(prefix), what);
  for (int n = 1;; ++n) {
    const fs::path path = fmt::format("{}-{:04}", prefix, n);
    std::error_code error;
    if (fs::create_directory(path, error)) return path;
    // A file of that name is in the way, too.
    if (error && error != std::errc::file_exists) {
      fail("{}: cannot create the folder '{}': {}", what, path.string(), error.message());
    }
  }
}

FolderLock::FolderLock(const fs::path& folder, std::string_view what) {
  make_folders(folder, what);
  // A file, open for writing: network file systems lock nothing else.
  const fs::path file = folder / kFile;
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("{}: cannot open '{}': {}", what, file.string(), reason());
  // Some file systems have no locks at all: there one process must be enough.
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno == ENOSYS || errno == EOPNOTSUPP) return;
  const int error = errno;
  ::close(fd_);
  if (error != EWOULDBLOCK) fail("{}: cannot lock '{}': {}", what, file.string(), std::strerror(error));
  fail("{}: another process is writing into '{}'; wait for it or choose another folder", what, folder.string());
}

FolderLock::~FolderLock() { ::close(fd_); }

MappedFile::MappedFile(const fs::path& path, std::string_view what) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail("{}: cannot open '{}': {}", what, path.string(), reason());
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail("{}: cannot read '{}': {}", what, path.string(), reason());
  if (!S_ISREG(status.st_mode)) fail("{}: expected a file at '{}', found a folder or a device", what, path.string());
  if (status.st_size == 0) return;
  void* address = ::mmap(nullptr, size_t(status.st_size), PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail("{}: cannot map '{}': {}", what, path.string(), reason());
  bytes_ = {static_cast<const char*>(address), size_t(status.st_size)};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

void truncate_file(const fs::path& path, uint64_t size, std::string_view what) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  struct stat status;
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    fail("{}: cannot open '{}': {}", what, path.string(), reason());
  }
  if (uint64_t(status.st_size) < size) {
    fail(ExitCode::corrupt, "{}: '{}' is damaged: expected at least {} bytes, found {}", what, path.string(), size,
         status.st_size);
  }
  if (::ftruncate(file.get(), off_t(size)) != 0 || ::fsync(file.get()) != 0) {
    fail("{}: cannot shorten '{}': {}", what, path.string(), reason());
  }
}

}  // namespace triarch
