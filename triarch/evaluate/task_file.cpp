#include "triarch/evaluate/task_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "triarch/base/error.h"
#include "triarch/data/text_file.h"

namespace triarch {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

using Names = std::initializer_list<const char*>;

std::optional<size_t> number_in(std::string_view text) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

// One line of a file.
class Line {
 public:
  Line(const fs::path& path, int64_t number, std::string_view text)
      : where_(fmt::format("{}:{}", path.string(), number)) {
    try {
      object_ = json::parse(text);
    } catch (const json::exception& e) {
      wrong("one JSON object per line", e.what());
    }
    if (!object_.is_object()) wrong("an object such as {\"prompt\": ..., \"candidates\": [...]}", object_.type_name());
  }

  [[noreturn]] void wrong(std::string_view expected, std::string_view found) const {
    fail(ExitCode::usage, "read tasks: {}: expected {}, found {}", where_, expected, found);
  }

  const json* find(Names names) const {
    for (const char* name : names) {
      if (const auto found = object_.find(name); found != object_.end() && !found->is_null()) return &*found;
    }
    return nullptr;
  }

  // A string, or a number or boolean as written.
  std::string text(const json& value, std::string_view what) const {
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_number() && !value.is_boolean()) wrong(fmt::format("a string as {}", what), value.type_name());
    return value.dump();
  }

  Choice choice(const std::string* label) const {
    Choice c;
    const json* prompt = find({"prompt", "inputs", "question", "query", "goal"});
    if (!prompt) wrong("a field 'prompt'", fields());
    c.prompt = text(*prompt, "prompt");
    while (c.prompt.ends_with(' ')) c.prompt.pop_back();  // one comes before the answer
    if (const json* context = find({"context", "passage"})) {
      const std::string before = text(*context, "context");
      if (is_blank(c.prompt)) wrong("a question behind the context", "an empty one");
      c.bare = c.prompt;
      const bool apart = before.empty() || before.back() == ' ' || before.back() == '\n';
      c.prompt = before + (apart ? "" : " ") + c.prompt;
    }
    c.candidates = candidates();
    c.answer = answer(c.candidates, label);
    // One that is given twice is one candidate.
    std::vector<std::string> different;
    for (const std::string& candidate : c.candidates) {
      if (std::ranges::find(different, candidate) == different.end()) different.push_back(candidate);
    }
    c.answer = size_t(std::ranges::find(different, c.candidates[c.answer]) - different.begin());
    c.candidates = std::move(different);
    if (c.candidates.size() < 2) wrong("two or more different candidates", fmt::format("{}", c.candidates.size()));
    return c;
  }

 private:
  std::string fields() const {
    std::string names;
    for (const auto& [name, value] : object_.items()) names += (names.empty() ? "'" : ", '") + name + "'";
    return names.empty() ? "none" : names;
  }

  std::vector<std::string> candidates() const {
    std::vector<std::string> out;
    if (const json* list = find({"candidates", "choices", "options", "endings"})) {
      if (!list->is_array()) wrong("an array of candidates", list->type_name());
      for (const json& value : *list) out.push_back(text(value, "candidate"));
    } else {
      for (const char* name : {"sol", "choice"}) {
        while (const json* value = find({fmt::format("{}{}", name, out.size() + 1).c_str()})) {
          out.push_back(text(*value, "candidate"));
        }
        if (!out.empty()) break;
      }
      if (out.empty()) wrong("a field 'candidates'", fields());
    }
    for (std::string& candidate : out) {
      candidate.erase(0, candidate.find_first_not_of(' '));
      if (is_blank(candidate)) wrong("text in every candidate", "an empty one");
    }
    return out;
  }

  size_t answer(const std::vector<std::string>& candidates, const std::string* label) const {
    const json* given = find({"answer", "gold", "label"});
    if (!given && !label) wrong("a field 'answer'", fields());
    const std::string written = given ? text(*given, "answer") : *label;
    if (!given || !given->is_number()) {
      const std::string_view start =
          std::string_view(written).substr(std::min(written.find_first_not_of(' '), written.size()));
      const auto found = std::ranges::find(candidates, start);
      if (found != candidates.end()) return size_t(found - candidates.begin());
    }
    const std::optional<size_t> number = number_in(written);
    if (!number || *number >= candidates.size()) {
      wrong(fmt::format("as answer one of the {} candidates, or its number from 0", candidates.size()),
            fmt::format("'{}'", written));
    }
    return *number;
  }

  std::string where_;
  json object_;
};

}  // namespace

std::vector<ChoiceTask> read_task_file(const fs::path& path) {
  const std::string content = read_text_file(path, "read tasks");
  std::vector<std::string> labels;
  const fs::path labels_path = path.parent_path() / (content_stem(path) + "-labels.lst");
  if (fs::exists(labels_path)) {
    const std::string text = read_text_file(labels_path, "read tasks");
    for_each_line(text, [&](std::string_view line, int64_t) { labels.emplace_back(line); });
  }
  std::vector<ChoiceTask> tasks;
  std::map<std::pair<std::string, std::string>, size_t> places;  // of a task and a template
  std::map<std::string, int> templates;                          // of a task, how many
  std::map<std::string, bool> contexts;
  for_each_line(content, [&](std::string_view text, int64_t number) {
    if (is_blank(text)) return;
    const Line line(path, number, text);
    const json *name = line.find({"task"}), *form = line.find({"template"}), *held_out = line.find({"held_out"});
    const std::string task = name ? line.text(*name, "task") : content_stem(path);
    const auto [place, is_new] = places.insert({{task, form ? line.text(*form, "template") : ""}, tasks.size()});
    if (is_new) {
      ChoiceTask& t = tasks.emplace_back();
      t.name = task;
      t.depth = "prompted";
      t.wrapper = templates[task]++;
      t.encoder = EncoderScore::spread;
    }
    ChoiceTask& t = tasks[place->second];
    if (held_out && !held_out->is_boolean()) line.wrong("true or false as held_out", held_out->dump());
    t.held_out = t.held_out || (held_out && held_out->get<bool>());
    t.choices.push_back(line.choice(size_t(number) <= labels.size() ? &labels[size_t(number) - 1] : nullptr));
    const bool context = !t.choices.back().bare.empty();
    if (contexts.insert({task, context}).first->second != context) {
      line.wrong(fmt::format("a context in all lines of the task '{}' or in none", task),
                 context ? "one, but not in earlier lines" : "none, but one in earlier lines");
    }
  });
  if (tasks.empty())
    fail(ExitCode::usage, "read tasks: expected questions in '{}', found an empty file", path.string());
  for (ChoiceTask& t : tasks) set_chance(t);
  return tasks;
}

}  // namespace triarch
