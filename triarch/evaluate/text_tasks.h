// Choice tasks made from held-out text: which model understands a user's own texts. In all of them the answer comes
// last, so every family is asked the same.
//
//   task                prompt                                    candidates
//   missing word        a text up to the last word of a sentence  4 words that end sentences
//   next sentence       a text up to a sentence                   4 sentences
//   missing sentence    a text up to a sentence                   4 sentences, each with the true one's successor
//   order of sentences  a text up to three sentences              the three in their order and in 3 others
//
// Missing sentence is a cloze in which the answer still comes last: the candidate and what follows the gap are scored
// together, and P(candidate, after | before) ranks candidates as P(candidate | before, after) does. To put what
// follows first and ask what came before it would need a form that plain text does not have; a model would be measured
// on the form.
//
// Priors cannot help. Candidates of the first three come in groups of four that resemble each other, and a group makes
// four questions with the same candidates, each of which is the answer once. Whoever goes by the candidates alone (how
// frequent, how long, how easy they are) is right exactly once in four, whatever the prior. So these have no `bare`;
// but for the missing word, where `bare` is the one word before it: what is right with the context and wrong with it
// is more than knowing which words go together.
//
//   words      as many tokens, both with a capital or both without, lengths within 3 letters, frequencies in the text
//              within a factor of 2
//   sentences  numbers of tokens within 10 %, from one document and none near another, as far as there are enough;
//              else from several
//
// Sentences asked for are those that follow another one behind a single space, as the answer will; where these are too
// few, also those that begin a line (verse), then a paragraph (speeches of a drama).
#pragma once

#include <string>
#include <vector>

#include "triarch/data/loader.h"
#include "triarch/evaluate/choice.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// At most `items` questions of each kind, a multiple of 4, that take at most `context` rows in any family. A kind of
// which the text gives fewer than 40 is left out. `notes`, if given, is told of both, in words for the user. Pairs are
// no running text and make no questions.
std::vector<ChoiceTask> text_tasks(const Documents& held_out, const Tokenizer& tokenizer, int64_t context,
                                   int64_t items, Key key, std::vector<std::string>* notes = nullptr);

}  // namespace triarch
