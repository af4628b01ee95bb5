#include "triarch/study/heads.h"

#include <algorithm>
#include <map>

#include "triarch/base/error.h"
#include "triarch/data/loader.h"
#include "triarch/data/vocabulary.h"
#include "triarch/data/world.h"
#include "triarch/inference/classify.h"
#include "triarch/inference/sampling.h"
#include "triarch/model/convert.h"
#include "triarch/study/batches.h"
#include "triarch/study/trial.h"
#include "triarch/text/words.h"
#include "triarch/train/learner.h"

namespace triarch {
namespace {

constexpr int64_t kWorldTexts = 2400;  // a sixth of them held out
constexpr double kHeldOut = 1.0 / 6;

// The labels of held-out document d, and the tokens that have them.
std::span<const int32_t> tags_of(const Documents& documents, int64_t d) {
  return documents.passage(d, 0, documents.begins[size_t(d + 1)] - documents.begins[size_t(d)]).tags;
}

HeadTask head_of(Corpus corpus, const std::string& name, bool tagging, const Tokenizer& tokenizer) {
  HeadTask t;
  t.name = name;
  t.tagging = tagging;
  DataConfig config;
  config.inputs = {name};
  config.validation = kHeldOut;
  t.data = prepare_data(std::move(corpus), config, 1, t.kind(), &tokenizer);
  std::map<int32_t, int64_t> counts;
  int64_t all = 0, most = 0;
  for (int32_t label : tagging ? t.data.validation_labels.tags : t.data.validation_labels.classes) {
    if (label < 0) continue;
    ++all;
    most = std::max(most, ++counts[label]);
  }
  require(all > 0, "heads: expected held-out labels in {}, found none", name);
  t.majority = double(most) / double(all);
  return t;
}

// "again" or "last" for each word: whether it occurs again in the text.
std::string again_or_last(const std::string& text) {
  std::vector<std::string> words;
  for (const auto& [begin, end] : words_of(text)) words.push_back(text.substr(begin, end - begin));
  std::string tags;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool again = std::find(words.begin() + int64_t(i) + 1, words.end(), words[i]) != words.end();
    tags += std::string(i == 0 ? "" : " ") + (again ? "again" : "last");
  }
  return tags;
}

}  // namespace

std::vector<HeadTask> world_heads(Key key, const Tokenizer& tokenizer) {
  Corpus reviews, texts;
  for (int64_t i = 0; i < kWorldTexts; ++i) {
    const world::Item item = world::item(key.with(1), "sentiment", i);
    reviews.documents.push_back({item.context, item.answer, true, "world"});
    const std::string text = world::document(key.with(2), i, world::Stage::mix).text;
    texts.documents.push_back({text, again_or_last(text), true, "world"});
  }
  std::vector<HeadTask> heads;
  heads.push_back(head_of(std::move(reviews), "sentiment", false, tokenizer));
  heads.back().title = "the class of a review";
  heads.push_back(head_of(std::move(texts), "occurs again", true, tokenizer));
  heads.back().title = "whether a word occurs again, which only what follows can say";
  return heads;
}

HeadTask head_of_file(const std::string& path, bool tagging, const Tokenizer& tokenizer) {
  HeadTask t = head_of(read_corpus({path}), path, tagging, tokenizer);
  t.name = t.data.name;
  t.own = true;
  t.title = tagging ? "the tag of a word" : "the class of a text";
  return t;
}

HeadAnswers learn_head(const Contender& contender, uint64_t seed, const Model& model, const HeadTask& task,
                       const TrialInputs& in, const std::function<void(int64_t)>& step) {
  ModelSpec spec = model.spec();
  spec.labels = task.data.labels;
  (task.tagging ? spec.tags : spec.classes) = int64_t(task.data.labels.size());
  Learner learner(spec, in.precision, optimizer_of(contender, in));
  learner.model().parameters().initialise(seed);
  convert_weights(model, learner.model());

  ObjectiveSpec o;
  o.kind = task.kind();
  check_pairing(contender.family, o.kind);
  const auto objective = make_objective(o, *in.vocabulary);
  LoaderOptions options;
  options.layout = layout_of(contender.family);
  options.capacity = options.context = rows_of_step(in.step_tokens, in.context);
  options.seed = seed;
  Loader loader(
      task.data.train_documents(), [&](const Passage& p, Key key) { return objective->example(p, key); },
      in.tokenizer->specials(), options);
  const int64_t wanted = task.tokens;
  for (int64_t seen = 0; seen < wanted;) {
    const Batch& batch = loader.next();
    // By tokens, whose number in a batch varies.
    const double factor = in.finetune_rate * in.schedule.factor(seen * 1000 / wanted, 1000);
    const int64_t tokens = learner.step(std::span(&batch, 1), factor).tokens;
    seen += tokens;
    step(tokens);
  }

  const Documents held_out = task.data.validation_documents();
  std::vector<std::vector<int32_t>> texts;
  std::vector<std::vector<int64_t>> places;
  for (int64_t d = 0; d < held_out.size(); ++d) {
    const auto begin = held_out.ids.begin() + held_out.begins[size_t(d)];
    texts.emplace_back(begin, held_out.ids.begin() + held_out.begins[size_t(d + 1)]);
    places.emplace_back();
    if (!task.tagging) continue;
    const std::span<const int32_t> tags = tags_of(held_out, d);
    for (size_t i = 0; i < tags.size(); ++i) {
      if (tags[i] >= 0) places.back().push_back(int64_t(i));
    }
  }
  HeadAnswers out;
  out.task = task.name;
  if (!task.tagging) {
    const auto answers = classify(learner.model(), in.tokenizer->specials(), texts);
    for (size_t d = 0; d < answers.size(); ++d) out.right += argmax(answers[d]) == held_out.labels[d] ? '1' : '0';
    return out;
  }
  const auto answers = tag(learner.model(), in.tokenizer->specials(), texts, places);
  for (size_t d = 0; d < answers.size(); ++d) {
    const std::span<const int32_t> tags = tags_of(held_out, int64_t(d));
    if (d > 0) out.right += ' ';
    for (size_t i = 0; i < answers[d].size(); ++i) {
      // What the model did not read, it did not tag.
      const bool right = !answers[d][i].empty() && argmax(answers[d][i]) == tags[size_t(places[d][i])];
      out.right += right ? '1' : '0';
    }
  }
  return out;
}

}  // namespace triarch
