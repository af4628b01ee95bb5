#include "triarch/data/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "triarch/base/error.h"
#include "triarch/data/world_words.h"

namespace triarch::world {
namespace {

// Sub-streams of a key.
enum Stream : uint64_t { primer_text = 1, mix_text, instructions, items };

Words split(std::string_view text) {
  std::istringstream stream{std::string(text)};
  Words parts;
  for (std::string word; stream >> word;) parts.push_back(word);
  return parts;
}

int64_t length(std::string_view text) {
  return text.empty() ? 0 : 1 + int64_t(std::count(text.begin(), text.end(), ' '));
}

// Words i of the list (things, colours, the, verbs): syllable i mod 5, then syllable i div 5. "the" is short.
std::map<std::string, std::string> make_lingo() {
  constexpr const char* first[] = {"za", "be", "di", "ko", "pu"};
  constexpr const char* second[] = {"ra", "ni", "lo", "mu", "ke"};
  Words list = things;
  list.insert(list.end(), colours.begin(), colours.end());
  list.push_back("the");
  list.insert(list.end(), verbs.begin(), verbs.end());
  std::map<std::string, std::string> to;
  for (size_t i = 0; i < list.size(); ++i) to[list[i]] = std::string(first[i % 5]) + second[i / 5];
  to["the"] = "ku";
  return to;
}

const std::map<std::string, std::string>& lingo_words() {
  static const std::map<std::string, std::string> to = make_lingo();
  return to;
}

std::string refrain(Source& draw) {
  const Words sung = some_of(draw, list_words, 3 + draw.below(6));
  Words lines;
  for (const std::string& person : some_of(draw, people, 4)) {
    lines.push_back(fmt::format("{} said : {} .", person, phrase(sung)));
  }
  return phrase(lines);
}

std::string story(Source& draw) {
  const Story story = make_story(draw, StoryKind(draw.below(4)));
  const bool retold = draw.uniform() < 0.4;
  draw.tell_probability(retold ? 0.4 : 0.6);
  std::string text = story.text();
  if (retold) text = phrase({text, "again :", text});
  std::vector<Ask> asks = questions(draw, story);
  // What is told is which of the questions that have room is next, to one who is told which were passed over.
  double told = draw.told();
  draw.shuffle(asks);
  const auto with = [&](const Ask& ask, int wrapper) { return phrase({text, asked(ask.item, wrapper)}); };
  size_t left = retold ? 2 : 3;
  for (auto ask = asks.begin(); ask != asks.end(); ++ask) {
    const std::string more = with(*ask, int(draw.below(known_wrappers)));
    if (left == 0 || length(more) > longest_document) continue;
    int room = 0;
    for (auto other = ask; other != asks.end(); ++other) {
      for (int w = 0; w < known_wrappers; ++w) room += length(with(*other, w)) <= longest_document;
    }
    told += std::log(room) + ask->nats;
    text = more;
    --left;
  }
  draw.set_told(told);
  return text;
}

// Items of one family in one wrapper: also the format of few-shot prompts.
std::string lesson(Source& draw) {
  const Family& taught = families()[draw.below(families().size())];
  const int wrapper = int(draw.below(known_wrappers));
  std::string text;
  for (int n = 0; n < 4; ++n) {
    const double before = draw.told();
    const Item next = taught.make(draw);
    const std::string more = phrase({text, next.context, asked(next, wrapper)});
    if (length(more) > longest_document) {
      draw.set_told(before);  // nothing of it but that it is long, which is left out
      break;
    }
    text = more;
  }
  return text;
}

std::string review(Source& draw) {
  const bool good = coin(draw);
  const Words said = some_of(draw, good ? positive : negative, 3);
  return fmt::format("the {} was {} and {} . it was {} . it was {} .", one_of(draw, things), said[0], said[1], said[2],
                     good ? "good" : "bad");
}

std::string four_agreements(Source& draw) {
  Words lines;
  for (int i = 0; i < 4; ++i) lines.push_back(agreement(draw, true));
  return phrase(lines);
}

std::string three_translations(Source& draw) {
  Words lines;
  for (int i = 0; i < 3; ++i) {
    const std::string line = english(draw);
    lines.push_back(fmt::format("{} , {} .", line, lingo(line)));
  }
  return phrase(lines);
}

std::string counting(Source& draw) {
  const auto first = numbers.begin() + int64_t(draw.below(numbers.size() - 8));
  return phrase({phrase(Words(first, first + 9)), "."});
}

std::string two_strings_of_beads(Source& draw) {
  Words lines;
  for (int i = 0; i < 2; ++i) {
    const size_t period = 2 + draw.below(2), n = 7 + draw.below(7);
    lines.push_back(make_beads(draw, period, n).text);
  }
  return phrase(lines);
}

Text plain(Source& draw) {
  struct Sort {
    Kind kind;
    double weight;
    std::string (*make)(Source& draw);
  };
  constexpr Sort sorts[] = {{Kind::agreement, 1, four_agreements},    {Kind::review, 1, review},
                            {Kind::lingo, 1, three_translations},     {Kind::counting, 0.5, counting},
                            {Kind::beads, 0.5, two_strings_of_beads}, {Kind::refrain, 2, refrain}};
  constexpr double weights = 6;
  double u = weights * draw.uniform();
  const Sort* sort = sorts;
  for (; u >= sort->weight; ++sort) u -= sort->weight;
  draw.tell_probability(sort->weight / weights);
  return {sort->kind, sort->make(draw)};
}

Text mixed(Source& draw) {
  constexpr double stories = 0.35, lessons = 0.4;
  const double u = draw.uniform();
  draw.tell_probability(u < stories ? stories : u < stories + lessons ? lessons : 1 - stories - lessons);
  if (u < stories) return {Kind::story, story(draw)};
  if (u < stories + lessons) return {Kind::lesson, lesson(draw)};
  return plain(draw);
}

Words all_words() {
  Words all = split(
      ". , : ? the a is are was and in to of with has i she he it you me not "
      "yes no good bad who what where which would like so that this there here "
      "went met gave took from saw now first last colour can be found go about near well "
      "said same again backwards order list one lingo english plus largest smallest "
      "beads comes next then odd read name question text answer tell or");
  for (const Words* list : {&people, &places, &things, &colours, &positive, &negative, &verbs}) {
    all.insert(all.end(), list->begin(), list->end());
  }
  for (const std::string& number : numbers) all.push_back(number);
  for (const std::string& thing : things) all.push_back(thing + "s");
  for (const Category& category : categories) all.push_back(category.name);
  for (const auto& [from, to] : lingo_words()) all.push_back(to);
  Words distinct;
  for (const std::string& word : all) {
    if (std::find(distinct.begin(), distinct.end(), word) == distinct.end()) distinct.push_back(word);
  }
  return distinct;
}

}  // namespace

std::string phrase(const Words& parts) {
  std::string joined;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!joined.empty()) joined += ' ';
    joined += part;
  }
  return joined;
}

