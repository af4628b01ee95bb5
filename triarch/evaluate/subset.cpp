#include "triarch/evaluate/subset.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/base/hash.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

std::vector<ChoiceTask> that_fit(std::vector<ChoiceTask> tasks, const Tokenizer& tokenizer, int64_t context,
                                 std::vector<std::string>* notes) {
  const auto count = [&](const std::string& text) { return int64_t(tokenizer.encode(text).size()); };
  std::vector<ChoiceTask> out;
  for (ChoiceTask& task : tasks) {
    const size_t all = task.choices.size();
    std::erase_if(task.choices, [&](const Choice& c) {
      int64_t longest = 0;
      for (const std::string& candidate : c.candidates) {
        longest = std::max(longest, count(" " + candidate + task.close));
      }
      return std::max(count(c.prompt), count(c.bare)) + longest + kFrame > context;
    });
    const size_t left_out = all - task.choices.size();
    if (left_out > 0 && notes) {
      notes->push_back(
          fmt::format("{} of {} questions '{}' left out: longer than {} tokens", left_out, all, task.name, context));
    }
    if (task.choices.empty()) continue;
    set_chance(task);
    out.push_back(std::move(task));
  }
  return out;
}

std::vector<ChoiceTask> at_most(std::vector<ChoiceTask> tasks, int64_t most, Key key) {
  for (ChoiceTask& task : tasks) {
    std::vector<size_t> numbers(task.choices.size());
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    if (int64_t(numbers.size()) <= most) continue;
    Draw draw(key.with(hash64(task.name)).with(uint64_t(task.wrapper)));
    draw.shuffle(numbers.data(), numbers.size());
    numbers.resize(size_t(std::max<int64_t>(0, most)));
    std::ranges::sort(numbers);
    std::vector<Choice> kept;
    for (size_t i : numbers) kept.push_back(std::move(task.choices[i]));
    task.choices = std::move(kept);
    set_chance(task);
  }
  return tasks;
}

}  // namespace triarch
