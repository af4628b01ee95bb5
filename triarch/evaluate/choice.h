// Rank classification (Brown et al. 2020; Wang et al. 2022): a question is answered by the candidate with the largest
// log-probability, summed over its tokens unless told otherwise. Every family can be asked:
//
//   generators   candidate given the prompt, in the way that the model has learnt (suffix.h)
//   encoders     a mask in place of each token of the answer, all filled in one pass; candidates are equally long
//
// Each question is asked a second time with its context left out: what is then still right is known from answers'
// frequencies alone, and that, not one in the number of candidates, is chance.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "triarch/evaluate/suffix.h"

namespace triarch {

// By which log-probability. Sums favour short candidates where they are of different lengths; means per token or per
// byte do not, and favour candidates whose ends are foregone conclusions (Brown et al. 2020, section 2.4; Gao 2021).
enum class Ranking : uint8_t { sum, per_token, per_byte };
template <>
struct EnumNames<Ranking> {
  static constexpr std::pair<Ranking, const char*> table[] = {
      {Ranking::sum, "sum"}, {Ranking::per_token, "per_token"}, {Ranking::per_byte, "per_byte"}};
};

struct Choice {
  std::string prompt;
  std::string bare;  // the prompt without its context; empty: the question has none
  std::vector<std::string> candidates;
  size_t answer = 0;
};

// Questions of one kind, under one prompt template.
struct ChoiceTask {
  std::string name, depth;
  std::string use;        // "understand" or "transform": what a model that does it well is good for
  bool held_out = false;  // no task of finetuning
  int wrapper = 0;        // prompt template
  int64_t shots = 0;      // questions with their answers before each (few_shot.h)
  bool seen = true;       // the template occurs in the text that models learn from
  std::string close;      // what follows the answer: " ."; shown to encoders as masks, not scored by generators
  std::vector<Choice> choices;
  double chance = 0;  // mean of one in the number of candidates
  // How encoders fill the masks. `together` is for candidates of equally many tokens.
  EncoderScore encoder = EncoderScore::together;
};

// From its choices.
void set_chance(ChoiceTask& task);

// All families of tasks of the built-in world, `items` questions under each of its prompt templates, different ones.
std::vector<ChoiceTask> world_tasks(Key key, int64_t items);

// Whether a model can be asked at all: all but those that learnt only to fill masks and are no encoders.
bool can_choose(Family family, SuffixFormat format);

// "1101": right or wrong, item by item.
struct ChoiceAnswers {
  std::string right;
  std::string bare;  // asked without context; empty where there is none
};
ChoiceAnswers answer(const Model& model, const Tokenizer& tokenizer, SuffixFormat format, const ChoiceTask& task,
                     Ranking ranking = Ranking::sum, int64_t rows = 2048);

// About how many rows a model computes for it, by the passes that its family needs.
int64_t rows_to_answer(const ChoiceTask& task, const Tokenizer& tokenizer, Family family);

}  // namespace triarch
