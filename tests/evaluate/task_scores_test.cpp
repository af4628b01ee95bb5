#include "triarch/evaluate/task_scores.h"

#include <gtest/gtest.h>

#include "triarch/base/error.h"

namespace triarch {
namespace {

ChoiceTask task(const char* name, int wrapper, double chance, size_t items) {
  ChoiceTask t;
  t.name = name;
  t.wrapper = wrapper;
  t.seen = wrapper == 0;
  t.chance = chance;
  t.choices.resize(items);
  return t;
}

const std::string yes(20, '1'), no(20, '0'), half = "10101010101010101010";

// Two kinds of questions, the first under three templates, in two runs, by hand.
TEST(TaskScores, MedianOverTemplatesThenMeanOverTasksAboveTheContextLeftOut) {
  const std::vector<ChoiceTask> tasks = {task("with", 0, 0.5, 20), task("with", 1, 0.5, 20), task("with", 2, 0.5, 20),
                                         task("without", 0, 0.25, 20)};
  const std::vector<TaskGroup> groups = {{"all", [](const ChoiceTask&) { return true; }},
                                         {"seen", [](const ChoiceTask& t) { return t.seen; }},
                                         {"none", [](const ChoiceTask&) { return false; }}};
  AnswerSet set;
  set.runs = {{{"with", 0, yes, half}, {"with", 1, yes, no}, {"with", 2, no, no}, {"without", 0, half, ""}},
              {{"with", 0, half, half}, {"with", 1, yes, no}, {"with", 2, no, no}, {"without", 0, no, ""}}};
  const TaskScores s = task_scores({&set, 1}, tasks, groups, 200).front();
  ASSERT_EQ(s.tasks.size(), 2u);
  // "with": medians 1 and .5 against 0, but half is guessed; "without": .5 and 0 against .25.
  EXPECT_DOUBLE_EQ(s.tasks[0].accuracy, 0.75);
  EXPECT_DOUBLE_EQ(s.tasks[0].bare, 0);
  EXPECT_DOUBLE_EQ(s.tasks[0].score, 0.5);
  EXPECT_NEAR(s.tasks[1].score, (1.0 / 3 - 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(s.groups[0].runs[0], (1 + 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(s.groups[0].runs[1], (0 - 1.0 / 3) / 2, 1e-12);
  // Template 0 alone: 1 and .5 against .5.
  EXPECT_NEAR(s.groups[1].runs[0], (1 + 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(s.groups[1].runs[1], (0 - 1.0 / 3) / 2, 1e-12);
  EXPECT_TRUE(s.groups[2].runs.empty());
  // In both runs at least 20 answers turn right and none turns wrong, but in the second no more than half are right.
  EXPECT_FALSE(s.tasks[0].above);
  EXPECT_FALSE(s.tasks[1].above);
  EXPECT_EQ(s.groups[0].resamples.size(), 200u);
  const Interval interval = s.groups[0].interval();
  EXPECT_LT(interval.low, s.groups[0].mean());
  EXPECT_GT(interval.high, s.groups[0].mean());

  // By the templates shown: under the second all are right with the context, none without.
  set.shown = [](const ChoiceTask& t) { return t.wrapper == 1 || t.name == "without"; };
  const TaskScores other = task_scores({&set, 1}, tasks, groups, 20).front();
  EXPECT_TRUE(other.tasks[0].above);
  EXPECT_EQ(other.above, 1);
  EXPECT_DOUBLE_EQ(other.tasks[0].accuracy, 1);
}

TEST(TaskScores, ArePairedBetweenSets) {
  const std::vector<ChoiceTask> tasks = {task("a", 0, 0.5, 20), task("b", 0, 0.5, 20)};
  const std::vector<TaskGroup> groups = {{"all", [](const ChoiceTask&) { return true; }}};
  std::string better = half;
  better[1] = '1';
  AnswerSet x, y;
  x.runs = {{{"a", 0, half, ""}, {"b", 0, half, ""}}, {{"a", 0, better, ""}, {"b", 0, half, ""}}};
  y.runs = {{{"a", 0, better, ""}, {"b", 0, half, ""}}, {{"a", 0, better, ""}, {"b", 0, half, ""}}};
  const std::vector<AnswerSet> sets = {x, y, x};
  const auto s = task_scores(sets, tasks, groups);
  // The same answers, so the same in every resample; one answer more is never less.
  EXPECT_EQ(s[0].groups[0].resamples, s[2].groups[0].resamples);
  const Difference d = difference(s[1].groups[0], s[0].groups[0]);
  EXPECT_GE(d.bootstrap.low, 0);
  EXPECT_GT(d.mean, 0);
  EXPECT_FALSE(d.significant());
}

TEST(TaskScores, RefuseAnswersToOtherTasks) {
  const std::vector<ChoiceTask> tasks = {task("a", 0, 0.5, 20)};
  AnswerSet set;
  for (const std::vector<TaskAnswers>& run :
       {std::vector<TaskAnswers>{}, {{"b", 0, yes, ""}}, {{"a", 0, "101", ""}}, {{"a", 0, yes, "1"}}}) {
    set.runs = {run};
    EXPECT_THROW(task_scores({&set, 1}, tasks, {}, 10), Error);
  }
}

}  // namespace
}  // namespace triarch
