// What answers to choice tasks amount to, over prompt templates, tasks and runs (Wang et al. 2022, section 2.3: the
// median over prompts, then the mean over tasks), with what the papers left out: the score counts from the answers
// given without the context, and resamples of runs and items give it an interval. The score of a task is
//
//   (accuracy - max(bare, chance)) / (1 - chance)
//
// with what is right without the context (bare) and one in the number of candidates (chance): a prior that finds
// answers is taken off, and one that misleads does not count for the model. (Divided by 1 - bare, a task that a prior
// solves would outweigh all others.)
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "triarch/evaluate/choice.h"
#include "triarch/evaluate/statistics.h"

namespace triarch {

// A model's answers to one task under one prompt template.
struct TaskAnswers {
  std::string task;
  int64_t wrapper = 0;
  std::string right, bare;  // choice.h: ChoiceAnswers

  template <class V>
  void fields(V& v) {
    v("task", task, "kind of questions");
    v("wrapper", wrapper, "prompt template");
    v("right", right, "1 or 0 for each item");
    v("bare", bare, "the same, asked without context; empty: there is none");
  }
};

// Which tasks and templates a score is over.
struct TaskGroup {
  std::string name;
  std::function<bool(const ChoiceTask&)> holds;
};

struct TaskFigures {
  std::string task, depth, use;
  bool held_out = false;
  double accuracy = 0;  // median over templates, mean over runs
  double bare = 0;      // the same without context; of questions without context one in the candidates
  double score = 0;     // see above, mean over runs
  bool above = false;   // above chance in every run

  template <class V>
  void fields(V& v) {
    v("task", task, "kind of questions");
    v("depth", depth, "easy, middle or hard");
    v("use", use, "understand or transform");
    v("held_out", held_out, "no task of finetuning");
    v("accuracy", accuracy, "median over prompt templates, mean over seeds");
    v("bare", bare, "the same with the context left out");
    v("score", score, "(accuracy - max(bare, chance)) / (1 - chance), mean over seeds");
    v("above", above,
      "above chance in every seed: one-sided tests against the context left out and against guessing, Holm over the "
      "tasks, p < .01");
  }
};

// One model's answers: of each run, to all tasks in their order.
struct AnswerSet {
  std::vector<std::vector<TaskAnswers>> runs;
  // The templates by which tasks are listed and tested; empty: all.
  std::function<bool(const ChoiceTask&)> shown;
};

struct TaskScores {
  std::vector<Estimate> groups;    // the score of each group; no runs in it where no task belongs to the group
  std::vector<TaskFigures> tasks;  // of the templates shown
  int64_t above = 0;               // tasks above chance
};

// Above chance: right answers against one in the number of candidates and, where there is a context, answers that it
// turns from wrong to right against those that it turns from right to wrong; both p < .01 after Holm's correction over
// the tasks, in each run. All sets draw the same items and runs, so their estimates are paired. Error if answers and
// tasks do not fit.
std::vector<TaskScores> task_scores(std::span<const AnswerSet> sets, std::span<const ChoiceTask> tasks,
                                    std::span<const TaskGroup> groups, int64_t resamples = kResamples / 2);

}  // namespace triarch
