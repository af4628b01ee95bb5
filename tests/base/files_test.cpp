// Files and folders that are written completely or not at all, and the hash that checks them.
#include "triarch/base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/hash.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  int entries() const { return int(std::distance(fs::directory_iterator(folder_), fs::directory_iterator())); }
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::string bytes_of(size_t n, char seed = 1) {
  std::string s(n, 0);
  for (size_t i = 0; i < n; ++i) s[i] = char(i * 31 + i / 257 + size_t(seed));
  return s;
}

TEST_F(Files, ReadsBackWhatWasWritten) {
  for (size_t n : {0ul, 1ul, 65535ul, 65536ul, 65537ul, 200001ul}) {
    write_file(folder_ / "f", bytes_of(n), "save");
    EXPECT_EQ(read_file(folder_ / "f", "load"), bytes_of(n));
    EXPECT_EQ(MappedFile(folder_ / "f", "load").bytes(), bytes_of(n));
  }
  AtomicFile file(folder_ / "g", "save");
  std::string all;
  for (size_t n : {3ul, 70000ul, 0ul, 40000ul, 40000ul, 1ul}) {
    file.write(bytes_of(n, char(n)));
    all += bytes_of(n, char(n));
  }
  EXPECT_FALSE(fs::exists(folder_ / "g"));
  file.commit();
  EXPECT_EQ(read_file(folder_ / "g", "load"), all);
  EXPECT_EQ(entries(), 2);
}

TEST_F(Files, WithoutCommitNothingIsLeft) {
  write_file(folder_ / "f", "old", "save");
  { AtomicFile(folder_ / "f", "save").write("new"); }
  EXPECT_EQ(read_file(folder_ / "f", "load"), "old");
  {
    AtomicFolder folder(folder_ / "c", "save");
    write_file(folder.path() / "x", "new", "save");
  }
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, ErrorsNameTheOperationAndThePath) {
  EXPECT_EQ(refusal([&] { read_file(folder_ / "none", "load x"); }),
            "load x: cannot open '" + (folder_ / "none").string() + "': No such file or directory");
  EXPECT_EQ(refusal([&] { read_file(folder_, "load x"); }),
            "load x: expected a file, found a folder at '" + folder_.string() + "'");
  EXPECT_NE(refusal([&] { MappedFile(folder_, "load x"); }), "");
  EXPECT_NE(refusal([&] { write_file(folder_ / "no" / "f", "x", "save x"); }).find("save x: cannot create"),
            std::string::npos);
  EXPECT_NE(refusal([&] { truncate_file(folder_ / "none", 1, "x"); }), "");
}

TEST_F(Files, FolderAppearsWholeAndReplaces) {
  for (const char* text : {"one", "two"}) {
    AtomicFolder folder(folder_ / "c/", "save");
    fs::create_directories(folder.path() / "inner");
    write_file(folder.path() / "inner" / "x", text, "save");
    if (std::string(text) == "two") {
      EXPECT_EQ(read_file(folder_ / "c" / "inner" / "x", "load"), "one");
    }
    folder.commit();
    EXPECT_EQ(read_file(folder_ / "c" / "inner" / "x", "load"), text);
    EXPECT_EQ(entries(), 1);
  }
}

// A file size limit stands for a full disk: write() fails in the middle.
TEST_F(Files, AFullDiskLeavesTheOldFile) {
  write_file(folder_ / "f", "old", "save");
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100000, 100000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = refusal([&] { write_file(folder_ / "f", bytes_of(300000), "save x"); });
    const bool good =
        message.find("save x: cannot write '" + (folder_ / "f").string() + "': File too large") == 0 && entries() == 1;
    ::_exit(good ? 0 : 1);
  }
  int status;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder_ / "f", "load"), "old");
}

TEST_F(Files, AReallyFullDisk) {
  const fs::path disk = folder_ / "disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=65536") != 0) GTEST_SKIP() << "mounting needs root";
  write_file(disk / "f", "old", "save");
  EXPECT_NE(refusal([&] { write_file(disk / "f", bytes_of(300000), "save x"); }).find("No space left on device"),
            std::string::npos);
  EXPECT_EQ(read_file(disk / "f", "load"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
  ::mount("none", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=65536");
  EXPECT_NE(refusal([&] { write_file(disk / "f", "new", "save x"); }).find("Read-only file system"), std::string::npos);
  EXPECT_NE(refusal([&] { AtomicFolder(disk / "c", "save x"); }).find("Read-only file system"), std::string::npos);
  EXPECT_EQ(read_file(disk / "f", "load"), "old");
  ::umount(disk.c_str());
}

TEST_F(Files, LeftoversGoAndNothingElse) {
  std::ofstream(folder_ / "f.tmp-123-0123abcd") << "x";
  fs::create_directories(folder_ / "checkpoint-7.tmp-9-00000000" / "inner");
  for (const char* mine : {"keep.txt", "notes.tmp-", "notes.tmp-3", "a.tmp-x-0123abcd", "b.tmp-3-0123abcd.txt"}) {
    std::ofstream(folder_ / mine) << "x";
  }
  EXPECT_EQ(remove_leftovers(folder_), 2);
  EXPECT_EQ(entries(), 5);
  EXPECT_EQ(remove_leftovers(folder_ / "none"), 0);
  // What is really left over.
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder_ / "f", "save");
    AtomicFolder folder(folder_ / "g", "save");
    ::_exit(0);
  }
  int status;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(entries(), 7);
  EXPECT_EQ(remove_leftovers(folder_), 2);
}