const std::vector<std::string>& words() {
  static const Words all = all_words();
  return all;
}

Tokenizer tokenizer() {
  static const Tokenizer made = Tokenizer::of_words(words(), 24);
  return made;
}

std::string lingo(std::string_view english_text) {
  Words in = split(english_text);
  require(in.size() == 3 || in.size() == 5, "lingo: expected 'the red ball' or 'ann likes the red ball', found '{}'",
          english_text);
  std::swap(in[in.size() - 2], in[in.size() - 1]);                            // the noun, then its colour
  if (in.size() == 5) std::rotate(in.begin() + 1, in.begin() + 2, in.end());  // the verb last
  for (std::string& word : in) {
    const auto found = lingo_words().find(word);
    if (found != lingo_words().end()) word = found->second;
  }
  return phrase(in);
}

const Family& family(std::string_view name) {
  Words names;
  for (const Family& f : families()) {
    if (f.name == name) return f;
    names.emplace_back(f.name);
  }
  fail(ExitCode::usage, "world: expected a family of tasks, one of {}, found '{}'", fmt::join(names, ", "), name);
}

bool is_held_out(std::string_view name) { return family(name).held_out; }

std::string prompt(const Item& item, int wrapper) {
  switch (wrapper) {
    case 0:
      return phrase({item.context, item.question, "?", item.lead});
    case 1:
      return phrase({item.context, item.cloze});
    case 2:
      return phrase({"question :", item.question, "? text :", item.context, "answer :", item.lead});
    case 3:
      return phrase({item.context, "question :", item.question, "? answer :", item.lead});
    case 4:
      return phrase({"read this :", item.context, "now tell me ,", item.question, ":", item.lead});
  }
  fail("world: expected a wrapper from 0 to {}, found {}", wrappers - 1, wrapper);
}

std::string asked(const Item& item, int wrapper) {
  Item bare = item;
  bare.context.clear();
  return phrase({prompt(bare, wrapper), item.answer, "."});
}

Item item(Key key, std::string_view family_name, int64_t number) {
  const Family& asked_family = family(family_name);
  const auto index = uint64_t(&asked_family - families().data());
  Source draw(key.with(items).with(index).with(uint64_t(number)));
  Item made = asked_family.make(draw);
  made.nats = draw.told();
  return made;
}

Document instruction(Key key, int64_t number) {
  Source draw(key.with(instructions).with(uint64_t(number)));
  std::vector<const Family*> trained;
  for (const Family& f : families()) {
    if (!f.held_out) trained.push_back(&f);
  }
  const Family& chosen = *trained[draw.below(trained.size())];
  const int wrapper = int(draw.below(wrappers));
  const Item made = chosen.make(draw);
  return {prompt(made, wrapper), made.answer + " .", true, std::string(chosen.name)};
}

Text document(Key key, int64_t number, Stage stage) {
  Source draw(key.with(stage == Stage::primer ? primer_text : mix_text).with(uint64_t(number)));
  Text text = stage == Stage::primer ? Text{Kind::refrain, refrain(draw)} : mixed(draw);
  text.nats = draw.told();
  return text;
}

std::vector<Text> pretraining(Key key, int64_t primer_words, int64_t total_words) {
  std::vector<Text> texts;
  int64_t count = 0;
  for (const auto& [stage, until] : {std::pair(Stage::primer, primer_words), std::pair(Stage::mix, total_words)}) {
    for (int64_t number = 0; count < until; ++number) {
      texts.push_back(document(key, number, stage));
      count += length(texts.back().text);
    }
  }
  return texts;
}

std::vector<Document> documents(const std::vector<Text>& texts) {
  std::vector<Document> out;
  for (const Text& t : texts) out.push_back({t.text, "", false, "world"});
  return out;
}

double entropy(const std::vector<Text>& texts) {
  double nats = 0;
  int64_t tokens = 0;
  for (const Text& t : texts) {
    nats += t.nats;
    tokens += length(t.text) + 1;
  }
  return nats / double(tokens);
}

}  // namespace triarch::world
