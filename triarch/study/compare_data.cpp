#include "triarch/study/compare_data.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/hash.h"
#include "triarch/base/human.h"
#include "triarch/data/world.h"
#include "triarch/evaluate/few_shot.h"
#include "triarch/evaluate/minimal_pairs.h"
#include "triarch/evaluate/subset.h"
#include "triarch/evaluate/task_file.h"
#include "triarch/evaluate/text_tasks.h"

namespace triarch {
namespace {

constexpr uint64_t kWorldSeed = 1;            // one world for all comparisons
constexpr int64_t kWorldValidation = 20'000;  // words held out
constexpr int64_t kPrimerTokens = 100'000;
constexpr size_t kTranslations = 200;   // held-out pairs whose outputs are generated
constexpr size_t kEnoughToTrain = 200;  // questions of a task that are left for finetuning
constexpr double kMostEpochs = 4;       // of finetuning over the questions
constexpr int64_t kHeadEpochs = 8;      // over labelled files of the user's own, at most as many tokens as pretraining

// Of the world's texts (1 learnt from, 2 held out, 3 questions, 4 instructions) and of questions about the user's.
Key task_key(uint64_t what) { return Key(kWorldSeed, Purpose::world).with(what); }

// Prompts with their answers and, as a share of `rehearsal`, texts as in pretraining: at least `tokens` words of them.
std::vector<Document> instructions(Key key, int64_t tokens, double rehearsal) {
  std::vector<Document> all;
  int64_t words = 0;
  for (int64_t n = 0; words < tokens; ++n) {
    if (key.with(0).uniform(uint64_t(n)) < rehearsal) {
      all.push_back({world::document(key.with(1), n, world::Stage::mix).text, "", false, "world"});
    } else {
      all.push_back(world::instruction(key.with(2), n));
    }
    words += (all.back().pair ? 2 : 1) + std::ranges::count(all.back().text + all.back().target, ' ');
  }
  return all;
}

// Questions as pairs of a prompt and its answer, in the tokens that evaluation asks for (evaluate/choice.cpp).
void add_instructions(const ChoiceTask& task, std::vector<Document>& all) {
  for (const Choice& c : task.choices) {
    all.push_back({c.prompt, " " + c.candidates[c.answer] + task.close, true, task.name});
  }
}

// Adds pieces of the texts of pretraining, or whole pairs, until they are this share of all tokens.
void add_rehearsal(const TokenizedCorpus& from, double share, int64_t piece, Key key, TokenizedCorpus& to) {
  if (share <= 0 || share >= 1 || from.ids.empty()) return;
  const auto append = [](const std::vector<int32_t>& ids, int64_t begin, int64_t end, std::vector<int32_t>& out) {
    out.insert(out.end(), ids.begin() + begin, ids.begin() + end);
    return end - begin;
  };
  const bool pairs = !from.target_begins.empty();
  int64_t left = std::llround(double(to.tokens()) * share / (1 - share));
  for (uint64_t n = 0; left > 0; ++n) {
    int64_t begin = int64_t(key.uniform(n) * double(from.ids.size()));
    const auto document = std::upper_bound(from.begins.begin(), from.begins.end(), begin) - from.begins.begin() - 1;
    int64_t end = from.begins[size_t(document) + 1];
    const int64_t whole = end - from.begins[size_t(document)];
    if (pairs) begin = from.begins[size_t(document)];
    if (!pairs) end = std::min(end, begin + piece);
    left -= append(from.ids, begin, end, to.ids);
    if (pairs) {
      left -= append(from.target_ids, from.target_begins[size_t(document)], from.target_begins[size_t(document) + 1],
                     to.target_ids);
    }
    to.begins.push_back(int64_t(to.ids.size()));
    to.target_begins.push_back(int64_t(to.target_ids.size()));
    to.bytes.push_back(from.bytes[size_t(document)] * (end - begin) / std::max<int64_t>(1, whole));
  }
}

// Of questions that a comparison asks: changed files are another comparison's.
uint64_t hash_of(uint64_t hash, std::span<const ChoiceTask> tasks, std::span<const HeadTask> heads) {
  Hasher h(hash);
  const auto add = [&](std::string_view text) {
    h.add(text);
    h.add(std::string_view("\0", 1));
  };
  for (const ChoiceTask& t : tasks) {
    for (const Choice& c : t.choices) {
      add(c.prompt);
      for (const std::string& candidate : c.candidates) add(candidate);
      add(std::to_string(c.answer));
    }
  }
  for (const HeadTask& t : heads) add(fmt::format("{} {:x}", t.name, t.data.hash));
  return h.value();
}

// Tasks made from the user's text and those that the user brings. Of a file's tasks that are not held out, what
// evaluation leaves over is for finetuning.
void add_few_shot(const CompareConfig& config, const ChoiceTask& task, std::span<const Choice> pool,
                  const char* between, const CompareData& d, std::vector<ChoiceTask>& few) {
  if (config.shots <= 0) return;
  const Key key = task_key(9).with(few.size());
  auto asked = few_shot(task, pool, config.shots, between, d.tokenizer, config.context, key);
  if (asked) few.push_back(std::move(*asked));
}

void add_tasks(const CompareConfig& config, CompareData& d, std::vector<ChoiceTask>& few) {
  const int64_t items = config.task_items;
  if (items <= 0) return;
  if (!d.pairs) {
    d.tasks = text_tasks(d.validation.view(), d.tokenizer, config.context, items, task_key(5), &d.notes);
    for (ChoiceTask& t : d.tasks) t.use = "understand";
  }
  std::vector<Document> instructions;
  for (const std::string& file : config.tasks) {
    for (ChoiceTask& task : that_fit(read_task_file(file), d.tokenizer, config.context, &d.notes)) {
      task.use = "understand";
      ChoiceTask asked = at_most({task}, items, task_key(6)).front();
      if (!task.held_out) {
        std::erase_if(task.choices, [&](const Choice& c) {
          return std::ranges::any_of(asked.choices, [&](const Choice& a) { return a.prompt == c.prompt; });
        });
        if (task.choices.size() >= kEnoughToTrain) {
          add_instructions(task, instructions);
        } else {
          asked.held_out = true;
        }
      }
      add_few_shot(config, asked, task.choices, "\n\n", d, few);
      d.tasks.push_back(std::move(asked));
    }
  }
  for (const std::string& folder : config.minimal_pairs) {
    for (ChoiceTask& task :
         that_fit(minimal_pairs(folder, items, task_key(7)), d.tokenizer, config.context, &d.notes)) {
      task.use = "judge";
      task.held_out = true;
      d.tasks.push_back(std::move(task));
    }
  }
  if (instructions.empty()) return;
  d.instructions = tokenize(instructions, d.tokenizer);
  add_rehearsal(d.stages.front(), config.rehearsal, config.context, task_key(12), d.instructions);
}

CompareData world_data() {
  CompareData d;
  d.world = true;
  d.name = "world";
  d.tokenizer = world::tokenizer();
  d.vocabulary = vocabulary_of(d.tokenizer);
  const Key key = task_key(2);
  const std::vector<world::Text> held_out = world::pretraining(key, 0, kWorldValidation);
  d.validation = tokenize(world::documents(held_out), d.tokenizer);
  d.entropy_floor = world::entropy(held_out);
  d.hash = d.tokenizer.fingerprint();
  return d;
}

}  // namespace

CompareData read_compare_data(CompareConfig& config, const Tokenizer* known) {
  CompareData d;
  if (config.data.inputs.empty()) {
    d = world_data();
  } else {
    RunData run = prepare_data(config.data, 1, ObjectiveKind::next_token, known);
    d.name = run.name;
    d.hash = run.hash;
    d.tokenizer = run.tokenizer;
    d.vocabulary = *run.vocabulary;
    d.pairs = !run.train.target_begins.empty();
    d.description = fmt::format("{}: {}, {}, {}", run.name, human_bytes(double(run.bytes)), run.split.text(),
                                run.tokenizer.description());
    d.stages.push_back(std::move(run.train));
    d.validation = std::move(run.validation);
  }
  const auto set = [](int64_t& field, int64_t value) { field = field > 0 ? field : value; };
  if (config.contenders.empty()) config.contenders = d.pairs ? pair_contenders() : default_contenders();
  if (config.preset.empty()) config.preset = d.world ? "world" : "llama";
  set(config.context, d.world ? 64 : 128);
  set(config.step_tokens, d.world ? 256 : 512);
  std::vector<ChoiceTask> few;
  if (!d.world) add_tasks(config, d, few);
  d.suffixes = suffix_set(d.validation.view(), d.pairs ? 0 : config.context, config.suffix_items, d.tokenizer);
  if (d.pairs) {
    for (size_t i = 0; i < std::min(d.suffixes.items.size(), kTranslations); ++i) {
      d.references.push_back(d.tokenizer.decode(d.suffixes.items[i].continuation));
    }
  }
  if (d.world && config.task_items > 0) {
    d.tasks = world_tasks(task_key(3), config.task_items);
    const std::vector<ChoiceTask> pools = world_tasks(task_key(8), 64);
    for (size_t i = 0; i < d.tasks.size(); ++i) {
      // One template of those that the text knows: demonstrations make questions long.
      if (d.tasks[i].wrapper == 0) add_few_shot(config, d.tasks[i], pools[i].choices, " ", d, few);
    }
  }
  for (ChoiceTask& t : few) d.tasks.push_back(std::move(t));
  if (config.heads.value_or(false)) {
    if (d.world) d.heads = world_heads(task_key(10), d.tokenizer);
    for (const std::string& file : config.classify) d.heads.push_back(head_of_file(file, false, d.tokenizer));
    for (const std::string& file : config.tag) d.heads.push_back(head_of_file(file, true, d.tokenizer));
  }
  if (!d.world) d.hash = hash_of(d.hash, d.tasks, d.heads);
  ask_fewer(config, d);
  return d;
}

void ask_fewer(const CompareConfig& config, CompareData& d) {
  if (config.asked_items > 0) d.tasks = at_most(std::move(d.tasks), config.asked_items, task_key(11));
}

void fill_lengths(const CompareConfig& config, CompareData& d) {
  const int64_t share = config.finetune_tokens >= 0 ? config.finetune_tokens : config.tokens * 3 / 8;
  for (HeadTask& t : d.heads) {
    t.tokens = config.head_tokens >= 0 ? config.head_tokens
               : t.own                 ? std::min(config.tokens, kHeadEpochs * t.data.train.tokens())
                                       : config.tokens / 16;
  }
  d.instruction_tokens = share;
  if (d.world) return;
  d.stage_tokens = {config.tokens};
  const int64_t most = int64_t(kMostEpochs * double(d.instructions.tokens()));
  d.instruction_tokens = config.finetune_tokens >= 0 && most > 0 ? share : std::min(share, most);
}

void fill_stages(const CompareConfig& config, CompareData& d) {
  fill_lengths(config, d);
  if (!d.world) return;
  const int64_t share = d.instruction_tokens;
  const int64_t primer = config.primer_tokens >= 0 ? std::min(config.primer_tokens, config.tokens)
                                                   : std::min(kPrimerTokens, config.tokens / 4);
  const Key key = task_key(1);
  // Whoever sees more than the others sees more text, not the same once more.
  double most = 1;
  for (const Contender& c : config.contenders) most = std::max(most, c.token_share);
  const auto scaled = [&](int64_t n) { return int64_t(std::ceil(double(n) * most)); };
  const std::vector<Document> all = world::documents(world::pretraining(key, scaled(primer), scaled(config.tokens)));
  // The primer's documents come first: they are those that hold its words.
  std::vector<Document> parts[2];
  int64_t words = 0;
  for (const Document& document : all) {
    parts[words < scaled(primer) ? 0 : 1].push_back(document);
    words += 1 + std::ranges::count(document.text, ' ');
  }
  d.stages.clear();
  d.stage_tokens.clear();
  for (const auto& part : parts) {
    if (part.empty()) continue;
    d.stages.push_back(tokenize(part, d.tokenizer));
    d.stage_tokens.push_back(std::llround(double(d.stages.back().tokens()) / most));
  }
  if (share > 0) d.instructions = tokenize(instructions(task_key(4), scaled(share), config.rehearsal), d.tokenizer);
  d.description =
      fmt::format("the built-in world: {} tokens of generated text, the first {} of them refrains{}; {}",
                  human_count(double(config.tokens)), human_count(double(primer)),
                  share > 0 ? fmt::format(", then {} of prompts with their answers", human_count(double(share))) : "",
                  d.tokenizer.description());
}

}  // namespace triarch
