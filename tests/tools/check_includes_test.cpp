// tools/check_includes finds each kind of violation, and passes the tree it lives in.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/scratch.h"

namespace {

namespace fs = std::filesystem;

struct Outcome {
  int status;
  std::string output;
};

Outcome check(const fs::path& root) {
  const std::string command = "'" TRIARCH_SOURCE_DIR "/tools/check_includes' '" + root.string() + "' 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  return {::pclose(pipe), output};
}

class CheckIncludes : public ::testing::Test {
 protected:
  void SetUp() override { write("triarch/base/error.h", "#include <string>"); }
  void write(const std::string& path, const std::string& text) { scratch_.write(path, text + "\n"); }
  // The one message must name the file, its line and what is included.
  void expect_violation(const std::string& path, const std::string& text, const std::string& expected) {
    write(path, text);
    const Outcome found = check(root_);
    EXPECT_NE(found.status, 0) << path;
    EXPECT_NE(found.output.find(expected), std::string::npos) << found.output;
    fs::remove(root_ / path);
    EXPECT_EQ(check(root_).status, 0);
  }
  const triarch::Scratch scratch_;
  const fs::path root_ = scratch_.path();
};

TEST_F(CheckIncludes, ThisRepositoryPasses) {
  const Outcome found = check(TRIARCH_SOURCE_DIR);
  EXPECT_EQ(found.status, 0) << found.output;
}

TEST_F(CheckIncludes, FindsEachKind) {
  expect_violation("triarch/base/a.cpp", "#include \"triarch/tensor/dtype.h\"",
                   "triarch/base/a.cpp:1: includes triarch");
  expect_violation("triarch/inference/a.h", "\n#  include \"triarch/train/loop.h\"", "triarch/inference/a.h:2:");
  expect_violation("triarch/model/a.h", "#include \"triarch/data/corpus.h\"", "data/batch.h");
  expect_violation("triarch/kernels/cpu/a.cpp", "#include <vector>", "kernels/cpu includes only");
  expect_violation("triarch/kernels/cpu/a.cpp", "#include \"triarch/base/error.h\"", "kernels/cpu includes only");
  expect_violation("triarch/autograd/a.cpp", "#include \"triarch/kernels/cpu/simd.h\"", "only kernels/cpu itself");
  expect_violation("triarch/base/a.h", "#include <yaml-cpp/yaml.h>", "headers leave this library");
  expect_violation("triarch/attic/a.h", "", "is in no room");
}

TEST_F(CheckIncludes, AllowsWhatTheTableLists) {
  write("triarch/model/a.h", "#include \"triarch/data/batch.h\"\n#include \"triarch/autograd/tape.h\"");
  write("triarch/kernels/cpu/a.cpp", "#include <cmath>\n#include \"triarch/kernels/norm.h\"");
  write("triarch/base/a.cpp", "#include <yaml-cpp/yaml.h>\n#include <vector>");
  EXPECT_EQ(check(root_).status, 0);
}

}  // namespace
