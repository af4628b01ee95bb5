// Drives the built binary as a person does: arguments in, exit code and text out.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/scratch.h"
#include "triarch/base/files.h"
#include "triarch/base/random.h"

namespace triarch {

struct Ended {
  int code = 0;  // exit code; minus the signal for a crash
  std::string out, err;

  // Lines of stdout as JSON.
  std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> found;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) found.push_back(nlohmann::json::parse(line));
    return found;
  }
};

struct Setting {
  std::string input = {};    // on standard input
  std::string output = {};   // a file that takes standard output, instead of Ended::out
  bool small_files = false;  // no file may become larger than 16 kB (as on a full disk)
  std::string folder = {};   // where it runs; empty: where the test does
};

inline Ended triarch(const std::vector<std::string>& arguments, const Setting& setting = {}) {
  const Scratch scratch;
  const std::string in = scratch.write("in", setting.input);
  const std::string out = setting.output.empty() ? (scratch / "out").string() : setting.output;
  const std::string err = (scratch / "err").string();
  std::string command = "exec '" TRIARCH_BINARY "'";
  for (const std::string& a : arguments) {
    command += " '";
    for (char c : a) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
    command += "'";
  }
  command += " <'" + in + "' >'" + out + "' 2>'" + err + "'";
  if (setting.small_files) command = "trap '' XFSZ; ulimit -f 32; " + command;
  if (!setting.folder.empty()) command = "cd '" + setting.folder + "' && " + command;
  const int status = std::system(command.c_str());
  Ended e;
  e.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  if (e.code > 128 && e.code != 130 && e.code != 143) e.code = -(e.code - 128);
  if (setting.output.empty()) e.out = read_file(out, "test");
  e.err = read_file(err, "test");
  return e;
}

// Sentences of a small grammar.
inline std::string small_text(int sentences) {
  const std::vector<std::string> who = {"the cat", "a dog", "my king", "the old man"};
  const std::vector<std::string> does = {"sees", "likes", "finds", "follows"};
  Draw draw(Key(1, Purpose::test));
  std::string text;
  for (int i = 0; i < sentences; ++i) {
    text += who[draw.below(4)] + " " + does[draw.below(4)] + " " + who[draw.below(4)] + ".\n";
  }
  return text;
}

// Pairs of a text and its class, or of a text and a tag per word.
inline std::string labelled_text(int lines, bool tags) {
  Draw draw(Key(2, Purpose::test));
  std::string text;
  for (int i = 0; i < lines; ++i) {
    const bool good = draw.below(2) == 0;
    const std::string line = (good ? "a good warm film number " : "a bad cold film number ") + std::to_string(i);
    text += line + "\t" + (tags ? (good ? "D G G N N C" : "D B B N N C") : (good ? "positive" : "negative")) + "\n";
  }
  return text;
}

// One tiny model of each kind, trained when it is first wanted and kept for all tests.
class Models {
 public:
  static std::string path(const std::string& kind) {
    static Models models;
    return models.get(kind);
  }

 private:
  std::string get(const std::string& kind) {
    if (const auto found = made_.find(kind); found != made_.end()) return found->second;
    const std::string folder = (scratch_ / kind).string();
    std::vector<std::string> a = {"train",       "",      "--output-dir", folder,    "--width",      "32",
                                  "--depth",     "1",     "--context",    "32",      "--batch-rows", "256",
                                  "--tokenizer", "words", "--precision",  "float32", "--lr",         "0.01",
                                  "--optim",     "adamw", "--steps"};
    if (kind == "classes" || kind == "tags") {
      a[1] = scratch_.write(kind + ".tsv", labelled_text(300, kind == "tags"));
      a.insert(a.end(), {"60", "--family", "encoder", "--objective", kind == "tags" ? "tagging" : "classification"});
    } else {
      a[1] = scratch_.write("text.txt", small_text(400));
      a.insert(a.end(), {"40", "--family", kind});
    }
    const Ended e = triarch(a);
    EXPECT_EQ(e.code, 0) << e.err;
    made_[kind] = folder;
    return folder;
  }

  Scratch scratch_;
  std::map<std::string, std::string> made_;
};

}  // namespace triarch
