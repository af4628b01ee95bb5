#include "triarch/evaluate/minimal_pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/inference/session.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {
namespace fs = std::filesystem;

constexpr Key kKey(1, Purpose::test);

class MinimalPairs : public testing::Test {
 protected:
  void file(const std::string& name, const std::string& bytes) { scratch_.write(name, bytes); }
  std::string error() {
    try {
      minimal_pairs(folder_, 10, kKey);
      return "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code, ExitCode::usage);
      return e.what();
    }
  }
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

std::string right(const Choice& c) { return c.candidates[c.answer]; }
std::string wrong(const Choice& c) { return c.candidates[1 - c.answer]; }

TEST_F(MinimalPairs, AreReadFromEachKindOfFile) {
  file("b.tsv", "sentence_good\tsentence_bad\r\nHe is.\tHe are.\r\nSame.\tSame.\r\nI am.\tI is.\r\n");
  file("c.tsv", "sentence_bad\tsentence_good\nHe be.\tHe is.\n");
  file("a.txt", "no he are .\nno he is .\nbad .\ngood .\n");
  file("d.jsonl", R"({"sentence_good": "Good.", "sentence_bad": "Bad.", "UID": "d"})"
                  "\n");
  file("_paradigms.tsv", "UID\tfield\n");
  file("SOURCE.txt", "One line.");
  file("README.md", "text");
  const auto tasks = minimal_pairs(folder_, 10, kKey);
  ASSERT_EQ(tasks.size(), 4u);
  const char* names[] = {"a", "b", "c", "d"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(tasks[i].name, names[i]);
    EXPECT_EQ(tasks[i].chance, 0.5);
    EXPECT_EQ(tasks[i].encoder, EncoderScore::one_by_one);
    EXPECT_EQ(tasks[i].close, "");
    for (const Choice& c : tasks[i].choices) {
      EXPECT_EQ(c.candidates.size(), 2u);
      EXPECT_EQ(c.prompt + c.bare, "");
    }
  }
  ASSERT_EQ(tasks[0].choices.size(), 2u);
  EXPECT_EQ(right(tasks[0].choices[0]), "no he is .");
  EXPECT_EQ(wrong(tasks[0].choices[0]), "no he are .");
  EXPECT_EQ(right(tasks[0].choices[1]), "good .");
  ASSERT_EQ(tasks[1].choices.size(), 2u);
  EXPECT_EQ(right(tasks[1].choices[1]), "I am.");
  EXPECT_EQ(wrong(tasks[1].choices[1]), "I is.");
  EXPECT_EQ(right(tasks[2].choices[0]), "He is.");
  EXPECT_EQ(right(tasks[3].choices[0]), "Good.");
}

TEST_F(MinimalPairs, AreAFunctionOfTheKeyAndStandAtBothPlaces) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += fmt::format("bad {} .\ngood {} .\n", i, i);
  file("x.txt", text);
  const auto a = minimal_pairs(folder_, 300, kKey), b = minimal_pairs(folder_, 300, kKey),
             c = minimal_pairs(folder_, 300, kKey.with(1));
  ASSERT_EQ(a[0].choices.size(), 300u);
  int64_t first = 0, equal = 0;
  for (size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(a[0].choices[i].candidates, b[0].choices[i].candidates);
    EXPECT_EQ(right(a[0].choices[i]).substr(0, 5), "good ");
    first += a[0].choices[i].answer == 0;
    equal += a[0].choices[i].candidates == c[0].choices[i].candidates;
  }
  EXPECT_NEAR(double(first), 150, 35);
  EXPECT_LT(equal, 100);
}

TEST_F(MinimalPairs, ErrorsNameTheLine) {
  EXPECT_NE(error().find("expected .jsonl, .tsv or .txt files with pairs"), std::string::npos);
  const auto expect = [&](const char* name, const char* bytes, const char* message) {
    file(name, bytes);
    const std::string found = error();
    EXPECT_NE(found.find(message), std::string::npos) << found;
    fs::remove(folder_ / name);
  };
  expect("a.txt", "one\ntwo\nthree\n", "a.txt:3: expected an even number of lines");
  expect("a.txt", "one\n\n", "a.txt:2: expected a sentence");
  expect("a.tsv", "good\tbad\n", "a.tsv:1: expected the columns sentence_good and sentence_bad, found 'good\tbad'");
  expect("a.tsv", "sentence_good\tsentence_bad\nx\n", "a.tsv:2: expected two columns, found 'x'");
  expect("a.tsv", "sentence_good\tsentence_bad\nx\ty\tz\n", "a.tsv:2: expected two columns");
  expect("a.jsonl", "{\"sentence_good\": \"x\"}\n", "a.jsonl:1: expected an object");
  expect("a.jsonl", "\n{\n", "a.jsonl:2: expected an object");
  EXPECT_THROW(minimal_pairs(folder_ / "none", 10, kKey), Error);
}

