// Labelling: a head on top of what a contender has learnt, finetuned on texts with a class each, or with a tag for
// every word (Devlin et al. 2019, sections 4.1 and 5.3), and its accuracy on held-out ones. It is what encoders are
// for; every family can be asked.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "triarch/study/contender.h"
#include "triarch/train/data.h"

namespace triarch {

struct TrialInputs;  // study/trial.h

struct HeadTask {
  std::string name;   // "sentiment"
  std::string title;  // "the class of a review"
  bool tagging = false;
  RunData data;
  double majority = 0;  // accuracy of whoever always says the most frequent label
  bool own = false;     // of a file of the user's own
  int64_t tokens = 0;   // that the head learns from

  ObjectiveKind kind() const { return tagging ? ObjectiveKind::tagging : ObjectiveKind::classification; }
};

// Of the built-in world: the class of a review, and of every word in a text whether it occurs again, which only what
// follows can say.
std::vector<HeadTask> world_heads(Key key, const Tokenizer& tokenizer);
// Of a file of the user's own: texts with a class each, or words with a tag each (train/data.h). Errors as
// prepare_data.
HeadTask head_of_file(const std::string& path, bool tagging, const Tokenizer& tokenizer);

// Right or wrong on each held-out label.
struct HeadAnswers {
  std::string task;
  std::string right;  // "1101": of each text; "11 01": of each word, a space between texts

  template <class V>
  void fields(V& v) {
    v("task", task, "what was labelled");
    v("right", right, "1 or 0 for each held-out text or word");
  }
};

// Puts a head on a copy of the model, whose weights are learnt on as well, for `task.tokens` tokens. `step` is
// told the tokens of each step and may throw to end it.
HeadAnswers learn_head(const Contender& contender, uint64_t seed, const Model& model, const HeadTask& task,
                       const TrialInputs& inputs, const std::function<void(int64_t tokens)>& step);

}  // namespace triarch