// As from two containers, whose process numbers are the same.
TEST_F(Files, TwoWritersDoNotMix) {
  AtomicFile one(folder_ / "f", "save"), two(folder_ / "f", "save");
  one.write(bytes_of(100000, 1));
  two.write(bytes_of(70000, 2));
  one.commit();
  EXPECT_EQ(read_file(folder_ / "f", "load"), bytes_of(100000, 1));
  two.commit();
  EXPECT_EQ(read_file(folder_ / "f", "load"), bytes_of(70000, 2));
  AtomicFolder first(folder_ / "g", "save"), second(folder_ / "g", "save");
  EXPECT_NE(first.path(), second.path());
}

TEST_F(Files, NewFoldersAreOnesOwn) {
  const std::string prefix = (folder_ / "runs" / "emma").string();
  EXPECT_EQ(new_folder(prefix, "train"), prefix + "-0001");
  EXPECT_EQ(new_folder(prefix, "train"), prefix + "-0002");
  std::ofstream(prefix + "-0003") << "x";
  EXPECT_EQ(new_folder(prefix, "train"), prefix + "-0004");
  EXPECT_NE(refusal([&] { new_folder("/proc/emma", "train"); }).find("train: cannot create the folder '/proc/emma-"),
            std::string::npos);
  // Many at once: none is given twice.
  for (int i = 0; i < 8; ++i) {
    if (::fork() == 0) {
      for (int n = 0; n < 20; ++n) std::ofstream(new_folder((folder_ / "many").string(), "train") / "mine") << "x";
      ::_exit(0);
    }
  }
  int status = 0;
  while (::wait(&status) > 0) EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::exists(folder_ / "many-0160" / "mine"));
  EXPECT_FALSE(fs::exists(folder_ / "many-0161"));
}

TEST_F(Files, OneProcessHoldsAFolder) {
  FolderLock lock(folder_ / "run", "train");
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string message = refusal([&] { FolderLock second(folder_ / "run", "train"); });
    ::_exit(message.find("another process is writing into") != std::string::npos ? 0 : 1);
  }
  int status;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(Files, Truncate) {
  write_file(folder_ / "f", "0123456789", "save");
  truncate_file(folder_ / "f", 4, "resume");
  EXPECT_EQ(read_file(folder_ / "f", "load"), "0123");
  EXPECT_NE(refusal([&] { truncate_file(folder_ / "f", 5, "resume"); }).find("expected at least 5 bytes, found 4"),
            std::string::npos);
}

TEST(Hash, PiecesDoNotMatter) {
  const std::string all = bytes_of(1000);
  const uint64_t whole = hash64(all);
  for (size_t cut = 0; cut <= 40; ++cut) {
    for (size_t second : {0ul, 1ul, 7ul, 8ul, 9ul, 100ul}) {
      Hasher h;
      h.add(std::string_view(all).substr(0, cut));
      h.add(std::string_view(all).substr(cut, second));
      h.add(std::string_view(all).substr(cut + second));
      EXPECT_EQ(h.value(), whole);
    }
  }
}

TEST(Hash, EveryBitLengthAndSeedMatters) {
  const std::string all = bytes_of(67);
  const uint64_t whole = hash64(all);
  for (size_t bit = 0; bit < all.size() * 8; ++bit) {
    std::string flipped = all;
    flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(hash64(flipped), whole);
  }
  for (size_t n = 0; n < all.size(); ++n) EXPECT_NE(hash64(all.substr(0, n)), whole);
  EXPECT_NE(hash64(all, 1), whole);
  EXPECT_NE(hash64(std::string(7, '\0')), hash64(std::string(8, '\0')));
  EXPECT_NE(hash64(""), hash64(std::string(1, '\0')));
}

}  // namespace
}  // namespace triarch
