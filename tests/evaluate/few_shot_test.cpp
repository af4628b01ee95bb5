#include "triarch/evaluate/few_shot.h"

#include <gtest/gtest.h>

#include "triarch/evaluate/subset.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

ChoiceTask task_of(int n, const std::string& bare) {
  ChoiceTask t;
  t.name = "sums";
  t.close = " .";
  for (int i = 0; i < n; ++i) {
    t.choices.push_back({"question " + std::to_string(i) + " :", bare, {"yes", "no"}, size_t(i % 2)});
  }
  return t;
}

TEST(FewShot, OtherQuestionsWithTheirAnswersComeFirst) {
  const Tokenizer bytes;
  const ChoiceTask task = task_of(6, "question :");
  const auto few = few_shot(task, task.choices, 2, " ", bytes, 200, Key(1, Purpose::test));
  ASSERT_TRUE(few);
  EXPECT_EQ(few->shots, 2);
  for (size_t i = 0; i < 6; ++i) {
    const std::string& prompt = few->choices[i].prompt;
    ASSERT_TRUE(prompt.ends_with(task.choices[i].prompt));
    const std::string before = prompt.substr(0, prompt.size() - task.choices[i].prompt.size());
    EXPECT_EQ(few->choices[i].bare, before + "question :");
    // Two others, each with its own answer, none twice.
    int shown = 0;
    std::string left = before;
    for (size_t j = 0; j < 6; ++j) {
      const std::string whole = task.choices[j].prompt + (j % 2 == 0 ? " yes . " : " no . ");
      const size_t at = left.find(whole);
      if (at == std::string::npos) continue;
      EXPECT_NE(i, j);
      left.erase(at, whole.size());
      ++shown;
    }
    EXPECT_EQ(shown, 2);
    EXPECT_EQ(left, "");
  }
  EXPECT_EQ(few_shot(task, task.choices, 2, " ", bytes, 200, Key(1, Purpose::test))->choices[3].prompt,
            few->choices[3].prompt);
}

TEST(FewShot, AsManyAsThereIsRoomFor) {
  const Tokenizer bytes;
  const ChoiceTask task = task_of(6, "");
  // 12 bytes of a question, 4 of " yes", 2 of what closes it, and the frame; a demonstration has 12 + 4 + 2 + 1 at
  // most.
  const int64_t alone = 12 + 4 + 2 + kFrame, one = alone + 19;
  EXPECT_FALSE(few_shot(task, task.choices, 2, " ", bytes, alone, Key(1, Purpose::test)));
  EXPECT_EQ(few_shot(task, task.choices, 2, " ", bytes, one, Key(1, Purpose::test))->shots, 1);
  EXPECT_EQ(few_shot(task, task.choices, 2, " ", bytes, one + 19, Key(1, Purpose::test))->shots, 2);
  EXPECT_TRUE(few_shot(task, task.choices, 2, " ", bytes, one + 19, Key(1, Purpose::test))->choices[0].bare.empty());
  // Of one question there are no others.
  EXPECT_FALSE(few_shot(task_of(1, ""), task_of(1, "").choices, 1, " ", bytes, 200, Key(1, Purpose::test)));
}

}  // namespace
}  // namespace triarch
