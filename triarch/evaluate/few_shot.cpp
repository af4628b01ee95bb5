#include "triarch/evaluate/few_shot.h"

#include <utility>

#include "triarch/evaluate/subset.h"

namespace triarch {

std::optional<ChoiceTask> few_shot(const ChoiceTask& task, std::span<const Choice> pool, int64_t shots,
                                   const std::string& between, const Tokenizer& tokenizer, int64_t context, Key key) {
  for (int64_t n = shots; n > 0; --n) {
    ChoiceTask out = task;
    out.shots = n;
    for (size_t i = 0; i < out.choices.size(); ++i) {
      std::vector<size_t> order;
      for (size_t j = 0; j < pool.size(); ++j) {
        if (pool[j].prompt != task.choices[i].prompt) order.push_back(j);
      }
      if (order.size() < size_t(n)) return std::nullopt;
      Draw draw(key.with(uint64_t(i)));
      std::string before;
      for (size_t j = 0; j < size_t(n); ++j) {
        std::swap(order[j], order[j + size_t(draw.below(order.size() - j))]);
        const Choice& shown = pool[order[j]];
        before += shown.prompt + " " + shown.candidates[shown.answer] + task.close + between;
      }
      Choice& c = out.choices[i];
      c.prompt = before + c.prompt;
      if (!c.bare.empty()) c.bare = before + c.bare;
    }
    const std::vector<ChoiceTask> kept = that_fit({out}, tokenizer, context);
    if (!kept.empty() && kept.front().choices.size() == out.choices.size()) return out;
  }
  return std::nullopt;
}

}  // namespace triarch
