// Questions with one right answer of several tokens, judged on the same predictions as a whole (exact match: what a
// greedy model would say) and token by token. The one is not linear in the other: of an answer of L tokens that are
// right with probability p each, p^L are right as a whole (Schaeffer et al. 2023, arXiv 2304.15004).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "triarch/evaluate/suffix.h"

namespace triarch {

struct ExactTask {
  std::string name;
  std::vector<ScoreItem> items;  // a prompt as context, its answer as continuation
};

struct ExactAnswers {
  std::string task;
  std::vector<std::string> right;  // [items] "1101": is each token of the answer the likeliest, those before it given
  std::vector<double> nats;        // [items] -log p of the answer

  double exact_match() const;     // share of the items with all tokens right
  double token_accuracy() const;  // share of all tokens
  double nats_per_token() const;

  template <class V>
  void fields(V& v) {
    v("task", task, "kind of questions");
    v("right", right, "1 or 0 for each token of each answer");
    v("nats", nats, "-log p of each answer");
  }
};

// Asked in the way that a generator has learnt; usage error for what does not generate.
ExactAnswers answer_exactly(const Model& model, const Tokenizer& tokenizer, SuffixFormat format, const ExactTask& task,
                            int64_t rows = 2048);

}  // namespace triarch
