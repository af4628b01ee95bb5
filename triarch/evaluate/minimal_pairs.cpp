#include "triarch/evaluate/minimal_pairs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "triarch/base/error.h"
#include "triarch/base/hash.h"
#include "triarch/data/text_file.h"
#include "triarch/evaluate/subset.h"

namespace triarch {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

struct Pair {
  std::string good, bad;
};

bool holds_pairs(const fs::path& path) {
  const std::string name = path.filename().string(), end = content_ending(path);
  for (const char* other : {"_", ".", "SOURCE", "README", "LICENSE"}) {
    if (name.starts_with(other)) return false;
  }
  return end == ".jsonl" || end == ".tsv" || end == ".txt";
}

std::vector<Pair> read_pairs(const fs::path& path) {
  const std::string content = read_text_file(path, "read minimal pairs"), end = content_ending(path);
  std::vector<Pair> pairs;
  int64_t lines = 0;
  const auto wrong = [&](std::string_view expected, std::string_view found) {
    fail(ExitCode::usage, "read minimal pairs: {}:{}: expected {}, found '{}'", path.string(), lines, expected, found);
  };
  std::string before;      // .txt: the line before
  bool good_first = true;  // .tsv
  for_each_line(content, [&](std::string_view line, int64_t number) {
    lines = number;
    if (end == ".txt") {
      if (is_blank(line)) wrong("a sentence", line);
      if (number % 2 == 0) pairs.push_back({std::string(line), before});
      before = line;
    } else if (end == ".tsv") {
      const size_t tab = line.find('\t');
      if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
        wrong("two columns", line);
      }
      const std::string_view first = line.substr(0, tab), second = line.substr(tab + 1);
      if (number == 1) {
        good_first = first == "sentence_good";
        if (!(good_first && second == "sentence_bad") && !(first == "sentence_bad" && second == "sentence_good")) {
          wrong("the columns sentence_good and sentence_bad", line);
        }
      } else {
        pairs.push_back({std::string(good_first ? first : second), std::string(good_first ? second : first)});
      }
    } else if (!is_blank(line)) {
      const json object = json::parse(line, nullptr, false);
      const auto sentence = [&](const char* name) {
        if (!object.is_object() || !object.contains(name) || !object[name].is_string()) {
          wrong("an object with the strings sentence_good and sentence_bad", line);
        }
        return object[name].get<std::string>();
      };
      pairs.push_back({sentence("sentence_good"), sentence("sentence_bad")});
    }
  });
  if (end == ".txt" && lines % 2 == 1) wrong("an even number of lines: each an ungrammatical one and its pair", before);
  std::erase_if(pairs, [](const Pair& p) { return p.good == p.bad; });
  return pairs;
}

}  // namespace

std::vector<ChoiceTask> minimal_pairs(const fs::path& folder, int64_t most, Key key) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    if (holds_pairs(i->path())) files.push_back(i->path());
  }
  if (error) {
    fail(ExitCode::usage, "read minimal pairs: cannot list the folder '{}': {}", folder.string(), error.message());
  }
  std::ranges::sort(files);
  std::vector<ChoiceTask> tasks;
  for (const fs::path& path : files) {
    ChoiceTask task;
    task.name = content_stem(path);
    task.depth = "grammar";
    task.chance = 0.5;
    task.encoder = EncoderScore::one_by_one;
    const Key draw = key.with(hash64(task.name));
    for (Pair& p : read_pairs(path)) {
      const size_t answer = draw.below(task.choices.size(), 2);
      if (answer == 1) std::swap(p.good, p.bad);
      task.choices.push_back({"", "", {std::move(p.good), std::move(p.bad)}, answer});
    }
    if (!task.choices.empty()) tasks.push_back(std::move(task));
  }
  if (tasks.empty()) {
    fail(ExitCode::usage,
         "read minimal pairs: expected .jsonl, .tsv or .txt files with pairs in '{}' (also .gz or .zst of them), found "
         "none; pass the folder that holds BLiMP's or Zorro's files",
         folder.string());
  }
  return at_most(std::move(tasks), most, key);
}

}  // namespace triarch
