// What a person may give by mistake: each is a clear message and a non-zero exit, and nothing is lost.
#include <fstream>

#include "tests/cli/binary.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

// The exit code, no crash, and what the message says; results stay empty.
void expect_refused(const Ended& e, int code, const std::vector<std::string>& said) {
  EXPECT_EQ(e.code, code) << e.err;
  EXPECT_NE(e.err.find("triarch: "), std::string::npos) << e.err;
  for (const std::string& s : said) EXPECT_NE(e.err.find(s), std::string::npos) << "expected " << s << " in " << e.err;
  EXPECT_EQ(e.out, "");
}

TEST(BadInput, Texts) {
  const Scratch s;
  expect_refused(triarch({"train", s.write("empty.txt", "")}), 1, {"empty.txt", "empty"});
  expect_refused(triarch({"train", s.write("bad.jsonl", "{\"text\": \"a\"}\n{\"text\": ")}), 1,
                 {"bad.jsonl:2", "JSON"});
  expect_refused(triarch({"train", s.write("binary.txt", std::string(3000, '\0'))}), 1, {"binary.txt", "binary"});
  expect_refused(triarch({"train", s.write("short.txt", "too short")}), 1, {"1024 bytes", "found 9"});
  expect_refused(triarch({"train", (s / "absent.txt").string()}), 1, {"absent.txt"});
  expect_refused(triarch({"train"}), 2, {"expected a text"});
  expect_refused(triarch({"train", s.write("labels.csv", "good,1\n")}), 2, {"labels.csv", ".tsv"});
  const std::string pairs = s.write("pairs.tsv", labelled_text(200, false));
  expect_refused(triarch({"train", pairs, "--objective", "next_token"}), 2, {"found pairs", "seq2seq"});
  // A line of 300 kB is a text like any other.
  std::string line = small_text(12000);
  for (char& c : line) c = c == '\n' ? ' ' : c;
  EXPECT_EQ(triarch({"train", s.write("line.txt", line), "--dry-run", "--size", "tiny"}).code, 0);
}

TEST(BadInput, Words) {
  const std::string model = Models::path("causal");
  expect_refused(triarch({"trian", "a.txt"}), 2, {"did you mean 'train'"});
  expect_refused(triarch({"generate", model, "a", "--tmep", "1"}), 2, {"did you mean '--temp'"});
  expect_refused(triarch({"train", "a.txt", "--learnin-rate", "1"}), 2, {"did you mean '--learning-rate'"});
  expect_refused(triarch({"generate", model, "a", "--temp", "warm"}), 2, {"warm"});
  expect_refused(triarch({"generate", model, "a", "--temp", "-1"}), 2, {"temperature"});
  expect_refused(triarch({"generate"}), 2, {"expected a model"});
  expect_refused(triarch({"generate", "no-such-model", "a"}), 1, {"no-such-model"});
  expect_refused(triarch({"embed", model, "a", "--pooling", "best"}), 2, {"mean"});
  expect_refused(triarch({"embed", model}), 2, {"expected a TEXT"});
  expect_refused(triarch({"generate", model, std::string(9000, 'x'), "-n", "4"}), 2, {});
  const Scratch s;
  const std::string text = s.write("text.txt", small_text(400));
  expect_refused(triarch({"train", text, "--family", "encoder", "--objective", "next_token"}), 2, {"masked_lm"});
  expect_refused(triarch({"train", text, "--max-seconds", "-5"}), 2, {"budget.seconds", "-5"});
  expect_refused(triarch({"train", text, "--seed", "x"}), 2, {"--seed: expected an integer"});
  expect_refused(triarch({"generate", Models::path("classes"), "a"}), 2, {"triarch classify"});
  expect_refused(triarch({"fill", Models::path("classes"), "a <mask>"}), 2, {"triarch classify"});
  expect_refused(triarch({"fill", Models::path("encoder"), "a [MASK]"}), 2, {"write <mask>"});
  expect_refused(triarch({"report", Models::path("causal")}), 2, {"a training run", "triarch inspect"});
  expect_refused(triarch({"train", text, "-c", s.write("run.yaml", "context: 64\nbatch_rwos: 4\n")}), 2,
                 {"run.yaml line 2", "did you mean 'batch_rows'"});
}

