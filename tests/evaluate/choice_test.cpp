#include "triarch/evaluate/choice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "triarch/data/world.h"
#include "triarch/inference/session.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

TEST(Choice, WorldTasksHaveTheAnswerAmongTheCandidates) {
  const auto tasks = world_tasks(Key(1, Purpose::test), 9);
  ASSERT_EQ(tasks.size(), world::wrappers * world::families().size());
  for (const ChoiceTask& t : tasks) {
    ASSERT_EQ(t.choices.size(), 9u);
    EXPECT_EQ(t.seen, t.wrapper < 2);
    EXPECT_EQ(t.use == "transform", t.choices[0].candidates[0].find(' ') != std::string::npos) << t.name;
    for (const Choice& c : t.choices) {
      EXPECT_LT(c.answer, c.candidates.size()) << t.name;
      EXPECT_LT(c.bare.size(), c.prompt.size() + (c.bare.empty() ? 1 : 0)) << t.name;
    }
  }
  // Different questions under different templates.
  EXPECT_NE(tasks[0].choices[0].prompt, tasks[1].choices[0].prompt);
}

// The candidate with the largest log-probability as a session gives it, or for an encoder as its masks do.
TEST(Choice, IsTheLikeliestCandidate) {
  const Tokenizer tokenizer = world::tokenizer();
  const auto all = world_tasks(Key(2, Purpose::test), 12);
  const ChoiceTask& task = *std::find_if(all.begin(), all.end(), [](const ChoiceTask& t) { return t.name == "copy"; });
  for (Family family : {Family::causal, Family::prefix, Family::encoder_decoder, Family::encoder}) {
    ModelSpec spec = preset("world", family, 32, 2);
    spec.vocabulary = tokenizer.vocabulary();
    spec.max_positions = 80;
    Model model(spec, Precision::float64(), false);
    model.parameters().initialise(3);
    const SuffixFormat format = family == Family::encoder ? SuffixFormat::none : SuffixFormat::continuation;
    for (bool bare : {false, true}) {
      std::string expected;
      for (const Choice& c : task.choices) {
        const std::vector<int32_t> prompt = tokenizer.encode(bare ? c.bare : c.prompt);
        std::vector<double> sums;
        for (const std::string& candidate : c.candidates) {
          const std::vector<int32_t> ids = tokenizer.encode(" " + candidate + (family == Family::encoder ? " ." : ""));
          double sum = 0;
          if (family == Family::encoder) {
            Batch batch;
            Rows& rows = batch.encoder;
            const auto add = [&](int32_t id) {
              rows.positions.push_back(int32_t(rows.size()));
              rows.ids.push_back(id);
            };
            add(tokenizer.specials().cls);
            for (int32_t id : prompt) add(id);
            for (int32_t id : ids) {
              batch.loss_rows.push_back(int32_t(rows.size()));
              batch.targets.push_back(id);
              add(tokenizer.specials().mask);
            }
            add(tokenizer.specials().eos);
            rows.segments.push_back({0, int32_t(rows.size())});
            Arena arena;
            Context ctx{arena, nullptr, Precision::float64()};
            sum = -model.loss(ctx, model.forward(ctx, batch), batch, {}).nll;
          } else {
            Session session(model, tokenizer.specials());
            Logits logits = session.prefill(0, prompt);
            for (int32_t id : ids) {
              sum += log_softmax(logits.row(0))[size_t(id)];
              const Session::Next next{0, id};
              logits = session.step({&next, 1});
            }
          }
          sums.push_back(sum);
        }
        const size_t best = size_t(std::max_element(sums.begin(), sums.end()) - sums.begin());
        expected += best == c.answer ? '1' : '0';
      }
      const ChoiceAnswers answers = answer(model, tokenizer, format, task);
      EXPECT_EQ(bare ? answers.bare : answers.right, expected) << int(family);
    }
  }
}

// Of words, one token each: generators read a prompt once for all candidates, encoders once per length or per pass.
TEST(Choice, RowsToAnswer) {
  const Tokenizer tokenizer = world::tokenizer();
  const std::string word = world_tasks(Key(1, Purpose::test), 1)[0].choices[0].candidates[0];
  const auto words = [&](int n) {
    std::string out = word;
    for (int i = 1; i < n; ++i) out += " " + word;
    return out;
  };
  ASSERT_EQ(tokenizer.encode(words(3)).size(), 3u);
  ChoiceTask task;
  task.choices.push_back({words(10), words(4), {words(2), words(2), words(9)}});
  task.choices.push_back({words(20), words(4), {words(1)}});
  EXPECT_EQ(rows_to_answer(task, tokenizer, Family::causal), (10 + 13) + (4 + 13) + (20 + 1));
  EXPECT_EQ(rows_to_answer(task, tokenizer, Family::encoder), (12 + 19) + (6 + 13) + 21);
  task.encoder = EncoderScore::spread;
  EXPECT_EQ(rows_to_answer(task, tokenizer, Family::encoder),
            (2 * 12 + 2 * 12 + 7 * 19) + (2 * 6 + 2 * 6 + 7 * 13) + 21);
}

}  // namespace
}  // namespace triarch
