// A small text with tasks of several steps in it, to ask whether abilities come suddenly with size: sums of numbers,
// statements that compose facts of the running text, and records drawn from it.
//
//   sum of 2    4 3 + 8 2 = 2 6 0 .             numbers with their last digit first (Lee et al. 2023, arXiv
//   2307.03381),
//                                               so that each digit depends on what precedes it
//   one hop     bob is in the old mill . ... so bob is in the old mill .
//   two hops    bob has the key . bob is in the old mill . ... so the key is in the old mill .
//   record      cid , who is young , comes from the north and sells red apples . ... record of cid : young north red
//               apples .
//
// A prompt is a text and the beginning of such a statement, its answer the rest, without " .". Questions of sums are
// about pairs of numbers that no text holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/data/corpus.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

struct EmergenceTask {
  enum class Kind : uint8_t { sum, one_hop, two_hops, record };
  Kind kind = Kind::sum;
  std::string name;
  int64_t digits = 0;  // of sums: of each number
  int64_t answer = 0;  // tokens of an answer
  double chance = 0;   // of a whole answer: a carry is 0 or 1, other digits are any; of facts one of those in the text
};
// Sums of 1 to `digits` digits, one and two hops, records.
std::vector<EmergenceTask> emergence_tasks(int64_t digits);

Tokenizer emergence_tokenizer();

struct EmergenceItem {
  std::string prompt, answer;  // words with single spaces
};
// A pure function of the key and the number. `held_out`: of sums, a pair of numbers that is in no text; else one that
// may be.
EmergenceItem emergence_item(Key key, const EmergenceTask& task, int64_t number, bool held_out);

// At least `words` words of documents of at most 62: refrains (what one says, others say again), which make a model
// learn to copy and come first, as in the built-in world; then half of the documents of sums, the others of facts and
// of records.
std::vector<Document> emergence_primer(Key key, int64_t words);
std::vector<Document> emergence_text(Key key, int64_t digits, int64_t words);
// Prompts and their answers as pairs, all tasks alike, at least `words` words.
std::vector<Document> emergence_instructions(Key key, int64_t digits, int64_t words);

}  // namespace triarch