TEST(BadInput, Checkpoints) {
  const Scratch s;
  const fs::path copy = s / "copy";
  const auto fresh = [&] {
    fs::remove_all(copy);
    fs::copy(Models::path("causal"), copy, fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(copy)) {
      if (entry.is_directory() && fs::exists(entry.path() / "manifest.json")) return entry.path();
    }
    return fs::path();
  };
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "tokenizer.bin", "model.yaml", "state.json"}) {
    SCOPED_TRACE(name);
    // Of several checkpoints the newest is used: damage all but look at that one.
    fresh();
    for (const auto& entry : fs::directory_iterator(copy)) {
      if (entry.is_directory()) fs::resize_file(entry.path() / name, fs::file_size(entry.path() / name) / 2);
    }
    expect_refused(triarch({"generate", copy, "the"}), 5, {name, "damaged"});
    fresh();
    for (const auto& entry : fs::directory_iterator(copy)) {
      if (!entry.is_directory()) continue;
      std::fstream file(entry.path() / name, std::ios::in | std::ios::out | std::ios::binary);
      const auto middle = std::streamoff(fs::file_size(entry.path() / name) / 2);
      file.seekg(middle);
      const char flipped = char(file.get() ^ 1);
      file.seekp(middle);
      file.put(flipped);
    }
    // The moments are read by who resumes only.
    if (std::string_view(name) != "optimizer.safetensors") {
      expect_refused(triarch({"score", copy, "the"}), 5, {name, "damaged"});
    } else {
      EXPECT_EQ(triarch({"score", copy, "the"}).code, 0);
    }
    expect_refused(triarch({"train", "--resume", copy}), 5, {name, "damaged"});
  }
  const fs::path checkpoint = fresh();
  fs::remove(checkpoint / "tokenizer.bin");
  expect_refused(triarch({"generate", checkpoint, "the"}), 5, {"tokenizer.bin"});

  // Weights of another family behind a specification: refused by name, whether there is a manifest or not.
  const fs::path model = s / "model";
  fs::create_directory(model);
  fs::path other;
  for (const auto& entry : fs::directory_iterator(Models::path("encoder_decoder"))) {
    if (fs::exists(entry.path() / "manifest.json")) other = entry.path();
  }
  const fs::path mine = fresh();
  fs::copy_file(mine / "model.yaml", model / "model.yaml");
  fs::copy_file(mine / "tokenizer.bin", model / "tokenizer.bin");
  fs::copy_file(other / "model.safetensors", model / "model.safetensors");
  expect_refused(triarch({"generate", model, "the"}), 5, {"another family"});
}

TEST(BadInput, PlacesThatTakeNoFiles) {
  const Scratch s;
  const std::string text = s.write("text.txt", small_text(400));
  const auto train = [&](const std::string& folder, bool small_files) {
    return triarch({"train", text, "--size", "tiny", "--steps", "4", "--save-steps", "2", "--output-dir", folder},
                   {"", "", small_files});
  };
  expect_refused(train("/proc/run", false), 1, {"/proc/run"});
  expect_refused(train(text + "/run", false), 1, {"text.txt/run"});
  expect_refused(triarch({"tokenize", "--train", text, "-o", "/proc/tokenizer.bin"}), 1, {"/proc/tokenizer.bin"});

  // A disk that becomes full: a clear end, and what was saved before is whole.
  const std::string run = (s / "run").string();
  ASSERT_EQ(train(run, false).code, 0);
  const auto files = [&] {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      if (entry.is_regular_file()) all[entry.path().string()] = read_file(entry.path(), "test");
    }
    return all;
  };
  const auto before = files();
  const Ended full = triarch({"train", "--resume", run, "--steps", "9", "--save-steps", "8"}, {"", "", true});
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_NE(full.err.find("save checkpoint"), std::string::npos) << full.err;
  const auto after = files();
  for (const auto& [name, content] : before) {
    if (name.find("checkpoint-") == std::string::npos) continue;
    ASSERT_TRUE(after.count(name)) << name;
    EXPECT_EQ(after.at(name), content) << name;
  }
  EXPECT_EQ(triarch({"generate", run, "the", "-n", "3"}).code, 0);

  // Results that nobody can take.
  const Ended no_output = triarch({"tokenize", "bytes", "hi"}, {"", "/dev/full", false});
  EXPECT_EQ(no_output.code, 1);
  EXPECT_NE(no_output.err.find("No space left"), std::string::npos) << no_output.err;
}

}  // namespace
}  // namespace triarch