// Every family and format answers for a sentence behind nothing: the likelier of the two.
TEST_F(MinimalPairs, TheLikelierSentenceIsChosen) {
  file("x.txt", "he are here .\nhe is here .\nwe was so very tired .\nwe were tired .\nab\ncd\nxyz\nzy\n");
  const auto tasks = minimal_pairs(folder_, 10, kKey);
  const Tokenizer tokenizer;
  const Specials& special = tokenizer.specials();
  struct Asked {
    Family family;
    SuffixFormat format;
    std::vector<int32_t> source;
  };
  const std::vector<Asked> all = {{Family::causal, SuffixFormat::continuation, {}},
                                  {Family::prefix, SuffixFormat::continuation, {}},
                                  {Family::permutation, SuffixFormat::continuation, {}},
                                  {Family::encoder_decoder, SuffixFormat::continuation, {}},
                                  {Family::encoder_decoder, SuffixFormat::span, {special.sentinel(0)}},
                                  {Family::encoder_decoder, SuffixFormat::reconstruct, {special.mask}},
                                  {Family::encoder_decoder, SuffixFormat::sequential, {special.mode_sequential}},
                                  {Family::encoder, SuffixFormat::none, {}}};
  for (const Asked& a : all) {
    SCOPED_TRACE(fmt::format("family {}, format {}", int(a.family), int(a.format)));
    ModelSpec spec = preset("world", a.family, 32, 2);
    spec.vocabulary = tokenizer.vocabulary();
    spec.max_positions = 80;
    Model model(spec, Precision::float64(), false);
    model.parameters().initialise(3);
    std::string expected;
    for (const Choice& c : tasks[0].choices) {
      std::vector<double> sums;
      for (const std::string& candidate : c.candidates) {
        const std::vector<int32_t> ids = tokenizer.encode(" " + candidate);
        double sum = 0;
        if (a.family == Family::encoder) {
          for (size_t t = 0; t < ids.size(); ++t) {  // one mask at a time
            Batch batch;
            Rows& rows = batch.encoder;
            const auto add = [&](int32_t id) {
              rows.positions.push_back(int32_t(rows.size()));
              rows.ids.push_back(id);
            };
            add(special.cls);
            for (size_t k = 0; k < ids.size(); ++k) add(k == t ? special.mask : ids[k]);
            add(special.eos);
            batch.loss_rows.push_back(int32_t(1 + t));
            batch.targets.push_back(ids[t]);
            rows.segments.push_back({0, int32_t(rows.size())});
            Arena arena;
            Context ctx{arena, nullptr, Precision::float64()};
            sum -= model.loss(ctx, model.forward(ctx, batch), batch, {}).nll;
          }
        } else {
          Session session(model, special);
          Logits logits = session.prefill(0, a.source);
          std::vector<int32_t> target = ids;
          if (a.format == SuffixFormat::span) target.insert(target.begin(), special.sentinel(0));
          for (size_t t = 0; t < target.size(); ++t) {
            if (t >= target.size() - ids.size()) sum += log_softmax(logits.row(0))[size_t(target[t])];
            const Session::Next next{0, target[t]};
            logits = session.step({&next, 1});
          }
        }
        sums.push_back(sum);
      }
      expected += (sums[1] > sums[0] ? 1u : 0u) == c.answer ? '1' : '0';
    }
    EXPECT_EQ(answer(model, tokenizer, a.format, tasks[0]).right, expected);
    EXPECT_EQ(answer(model, tokenizer, a.format, tasks[0]).bare, "");
  }
}

TEST_F(MinimalPairs, SharedData) {
  const char* shared = std::getenv("TRIARCH_SHARED");
  const fs::path data = fs::path(shared ? shared : TRIARCH_SOURCE_DIR "/../shared") / "data/eval";
  if (!fs::exists(data)) GTEST_SKIP() << "no shared data: set TRIARCH_SHARED";
  const auto blimp = minimal_pairs(data / "blimp", 1000, kKey), zorro = minimal_pairs(data / "zorro", 2000, kKey);
  EXPECT_EQ(blimp.size(), 67u);
  for (const ChoiceTask& t : blimp) EXPECT_GE(t.choices.size(), 990u) << t.name;
  EXPECT_EQ(blimp[0].name, "adjunct_island");
  EXPECT_EQ(zorro.size(), 23u);
  for (const ChoiceTask& t : zorro) EXPECT_EQ(t.choices.size(), 2000u) << t.name;
  const auto superlative = std::ranges::find(zorro, "quantifiers-superlative", &ChoiceTask::name);
  EXPECT_EQ(right(superlative->choices[0]), "no pig could stand on top of more than six days .");
}

}  // namespace
}  // namespace triarch
