// The built-in world: a small language of about 190 words with people, things, places, a second language and 26 kinds
// of tasks, made so that a tiny model shows within minutes what larger ones show on real text: copying in context,
// zero-shot answers, transfer from trained tasks to others.
//
// All text is words with single spaces between them; a sentence ends in " .". Everything is a pure function of a key
// and a number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/data/corpus.h"
#include "triarch/text/tokenizer.h"

namespace triarch::world {

// The language.

// All words, in a fixed order.
const std::vector<std::string>& words();
// A closed vocabulary of exactly these words, with 24 sentinels.
Tokenizer tokenizer();
// "the red ball" -> "ku zara zamu", "ann likes the red ball" -> "ann ku zara zamu dike": in lingo the colour follows
// its noun, the verb comes last and names stay. Takes these two forms.
std::string lingo(std::string_view english);

// Tasks.

// One question. Candidates are distinct, have equally many words, and one of them is the answer.
struct Item {
  std::string question;  // "who has the ball", without its question mark
  std::string lead;      // words between the question and the answer: "in the"; often empty
  std::string cloze;     // the question as an unfinished statement: "the ball is with"
  std::string answer;
  std::vector<std::string> candidates;
  std::string context;  // sentences; empty if the question asks for knowledge
  double nats = 0;      // -log of the probability of context, question and answer, among this family's
};

// By size of what a small model needs: easy is polarity and operations on lists, middle is knowledge and
// translation, hard is binding (who has what).
enum class Depth : uint8_t { easy, middle, hard };

class Source;  // draws (data/world_words.h)

struct Family {
  std::string_view name;
  bool held_out;  // never trained as a task (poles of a pair, such as first and last, are on one side)
  Depth depth;
  bool sequence;  // the answer is a sequence made from the context's, not a word about it
  Item (*make)(Source& source);
};
std::span<const Family> families();
// Error (usage) if there is none of this name.
const Family& family(std::string_view name);
bool is_held_out(std::string_view name);

// Prompt templates: 0 and 1 occur in pretraining text (with all families, as in natural text), the others only when
// tasks are trained, so with families held out nowhere.
constexpr int wrappers = 5;
constexpr int known_wrappers = 2;
// All that precedes the answer. The answer follows behind a space, then " .".
std::string prompt(const Item& item, int wrapper);

// The item `number` of a family: for evaluation.
Item item(Key key, std::string_view family, int64_t number);
// Multi-task finetuning: a family that is not held out, any wrapper. The target is the answer and " .".
Document instruction(Key key, int64_t number);

// Text.

constexpr int64_t longest_document = 62;  // words

enum class Stage : uint8_t {
  primer,  // refrains only: they make a model learn to copy from its context, and must come first and pure
  mix,     // 35 % stories, 40 % lessons, 25 % plain
};
enum class Kind : uint8_t { story, lesson, agreement, review, lingo, counting, beads, refrain };

struct Text {
  Kind kind;
  std::string text;
  // -log of its probability, or up to a few tenths less: of which questions there was no room for, and that an item was
  // too long to follow, nothing is counted. Its mean is a floor of what any model of the next word can reach.
  double nats = 0;
};
Text document(Key key, int64_t number, Stage stage);
// Documents 0, 1, ...: as many of the primer as hold `primer_words`, then the mix, `total_words` in all (the last
// document of each may go beyond).
std::vector<Text> pretraining(Key key, int64_t primer_words, int64_t total_words);
std::vector<Document> documents(const std::vector<Text>& texts);
// Nats per token, with the end of each text as one: what no model of the next word is below in the long run.
double entropy(const std::vector<Text>& texts);

}  // namespace triarch::world
