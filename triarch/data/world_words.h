// Inside the room: the words of the built-in world, and how to draw them.
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/data/world.h"

namespace triarch::world {

using Words = std::vector<std::string>;

struct Category {
  std::string name;
  Words things;
};

inline const Words women = {"ann", "bea", "cleo", "dora"};
inline const Words men = {"adam", "bob", "carl", "dan"};
inline const Words people = {"ann", "bea", "cleo", "dora", "adam", "bob", "carl", "dan"};
inline const Words places = {"kitchen", "garden", "park", "school", "shop", "barn"};
inline const Words colours = {"red", "blue", "green", "white", "black"};
inline const Words numbers = {"zero",     "one",     "two",     "three",     "four",    "five",   "six",
                              "seven",    "eight",   "nine",    "ten",       "eleven",  "twelve", "thirteen",
                              "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"};
inline const Words positive = {"lovely", "kind", "fine", "merry", "sweet", "bright"};
inline const Words negative = {"awful", "nasty", "dull", "grim", "sour", "weak"};
inline const Words verbs = {"sees", "likes", "has"};
inline const std::vector<Category> categories = {{"toy", {"ball", "doll", "kite"}},
                                                 {"garment", {"hat", "coat", "scarf"}},
                                                 {"tool", {"hammer", "spade", "nail"}},
                                                 {"food", {"apple", "bread", "cake"}},
                                                 {"animal", {"cat", "dog", "hen"}}};
inline const Words things = [] {
  Words all;
  for (const Category& category : categories) all.insert(all.end(), category.things.begin(), category.things.end());
  return all;
}();
// Things, colours and people: what refrains and lists are made of.
inline const Words list_words = [] {
  Words all = things;
  all.insert(all.end(), colours.begin(), colours.end());
  all.insert(all.end(), people.begin(), people.end());
  return all;
}();

// Draws that know how much they tell: the world as a source of text, in the sense of information theory. What text does
// not show is drawn under an Unseen.
class Source {
 public:
  explicit Source(Key key) : draw_(key) {}

  uint64_t below(uint64_t n) {
    tell(std::log(double(n)));
    return draw_.below(n);
  }
  // Different values into any order.
  template <class T>
  void shuffle(std::vector<T>& values) {
    tell(std::lgamma(double(values.size()) + 1));
    draw_.shuffle(values.data(), values.size());
  }
  double uniform() { return draw_.uniform(); }  // the caller tells

  // -log of the probability of what has been said, in nats.
  double told() const { return told_; }
  void tell(double nats) {
    if (seen_) told_ += nats;
  }
  void tell_probability(double p) { tell(-std::log(p)); }
  // For what was drawn, but is not said, or not in this way.
  void set_told(double nats) { told_ = nats; }

  class Unseen {
   public:
    explicit Unseen(Source& source) : source_(source), before_(source.seen_) { source.seen_ = false; }
    ~Unseen() { source_.seen_ = before_; }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;

   private:
    Source& source_;
    bool before_;
  };

 private:
  Draw draw_;
  double told_ = 0;
  bool seen_ = true;
};

// Arguments of one call are drawn in no fixed order, so draw into variables first.
inline const std::string& one_of(Source& draw, const Words& words) { return words[draw.below(words.size())]; }
// `n` different ones, in random order.
inline Words some_of(Source& draw, Words words, size_t n) {
  const double all = std::lgamma(double(words.size()) + 1), rest = std::lgamma(double(words.size() - n) + 1);
  draw.tell(all - rest);
  const Source::Unseen others(draw);
  draw.shuffle(words);
  words.resize(n);
  return words;
}
inline bool coin(Source& draw) { return draw.below(2) == 0; }

// Joins what is not empty with single spaces.
std::string phrase(const Words& parts);

// A list of `length` beads that repeats its first `period`.
struct Beads {
  Words pattern;
  std::string text;  // "beads : red blue red ."
  std::string next;
};
Beads make_beads(Source& draw, size_t period, size_t length);

// "the balls near the hat are red ." or, ill-formed, "is".
std::string agreement(Source& draw, bool well_formed);

// "the red ball" or "ann likes the red ball".
std::string english(Source& draw);

enum class StoryKind : uint8_t { have, be, go, mix };

// People 0, 1, ... with their colours, things and places; what a kind does not tell is drawn, but not said.
struct Story {
  StoryKind kind;
  Words people, colours, things, places;
  std::string text() const;
};
Story make_story(Source& draw, StoryKind kind);
// Every question that a story answers, without contexts, and what it tells beside being this one, in nats; nothing is
// told yet.
struct Ask {
  Item item;
  double nats = 0;
};
std::vector<Ask> questions(Source& draw, const Story& story);

// What follows the context under wrappers 0 and 1, with its answer: "who has the ball ? ann ."
std::string asked(const Item& item, int wrapper);

}  // namespace triarch::world
