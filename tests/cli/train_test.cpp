// The training verbs: what is refused, what is said, what flags replace.
#include "tests/cli/binary.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

void expect_refusal(const Ended& e, int code, const std::vector<std::string>& said) {
  EXPECT_EQ(e.code, code) << e.err;
  for (const std::string& s : said) EXPECT_NE(e.err.find(s), std::string::npos) << "expected " << s << " in " << e.err;
  EXPECT_EQ(e.out, "");
}

TEST(Training, AResumeKeepsTheRun) {
  const Scratch s;
  const std::string run = (s / "run").string();
  fs::copy(Models::path("causal"), run, fs::copy_options::recursive);
  const std::string file = s.write("other.yaml", "seed: 5\n");
  expect_refusal(triarch({"train", "--resume", run, "-c", file}), 2, {"other.yaml"});
  expect_refusal(triarch({"train", "--resume", run, "--seed", "7"}), 2, {"seed: 1 and 7"});
  expect_refusal(triarch({"train", "--resume", run, "--validation", "0.2"}), 2, {"data.validation"});
  expect_refusal(triarch({"train", "--resume", run, "--steps", "0"}), 2, {"budget"});
  expect_refusal(triarch({"train", "--resume", run, "--steps", "30"}), 2, {"budget.steps", "40", "30"});
  expect_refusal(triarch({"train", "--resume", run, "--output-dir", (s / "b").string()}), 2, {"output_dir"});
  // More time is from now on.
  const Ended more = triarch({"train", "--resume", run + "/", "--max-seconds", "0.2", "--json"});
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_GT(more.lines().at(0)["steps"], 40);
  EXPECT_NE(more.err.find("folder    "), std::string::npos) << more.err;
}

TEST(Training, FlagsReplaceWhatAFileSays) {
  const Scratch s;
  const std::string one = s.write("one.txt", small_text(400)), two = s.write("two.txt", small_text(300));
  const std::string file = s.write("run.yaml", "data:\n  inputs: [" + one + "]\nsize: tiny\n");
  const Ended e = triarch({"train", two, "-c", file, "--steps", "2", "--dump-config"});
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.out.find(two), std::string::npos) << e.out;
  EXPECT_EQ(e.out.find(one), std::string::npos) << e.out;
}

TEST(Training, WritesOverNothing) {
  const Scratch s;
  const std::string text = s.write("text.txt", small_text(400));
  const fs::path mine = s / "a \"folder\"";
  fs::create_directory(mine);
  write_file(mine / "config.yaml", "mine", "test");
  const auto train = [&] {
    return triarch({"train", text, "--size", "tiny", "--steps", "2", "--output-dir", mine.string(), "--json"});
  };
  expect_refusal(train(), 2, {"not empty", "--output-dir"});
  EXPECT_EQ(read_file(mine / "config.yaml", "test"), "mine");
  fs::remove(mine / "config.yaml");
  const Ended e = train();
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.lines().at(0)["run"], mine.string());
  EXPECT_NE(e.err.find("folder    " + mine.string()), std::string::npos) << e.err;
}

// Two that begin at once have a folder each.
TEST(Training, FoldersOfTheirOwn) {
  const Scratch s;
  const std::string text = s.write("text.txt", small_text(400));
  const std::string command = fmt::format("cd '{0}' && for i in 1 2 3; do '" TRIARCH_BINARY
                                          "' train '{1}' --size tiny --steps 1 -t 1 2>'{0}'/err$i & done; wait",
                                          (s / "").string(), text);
  ASSERT_EQ(std::system(command.c_str()), 0);
  for (int i = 1; i <= 3; ++i) {
    const fs::path run = s / fmt::format("runs/text-causal-{:04}", i);
    EXPECT_TRUE(fs::exists(run / "checkpoint-1" / "manifest.json")) << run;
  }
}

TEST(Training, MemoryAndSkippedFilesAreSaidFirst) {
  const Scratch s;
  fs::create_directory(s / "texts");
  s.write("texts/one.txt", small_text(400));
  s.write("texts/picture.jpg", "x");
  const Ended e = triarch({"train", (s / "texts").string(), "--size", "tiny", "--steps", "1", "--dry-run"});
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.err.find("picture.jpg"), std::string::npos) << e.err;
  expect_refusal(triarch({"train", (s / "texts").string(), "--width", "65536", "--depth", "100", "--dry-run"}), 3,
                 {"weights"});
  expect_refusal(triarch({"train", (s / "texts").string(), "--vocab-size", "5G"}), 2, {"data.vocabulary"});
  const Ended float64 = triarch({"train", (s / "texts").string(), "--size", "tiny", "--steps", "1", "--batch-rows",
                                 "64", "--context", "32", "--precision", "float64", "--dry-run"});
  EXPECT_NE(float64.err.find("float64"), std::string::npos) << float64.err;
}

}  // namespace
}  // namespace triarch
