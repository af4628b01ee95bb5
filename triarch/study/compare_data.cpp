#include "triarch/study/compare_data.h"

#include <algorithm>

#include "triarch/base/human.h"
#include "triarch/data/world.h"

namespace triarch {
namespace {

constexpr uint64_t kWorldSeed = 1;            // one world for all comparisons
constexpr int64_t kWorldValidation = 20'000;  // words held out
constexpr int64_t kPrimerTokens = 100'000;

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

CompareData world_data() {
  CompareData d;
  d.world = true;
  d.name = "world";
  d.tokenizer = world::tokenizer();
  d.vocabulary = vocabulary_of(d.tokenizer);
  const Key key = Key(kWorldSeed, Purpose::world).with(2);
  d.validation = tokenize(world::pretraining(key, 0, kWorldValidation), d.tokenizer);
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
  d.suffixes = suffix_set(d.validation.view(), d.pairs ? 0 : config.context, config.suffix_items, d.tokenizer);
  if (d.world && config.task_items > 0) {
    d.tasks = world_tasks(Key(kWorldSeed, Purpose::world).with(3), config.task_items);
  }
  return d;
}

void fill_stages(const CompareConfig& config, CompareData& d) {
  if (!d.world) {
    d.stage_tokens = {config.tokens};
    return;
  }
  const int64_t primer = config.primer_tokens >= 0 ? std::min(config.primer_tokens, config.tokens)
                                                   : std::min(kPrimerTokens, config.tokens / 4);
  const Key key = Key(kWorldSeed, Purpose::world).with(1);
  const std::vector<Document> all = world::pretraining(key, primer, config.tokens);
  // The primer's documents come first: they are those that hold its words.
  std::vector<Document> parts[2];
  int64_t words = 0;
  for (const Document& document : all) {
    parts[words < primer ? 0 : 1].push_back(document);
    words += 1 + std::ranges::count(document.text, ' ');
  }
  d.stages.clear();
  d.stage_tokens.clear();
  for (const auto& part : parts) {
    if (part.empty()) continue;
    d.stages.push_back(tokenize(part, d.tokenizer));
    d.stage_tokens.push_back(d.stages.back().tokens());
  }
  const int64_t finetune = config.finetune_tokens >= 0 ? config.finetune_tokens : config.tokens * 3 / 8;
  d.instruction_tokens = finetune;
  if (finetune > 0) {
    d.instructions =
        tokenize(instructions(Key(kWorldSeed, Purpose::world).with(4), finetune, config.rehearsal), d.tokenizer);
  }
  d.description =
      fmt::format("the built-in world: {} tokens of generated text, the first {} of them refrains; {}",
                  human_count(double(config.tokens)), human_count(double(primer)), d.tokenizer.description());
}

}  // namespace triarch
