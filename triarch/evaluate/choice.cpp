#include "triarch/evaluate/choice.h"

#include <algorithm>
#include <set>

#include "triarch/base/error.h"
#include "triarch/data/world.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

const char* depth_name(world::Depth depth) {
  switch (depth) {
    case world::Depth::easy:
      return "easy";
    case world::Depth::middle:
      return "middle";
    case world::Depth::hard:
      return "hard";
  }
  return "?";
}

double rank_of(const Score& s, Ranking ranking) {
  if (ranking == Ranking::sum) return s.log_probability;
  return s.log_probability / double(std::max<int64_t>(1, ranking == Ranking::per_token ? s.tokens() : s.bytes));
}

// Which candidate each question is answered with: the first of the most likely.
std::vector<size_t> chosen(const Model& model, const Tokenizer& tokenizer, SuffixFormat format, const ChoiceTask& task,
                           Ranking ranking, bool bare, int64_t rows) {
  const bool encoder = model.spec().family == Family::encoder;
  std::vector<ScoreItem> items;
  for (const Choice& c : task.choices) {
    const std::vector<int32_t> context = tokenizer.encode(bare ? c.bare : c.prompt);
    for (const std::string& candidate : c.candidates) {
      const ScoreItem item{context, tokenizer.encode(" " + candidate + (encoder ? task.close : "")), {}};
      items.push_back(format == SuffixFormat::none ? item : asked(format, item, tokenizer.specials()));
    }
  }
  ScoreOptions options;
  options.rows = rows;
  options.encoder = task.encoder;
  const std::vector<Score> scores = score(model, tokenizer, items, options);
  std::vector<size_t> out;
  size_t at = 0;
  for (const Choice& c : task.choices) {
    size_t best = 0;
    for (size_t i = 1; i < c.candidates.size(); ++i) {
      if (rank_of(scores[at + i], ranking) > rank_of(scores[at + best], ranking)) best = i;
    }
    out.push_back(best);
    at += c.candidates.size();
  }
  return out;
}

}  // namespace

void set_chance(ChoiceTask& task) {
  task.chance = 0;
  for (const Choice& c : task.choices) task.chance += 1 / double(c.candidates.size()) / double(task.choices.size());
}

std::vector<ChoiceTask> world_tasks(Key key, int64_t items) {
  std::vector<ChoiceTask> tasks;
  for (const world::Family& family : world::families()) {
    for (int wrapper = 0; wrapper < world::wrappers; ++wrapper) {
      ChoiceTask task;
      task.name = family.name;
      task.depth = depth_name(family.depth);
      task.held_out = family.held_out;
      task.wrapper = wrapper;
      task.seen = wrapper < world::known_wrappers;
      task.use = family.sequence ? "transform" : "understand";
      task.close = " .";
      for (int64_t i = 0; i < items; ++i) {
        world::Item item = world::item(key, family.name, int64_t(wrapper) * items + i);
        Choice c;
        c.prompt = world::prompt(item, task.wrapper);
        c.candidates = item.candidates;
        c.answer = size_t(std::ranges::find(item.candidates, item.answer) - item.candidates.begin());
        require(c.answer < c.candidates.size(), "world: the answer '{}' of {} is no candidate", item.answer, task.name);
        if (!item.context.empty()) {
          item.context.clear();
          c.bare = world::prompt(item, task.wrapper);
        }
        task.choices.push_back(std::move(c));
      }
      set_chance(task);
      tasks.push_back(std::move(task));
    }
  }
  return tasks;
}

bool can_choose(Family family, SuffixFormat format) {
  return family == Family::encoder || format != SuffixFormat::none;
}

ChoiceAnswers answer(const Model& model, const Tokenizer& tokenizer, SuffixFormat format, const ChoiceTask& task,
                     Ranking ranking, int64_t rows) {
  const auto marks = [&](bool bare) {
    const std::vector<size_t> choices = chosen(model, tokenizer, format, task, ranking, bare, rows);
    std::string right;
    for (size_t i = 0; i < choices.size(); ++i) right += choices[i] == task.choices[i].answer ? '1' : '0';
    return right;
  };
  ChoiceAnswers out;
  out.right = marks(false);
  const bool contexts = std::ranges::all_of(task.choices, [](const Choice& c) { return !c.bare.empty(); });
  if (contexts) out.bare = marks(true);
  return out;
}

int64_t rows_to_answer(const ChoiceTask& task, const Tokenizer& tokenizer, Family family) {
  const auto tokens = [&](const std::string& text) { return int64_t(tokenizer.encode(text).size()); };
  int64_t rows = 0;
  const auto ask = [&](const std::string& prompt, const std::vector<std::string>& candidates) {
    const int64_t before = tokens(prompt);
    if (family != Family::encoder) rows += before;  // for all candidates
    std::set<int64_t> lengths;
    for (const std::string& candidate : candidates) {
      const int64_t n = tokens(candidate);
      if (family != Family::encoder) {
        rows += n;
      } else if (task.encoder != EncoderScore::together) {
        rows += (before + n) * encoder_passes(task.encoder, n);
      } else if (lengths.insert(n).second) {  // masked, those of one length are the same
        rows += before + n;
      }
    }
  };
  std::set<std::string> known;
  for (const Choice& c : task.choices) {
    ask(c.prompt, c.candidates);
    if (!c.bare.empty() && known.insert(c.bare).second) ask(c.bare, c.candidates);
  }
  return rows;
}

}  // namespace triarch
