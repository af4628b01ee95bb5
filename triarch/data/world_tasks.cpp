// The 26 families of tasks, each in a few lines, and what they share with the documents.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/data/world_words.h"

namespace triarch::world {
namespace {
using fmt::format;

const Words yes_no = {"yes", "no"};
const Words good_bad = {"good", "bad"};

// Another one of the words than `word`.
std::string other_than(Source& draw, const Words& words, const std::string& word) {
  Words others = words;
  std::erase(others, word);
  return one_of(draw, others);
}

// One of 0 .. n-1 other than i.
size_t other_index(Source& draw, size_t n, size_t i) { return (i + 1 + draw.below(n - 1)) % n; }

// Questions about a story. `i` is who is asked about, `j` whose place or thing is named.

Item owner_item(const Story& s, size_t i) {
  return {"who has the " + s.things[i], "", format("the {} is with", s.things[i]), s.people[i], s.people, ""};
}

Item colour_item(const Story& s, size_t i) {
  return {"what colour is the " + s.things[i],
          "",
          format("the colour of the {} is", s.things[i]),
          s.colours[i],
          s.colours,
          ""};
}

Item place_item(const Story& s, size_t i) {
  return {"where is " + s.people[i], "in the", s.people[i] + " can be found in the", s.places[i], s.places, ""};
}

Item first_item(const Story& s) {
  return {"who went first", "", "the first to go was", s.people.front(), s.people, ""};
}

Item last_item(const Story& s) { return {"who went last", "", "the last to go was", s.people.back(), s.people, ""}; }

Item is_in_item(const Story& s, size_t i, size_t j) {
  return {format("is {} in the {}", s.people[i], s.places[j]),
          "",
          format("that {} is in the {} is so :", s.people[i], s.places[j]),
          yes_no[i == j ? 0 : 1],
          yes_no,
          ""};
}

Item has_item(const Story& s, size_t i, size_t j) {
  return {format("has {} the {}", s.people[i], s.things[j]),
          "",
          format("that {} has the {} is so :", s.people[i], s.things[j]),
          yes_no[i == j ? 0 : 1],
          yes_no,
          ""};
}

// A true statement half of the time.
size_t stated(Source& draw, const Story& s, size_t i) { return coin(draw) ? i : other_index(draw, s.people.size(), i); }

Item about(const Story& s, Item item) {
  item.context = s.text();
  return item;
}

Story placed(Source& draw) { return make_story(draw, coin(draw) ? StoryKind::be : StoryKind::go); }

Item owner(Source& draw) {
  const Story s = make_story(draw, StoryKind::have);
  return about(s, owner_item(s, draw.below(3)));
}

Item colour(Source& draw) {
  const Story s = make_story(draw, StoryKind::have);
  return about(s, colour_item(s, draw.below(3)));
}

Item place(Source& draw) {
  const Story s = placed(draw);
  return about(s, place_item(s, draw.below(3)));
}

Item first(Source& draw) {
  const Story s = make_story(draw, StoryKind::go);
  return about(s, first_item(s));
}

Item last(Source& draw) {
  const Story s = make_story(draw, StoryKind::go);
  return about(s, last_item(s));
}

Item entailed_place(Source& draw) {
  const Story s = placed(draw);
  const size_t i = draw.below(3);
  return about(s, is_in_item(s, i, stated(draw, s, i)));
}

Item entailed_owner(Source& draw) {
  const Story s = make_story(draw, StoryKind::have);
  const size_t i = draw.below(3);
  return about(s, has_item(s, i, stated(draw, s, i)));
}

// Short scenes.

Item give(Source& draw) {
  const Words p = some_of(draw, people, 2);
  const std::string thing = one_of(draw, things);
  const bool gave = coin(draw);
  return {format("who has the {} now", thing),
          "",
          format("so now the {} is with", thing),
          p[gave ? 1 : 0],
          p,
          format("{} {} the {} {} {} .", p[0], gave ? "gave" : "took", thing, gave ? "to" : "from", p[1])};
}

Item topic(Source& draw) {
  const Words p = some_of(draw, people, 2), t = some_of(draw, things, 2);
  Words lines = {format("{} went to the {} .", p[0], one_of(draw, places)), format("{} has a {} .", p[0], t[0]),
                 format("{} likes the {} .", p[0], t[1]), format("{} sees the {} .", p[1], t[1])};
  draw.shuffle(lines);
  return {"who is this about", "", "this is about", p[0], p, phrase(lines)};
}

Item coreference(Source& draw) {
  Words p = {one_of(draw, women), one_of(draw, men)};
  const bool she = coin(draw);
  const std::string answer = p[she ? 0 : 1], thing = one_of(draw, things), where = one_of(draw, places);
  draw.shuffle(p);
  return {"who has the " + thing,
          "",
          format("the {} is with", thing),
          answer,
          p,
          format("{} met {} in the {} . {} has a {} .", p[0], p[1], where, she ? "she" : "he", thing)};
}

// What someone thought of a thing, in one of three ways.
struct Opinion {
  std::string thing, text;
  size_t verdict;  // 0 good, 1 bad
};

Opinion opinion(Source& draw) {
  const bool good = coin(draw);
  const double before = draw.told();
  const Words said = some_of(draw, good ? positive : negative, 2);
  const std::string opposite = one_of(draw, good ? negative : positive);
  draw.set_told(before);
  const std::string thing = one_of(draw, things);
  const std::array<std::string, 3> ways = {format("the {} was {} and {} .", thing, said[0], said[1]),
                                           format("i saw a {} {} . it was {} .", said[0], thing, said[1]),
                                           format("it was not {} . the {} was {} .", opposite, thing, said[0])};
  const size_t way = draw.below(3);
  const double words = double(positive.size());
  draw.tell_probability(way < 2 ? 1 / (words * (words - 1)) : 1 / (words * words));  // both, or one and an opposite
  return {thing, ways[way], good ? size_t(0) : 1};
}

Item sentiment(Source& draw) {
  const Opinion o = opinion(draw);
  return {format("was the {} good or bad", o.thing),
          "it was",
          format("so the {} was", o.thing),
          good_bad[o.verdict],
          good_bad,
          o.text};
}

Item like(Source& draw) {
  const Opinion o = opinion(draw);
  return {"would you like the " + o.thing,
          "",
          format("that you would like the {} is so :", o.thing),
          yes_no[o.verdict],
          yes_no,
          o.text};
}

// Lists.

// The answer and three other orders of it.
Words with_other_orders(Source& draw, const Words& answer) {
  const Source::Unseen candidates_only(draw);
  Words candidates = {phrase(answer)};
  for (Words order = answer; candidates.size() < 4;) {
    draw.shuffle(order);
    const std::string other = phrase(order);
    if (std::find(candidates.begin(), candidates.end(), other) == candidates.end()) candidates.push_back(other);
  }
  return candidates;
}

Words few_words(Source& draw) { return some_of(draw, list_words, 3 + draw.below(2)); }

std::string said(Source& draw, const Words& list) {
  return format("{} said : {} .", one_of(draw, people), phrase(list));
}

Item copy(Source& draw) {
  const Words list = few_words(draw);
  const std::string context = said(draw, list);
  return {"what was said", "", "the same again :", phrase(list), with_other_orders(draw, list), context};
}

Item reverse(Source& draw) {
  const Words list = few_words(draw);
  const Words answer(list.rbegin(), list.rend());
  const std::string context = said(draw, list);
  return {"what is it backwards", "", "backwards it is :", phrase(answer), with_other_orders(draw, answer), context};
}

// log of the binomial coefficient.
double log_choices(size_t n, size_t k) {
  return std::lgamma(double(n) + 1) - std::lgamma(double(k) + 1) - std::lgamma(double(n - k) + 1);
}

// `n` different numbers, ascending. The caller tells which of them are shown.
std::vector<size_t> some_numbers(Source& draw, size_t n) {
  const Source::Unseen yet(draw);
  std::vector<size_t> values(numbers.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = i;
  draw.shuffle(values);
  values.resize(n);
  std::sort(values.begin(), values.end());
  return values;
}

// Their names, in any order.
std::string listed(Source& draw, Words list) {
  draw.shuffle(list);
  return format("list : {} .", phrase(list));
}

Words named(const std::vector<size_t>& values) {
  Words names;
  for (const size_t value : values) names.push_back(numbers[value]);
  return names;
}

// Who knows how numbers are ordered, but has not read the list, should not find the answer: among the candidates are
// ascending numbers that are not all in the list, and a number beyond its end.

Item sort(Source& draw) {
  const std::vector<size_t> values = some_numbers(draw, 5);
  std::vector<size_t> order = {0, 1, 2, 3, 4};
  {
    const Source::Unseen candidates_only(draw);
    draw.shuffle(order);
  }
  draw.tell(log_choices(numbers.size(), 3));
  const auto without = [&](size_t a, size_t b) {
    std::vector<size_t> rest;
    for (size_t i = 0; i < values.size(); ++i) {
      if (i != order[a] && i != order[b]) rest.push_back(values[i]);
    }
    return named(rest);
  };
  const Words list = without(0, 1);
  const std::string context = listed(draw, list);
  const Words candidates = {phrase(list), phrase(without(0, 2)), phrase(without(1, 2)),
                            with_other_orders(draw, list)[1]};
  return {"what is it in order", "", "in order :", phrase(list), candidates, context};
}

Item largest(Source& draw) {
  const std::vector<size_t> values = some_numbers(draw, 4);
  // As many sets of four have these as their smaller three as there are numbers above.
  draw.tell(log_choices(numbers.size(), 4) - std::log(double(numbers.size() - 1 - values[2])));
  const Words four = named(values), list(four.begin(), four.end() - 1);
  return {"which is the largest", "", "the largest is", list.back(), four, listed(draw, list)};
}

Item smallest(Source& draw) {
  const std::vector<size_t> values = some_numbers(draw, 4);
  draw.tell(log_choices(numbers.size(), 4) - std::log(double(values[1])));
  const Words four = named(values), list(four.begin() + 1, four.end());
  return {"which is the smallest", "", "the smallest is", list.front(), four, listed(draw, list)};
}

Item pattern(Source& draw) {
  const size_t period = 2 + draw.below(2), length = 5 + draw.below(2);
  const Beads beads = make_beads(draw, period, length);
  const Source::Unseen candidates_only(draw);
  Words candidates = beads.pattern;
  while (candidates.size() < 3) {
    const std::string more = one_of(draw, colours);
    if (std::find(candidates.begin(), candidates.end(), more) == candidates.end()) candidates.push_back(more);
  }
  return {"what comes next", "", "then comes", beads.next, candidates, beads.text};
}

// "ann ball , bob hat , carl cake": who has which entry.
Item registry(Source& draw) {
  const Words p = some_of(draw, people, 3), t = some_of(draw, things, 3);
  const size_t i = draw.below(3);
  return {"read one", p[i], "so " + p[i],
          t[i],       t,    format("list : {} {} , {} {} , {} {} .", p[0], t[0], p[1], t[1], p[2], t[2])};
}

Item coloured_registry(Source& draw) {
  const Words c = some_of(draw, colours, 3), t = some_of(draw, things, 3);
  const size_t i = draw.below(3);
  return {"name one",
          "the " + c[i],
          "there is the " + c[i],
          t[i],
          t,
          format("here are the {} {} , the {} {} , the {} {} .", c[0], t[0], c[1], t[1], c[2], t[2])};
}

// Knowledge.

// The answer, one with another colour, one with another thing, and one with two words exchanged.
Item translation(Source& draw, bool back) {
  const bool sentence = coin(draw);
  const std::string begin = sentence ? phrase({one_of(draw, people), ""}) : "";
  const double before = draw.told();
  const std::string verb = one_of(draw, verbs);
  if (!sentence) draw.set_told(before);
  const std::string hue = one_of(draw, colours), thing = one_of(draw, things);
  const Source::Unseen candidates_only(draw);
  const std::string hue2 = other_than(draw, colours, hue), thing2 = other_than(draw, things, thing);
  const auto say = [&](const std::string& c, const std::string& t, bool in_lingo) {
    const std::string text = phrase({begin, sentence ? verb : "", "the", c, t});
    return in_lingo ? lingo(text) : text;
  };
  const std::string answer = say(hue, thing, !back);
  Words exchanged;
  for (size_t at = 0, end; at < answer.size(); at = end + 1) {
    end = std::min(answer.find(' ', at), answer.size());
    exchanged.push_back(answer.substr(at, end - at));
  }
  const size_t i = draw.below(exchanged.size()), j = other_index(draw, exchanged.size(), i);
  std::swap(exchanged[i], exchanged[j]);
  const std::string language = back ? "english" : "lingo";
  return {"what is it in " + language,
          "",
          format("in {} :", language),
          answer,
          {answer, say(hue2, thing, !back), say(hue, thing2, !back), phrase(exchanged)},
          say(hue, thing, back) + " ."};
}

Item translate(Source& draw) { return translation(draw, false); }
Item translate_back(Source& draw) { return translation(draw, true); }

Item plus(Source& draw) {
  const size_t a = draw.below(10), b = 1 + draw.below(3), sum = a + b;
  const Source::Unseen candidates_only(draw);
  Words near;
  for (size_t n = sum < 2 ? 0 : sum - 2; n <= sum + 2; ++n) {
    if (n != sum) near.push_back(numbers[n]);
  }
  Words candidates = some_of(draw, near, 3);
  candidates.push_back(numbers[sum]);
  return {format("what is {} plus {}", numbers[a], numbers[b]),
          "",
          format("{} plus {} is", numbers[a], numbers[b]),
          numbers[sum],
          candidates,
          ""};
}

Item odd(Source& draw) {
  const size_t same = draw.below(categories.size()), different = other_index(draw, categories.size(), same);
  const std::string answer = one_of(draw, categories[different].things);
  Words list = categories[same].things;
  list.push_back(answer);
  return {"which is the odd one", "", "the odd one is", answer, list, listed(draw, list)};
}

Item category(Source& draw) {
  const Category& answer = categories[draw.below(categories.size())];
  const std::string thing = one_of(draw, answer.things);
  Words names;
  for (const Category& c : categories) names.push_back(c.name);
  return {"what is a " + thing, "a", format("a {} is a", thing), answer.name, names, ""};
}

Item acceptable(Source& draw) {
  const bool right = coin(draw);
  return {
      "is that well said", "", "that this is well said is so :", yes_no[right ? 0 : 1], yes_no, agreement(draw, right)};
}

// Candidates in random order: the place of the answer says nothing.
template <Item make(Source&)>
Item shuffled(Source& draw) {
  Item item = make(draw);
  const Source::Unseen candidates_only(draw);
  draw.shuffle(item.candidates);
  return item;
}

constexpr bool held_out = true, trained = false, sequence = true, word = false;

}  // namespace

std::span<const Family> families() {
  static constexpr std::array<Family, 26> all = {{
      {"owner", trained, Depth::hard, word, shuffled<owner>},
      {"colour", held_out, Depth::hard, word, shuffled<colour>},
      {"place", trained, Depth::hard, word, shuffled<place>},
      {"first", trained, Depth::easy, word, shuffled<first>},
      {"last", trained, Depth::easy, word, shuffled<last>},
      {"entailed_place", trained, Depth::hard, word, shuffled<entailed_place>},
      {"entailed_owner", trained, Depth::hard, word, shuffled<entailed_owner>},
      {"give", trained, Depth::hard, word, shuffled<give>},
      {"topic", held_out, Depth::easy, word, shuffled<topic>},
      {"coreference", held_out, Depth::hard, word, shuffled<coreference>},
      {"sentiment", trained, Depth::easy, word, shuffled<sentiment>},
      {"like", held_out, Depth::easy, word, shuffled<like>},
      {"copy", trained, Depth::easy, sequence, shuffled<copy>},
      {"reverse", trained, Depth::easy, sequence, shuffled<reverse>},
      {"sort", held_out, Depth::easy, sequence, shuffled<sort>},
      {"translate", trained, Depth::middle, sequence, shuffled<translate>},
      {"translate_back", held_out, Depth::middle, sequence, shuffled<translate_back>},
      {"plus", trained, Depth::middle, word, shuffled<plus>},
      {"largest", trained, Depth::easy, word, shuffled<largest>},
      {"smallest", trained, Depth::easy, word, shuffled<smallest>},
      {"pattern", held_out, Depth::middle, word, shuffled<pattern>},
      {"odd", trained, Depth::middle, word, shuffled<odd>},
      {"category", held_out, Depth::middle, word, shuffled<category>},
      {"acceptable", trained, Depth::middle, word, shuffled<acceptable>},
      {"registry", trained, Depth::hard, word, shuffled<registry>},
      {"coloured_registry", held_out, Depth::hard, word, shuffled<coloured_registry>},
  }};
  return all;
}

std::string agreement(Source& draw, bool well_formed) {
  const bool plural = coin(draw), near = coin(draw);
  const double before = draw.told();
  const bool near_plural = coin(draw);
  const Words t = some_of(draw, things, 2);
  draw.set_told(before);
  const double n = double(things.size());
  draw.tell_probability(near ? 1 / (n * (n - 1) * 2) : 1 / n);
  const std::string c = one_of(draw, colours);
  const std::string aside = near ? format("near the {}{}", t[1], near_plural ? "s" : "") : "";
  return phrase({"the", t[0] + (plural ? "s" : ""), aside, plural == well_formed ? "are" : "is", c, "."});
}

std::string english(Source& draw) {
  const double before = draw.told();
  const std::string person = one_of(draw, people), verb = one_of(draw, verbs);
  draw.set_told(before);
  const std::string hue = one_of(draw, colours), thing = one_of(draw, things);
  if (coin(draw)) return phrase({"the", hue, thing});
  draw.tell_probability(1 / double(people.size() * verbs.size()));
  return phrase({person, verb, "the", hue, thing});
}

Beads make_beads(Source& draw, size_t period, size_t length) {
  Beads beads{some_of(draw, colours, period), "", ""};
  Words list;
  for (size_t i = 0; i < length; ++i) list.push_back(beads.pattern[i % period]);
  beads.text = format("beads : {} .", phrase(list));
  beads.next = beads.pattern[length % period];
  return beads;
}

Story make_story(Source& draw, StoryKind kind) {
  const size_t n = kind == StoryKind::mix ? 2 : 3;
  Story story;
  story.kind = kind;
  const auto some = [&](const Words& words, bool said) {
    const double before = draw.told();
    const Words drawn = some_of(draw, words, n);
    if (!said) draw.set_told(before);
    return drawn;
  };
  const bool owned = kind == StoryKind::have || kind == StoryKind::mix;
  story.people = some(people, true);
  story.colours = some(colours, owned);
  story.things = some(things, owned);
  story.places = some(places, kind != StoryKind::have);
  return story;
}

std::string Story::text() const {
  Words lines;
  for (size_t i = 0; i < people.size(); ++i) {
    const std::string &p = people[i], &c = colours[i], &t = things[i], &l = places[i];
    switch (kind) {
      case StoryKind::have:
        lines.push_back(format("{} has the {} {} .", p, c, t));
        break;
      case StoryKind::be:
        lines.push_back(format("{} is in the {} .", p, l));
        break;
      case StoryKind::go:
        lines.push_back(format("{} went to the {} .", p, l));
        break;
      case StoryKind::mix:
        lines.push_back(format("{} has the {} {} and is in the {} .", p, c, t, l));
        break;
    }
  }
  return phrase(lines);
}

std::vector<Ask> questions(Source& draw, const Story& s) {
  std::vector<Ask> asks;
  const double before = draw.told();
  for (size_t i = 0; i < s.people.size(); ++i) {
    const size_t j = stated(draw, s, i);
    const double statement = draw.told() - before;
    draw.set_told(before);
    if (s.kind == StoryKind::have || s.kind == StoryKind::mix) {
      asks.insert(asks.end(), {{owner_item(s, i)}, {colour_item(s, i)}, {has_item(s, i, j), statement}});
    }
    if (s.kind != StoryKind::have) asks.insert(asks.end(), {{place_item(s, i)}, {is_in_item(s, i, j), statement}});
  }
  if (s.kind == StoryKind::go) asks.insert(asks.end(), {{first_item(s)}, {last_item(s)}});
  return asks;
}

}  // namespace triarch::world
