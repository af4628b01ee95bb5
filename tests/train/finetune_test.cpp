// Finetuning with labels: a trained model as the start, a new head, and tasks that a model can get right.
#include <map>

#include "tests/train/run_problem.h"
#include "triarch/checkpoint/weights.h"

namespace triarch {
namespace {

using testing::data_for;
using testing::RunTest;

const std::map<std::string, std::vector<std::string>> kWords = {
    {"animal", {"cat", "dog", "bird", "horse", "cow", "fish"}},
    {"colour", {"red", "blue", "green", "white", "black", "brown"}},
    {"number", {"one", "two", "three", "four", "five", "six"}},
};

// Sentences of words of all three kinds; pairs with the kind of most of them (kind = classification) or of each.
Corpus labelled(ObjectiveKind kind, int64_t documents) {
  Draw draw(Key(4, Purpose::test));
  std::vector<std::string> names;
  for (const auto& [name, words] : kWords) names.push_back(name);
  Corpus corpus;
  for (int64_t i = 0; i < documents; ++i) {
    const size_t major = draw.below(3);
    std::string text, tags;
    for (int word = 0; word < 8; ++word) {
      const size_t k = draw.uniform() < 0.75 ? major : draw.below(3);
      text += (word ? " " : "") + kWords.at(names[k])[draw.below(6)];
      tags += (word ? " " : "") + names[k];
    }
    const std::string place = "labelled:" + std::to_string(i);
    if (kind == ObjectiveKind::masked_lm) {
      corpus.documents.push_back({text, "", false, place});
    } else {
      corpus.documents.push_back({text, kind == ObjectiveKind::tagging ? tags : names[major], true, place});
    }
  }
  return corpus;
}

class FinetuneTest : public RunTest {
 protected:
  TrainConfig with(const std::string& name, Family family, ObjectiveKind kind, int64_t steps) {
    TrainConfig c = config(name, family, steps);
    c.objectives.resize(1);
    c.objectives[0].kind = kind;
    c.model.dropout = 0;
    c.eval_steps = steps;
    c.save_steps = steps;
    return c;
  }
  // Learns the labels from `base` and returns the held-out accuracy.
  double accuracy(const std::string& base, Family family, ObjectiveKind kind) {
    TrainConfig c = with(base + "-" + enum_name(kind), family, kind, 150);
    c.init_from = (root_ / base).string();
    const std::filesystem::path model = find_model(c.init_from);
    c.model = read_spec(model);
    const Tokenizer tokenizer = Tokenizer::load(model / model_file::tokenizer);
    triarch::Run run(c, data_for(c, labelled(kind, 400), &tokenizer));
    EXPECT_EQ(run.config().model.labels, (std::vector<std::string>{"animal", "colour", "number"}));
    // It starts where the other run ended, with a head of its own.
    const SafetensorsFile weights(model / model_file::weights, "test");
    int64_t found = 0;
    for (const Parameter& p : run.learner().model().parameters().all()) {
      const NamedTensor* t = weights.find(p.name);
      if (!t) continue;
      ++found;
      EXPECT_EQ(std::memcmp(t->data, p.value.raw(), size_t(t->bytes())), 0) << p.name;
    }
    EXPECT_EQ(found, int64_t(weights.tensors().size()));
    train(run);
    // A new head's model, finetuned again or loaded to classify, says what its numbers mean.
    EXPECT_EQ(read_spec(find_model(root_ / (base + "-" + enum_name(kind)))).labels.size(), 3u);
    EXPECT_GT(run.result().tally.weight, 0);
    return double(run.result().tally.correct) / run.result().tally.weight;
  }
};

TEST_F(FinetuneTest, ClassesAndTagsOfASeparableTask) {
  for (Family family : {Family::encoder, Family::causal}) {
    const std::string base = enum_name(family);
    const ObjectiveKind kind = family == Family::encoder ? ObjectiveKind::masked_lm : ObjectiveKind::next_token;
    TrainConfig c = with(base, family, kind, 30);
    train(*std::make_unique<triarch::Run>(c, data_for(c, labelled(ObjectiveKind::masked_lm, 400))));
    EXPECT_GT(accuracy(base, family, ObjectiveKind::classification), 0.9) << base;
    EXPECT_GT(accuracy(base, family, ObjectiveKind::tagging), 0.9) << base;
  }
}

// A head belongs to its labels: it is kept for the same ones only, and another task's goes.
TEST_F(FinetuneTest, AHeadStaysForTheSameLabelsOnly) {
  const TrainConfig base = with("tagger", Family::encoder, ObjectiveKind::tagging, 3);
  train(*std::make_unique<triarch::Run>(base, data_for(base, labelled(ObjectiveKind::tagging, 60))));
  const std::filesystem::path model = find_model(root_ / "tagger");
  const SafetensorsFile weights(model / model_file::weights, "test");
  const Tokenizer tokenizer = Tokenizer::load(model / model_file::tokenizer);
  const auto finetuned = [&](ObjectiveKind kind, Corpus corpus) {
    TrainConfig c = with("finetuned", Family::encoder, kind, 2);
    c.init_from = (root_ / "tagger").string();
    c.model = read_spec(model);
    return std::make_unique<triarch::Run>(
        c, prepare_data(std::move(corpus), c.data, c.seed, c.objectives.front().kind, &tokenizer));
  };
  const auto kept = [&](triarch::Run& run, const std::string& name) {
    const Parameter* p = run.learner().model().parameters().find(name);
    const NamedTensor* t = weights.find(name);
    return p && t && std::memcmp(t->data, p->value.raw(), size_t(t->bytes())) == 0;
  };
  EXPECT_TRUE(kept(*finetuned(ObjectiveKind::tagging, labelled(ObjectiveKind::tagging, 60)), "tags.weight"));
  Corpus renamed = labelled(ObjectiveKind::tagging, 60);
  for (Document& d : renamed.documents) {
    for (size_t i = 0; i < d.target.size(); i = d.target.find(' ', i) + 1) {
      d.target.insert(i, "x");
      if (d.target.find(' ', i) == std::string::npos) break;
    }
  }
  const auto other = finetuned(ObjectiveKind::tagging, renamed);
  EXPECT_EQ(other->config().model.labels, (std::vector<std::string>{"xanimal", "xcolour", "xnumber"}));
  EXPECT_FALSE(kept(*other, "tags.weight"));
  const auto classes = finetuned(ObjectiveKind::classification, labelled(ObjectiveKind::classification, 60));
  EXPECT_EQ(classes->config().model.classes, 3);
  EXPECT_EQ(classes->config().model.tags, 0);
  EXPECT_EQ(classes->learner().model().parameters().find("tags.weight"), nullptr);
}

}  // namespace
}  // namespace triarch
