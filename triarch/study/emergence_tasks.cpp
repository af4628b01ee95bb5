#include "triarch/study/emergence_tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "triarch/base/error.h"

namespace triarch {
namespace {

constexpr std::array kPeople = {"ann", "bob", "cid", "dee", "eva", "fay", "gus", "hal"};
constexpr std::array kThings = {"key", "lamp", "rope", "coin", "book", "drum", "bell", "vase"};
constexpr std::array kOld = {"old", "new", "big", "dry", "low", "far"};
constexpr std::array kPlaces = {"mill", "yard", "barn", "hall", "cave", "shop"};
constexpr std::array kAges = {"young", "aged", "grown"};
constexpr std::array kSides = {"north", "south", "east", "west"};
constexpr std::array kColours = {"red", "green", "blue", "brown"};
constexpr std::array kGoods = {"apples", "boots", "cups", "hats", "pears", "rugs"};
constexpr std::array kOthers = {"0",  "1",   "2",   "3",  "4",     "5",      "6",    "7",   "8",
                                "9",  "+",   "=",   ".",  ",",     ":",      "has",  "is",  "in",
                                "so", "the", "who", "of", "comes", "record", "from", "and", "sells"};
constexpr int64_t kLongest = 62;

constexpr uint64_t kDocuments = 100, kPrimerStream = 101;  // streams of their own beside those of the kinds of tasks

int64_t words_in(const std::string& text) { return 1 + std::ranges::count(text, ' '); }

// `n` different ones.
template <size_t N>
std::vector<std::string> some(Draw& draw, const std::array<const char*, N>& list, size_t n) {
  std::vector<std::string> all(list.begin(), list.end());
  draw.shuffle(all.data(), all.size());
  all.resize(n);
  return all;
}

template <size_t N>
std::string one(Draw& draw, const std::array<const char*, N>& list) {
  return list[draw.below(N)];
}

// Last digit first.
std::string digits_of(int64_t n, int64_t count) {
  std::string s;
  for (int64_t i = 0; i < count; ++i, n /= 10) s += fmt::format("{}{}", i == 0 ? "" : " ", n % 10);
  return s;
}

// A fifth of all pairs of numbers is in no text, in neither order.
bool is_held_out(int64_t a, int64_t b, int64_t digits) {
  return mix64(uint64_t(std::min(a, b) * 1'000'003 + std::max(a, b)) * 31 + uint64_t(digits)) % 5 == 0;
}

EmergenceItem sum_item(Draw& draw, int64_t digits, bool held_out) {
  const auto end = uint64_t(std::llround(std::pow(10.0, double(digits))));
  for (;;) {
    const auto a = int64_t(draw.below(end)), b = int64_t(draw.below(end));
    if (is_held_out(a, b, digits) != held_out) continue;
    return {fmt::format("{} + {} =", digits_of(a, digits), digits_of(b, digits)), digits_of(a + b, digits + 1)};
  }
}

constexpr size_t kKnown = 2;  // people in a text

// A text, and what can be said of it.
struct Told {
  std::string text;
  std::vector<EmergenceItem> closings;  // prompts without the text
};

// Closings: of each person where they are, then of each thing.
Told facts(Draw& draw) {
  const auto people = some(draw, kPeople, kKnown), things = some(draw, kThings, kKnown), old = some(draw, kOld, kKnown),
             places = some(draw, kPlaces, kKnown);
  std::vector<std::string> sentences;
  for (size_t i = 0; i < kKnown; ++i) {
    sentences.push_back(fmt::format("{} has the {} .", people[i], things[i]));
    sentences.push_back(fmt::format("{} is in the {} {} .", people[i], old[i], places[i]));
  }
  draw.shuffle(sentences.data(), sentences.size());
  Told told{fmt::format("{}", fmt::join(sentences, " ")), {}};
  for (const auto& [the, who] : {std::pair("", &people), {"the ", &things}}) {
    for (size_t i = 0; i < kKnown; ++i) {
      told.closings.push_back({fmt::format("so {}{} is in the", the, (*who)[i]), old[i] + " " + places[i]});
    }
  }
  return told;
}

Told people(Draw& draw) {
  const auto names = some(draw, kPeople, kKnown), goods = some(draw, kGoods, kKnown),
             colours = some(draw, kColours, kKnown), parts = some(draw, kSides, kKnown),
             ages = some(draw, kAges, kKnown);
  std::vector<std::string> sentences;
  Told told;
  for (size_t i = 0; i < kKnown; ++i) {
    const std::string young = "is " + ages[i], from = "comes from the " + parts[i],
                      sells = fmt::format("sells {} {}", colours[i], goods[i]);
    switch (draw.below(3)) {
      case 0:
        sentences.push_back(fmt::format("{} , who {} , {} and {} .", names[i], young, from, sells));
        break;
      case 1:
        sentences.push_back(fmt::format("{} , who {} , {} and {} .", names[i], sells, young, from));
        break;
      default:
        sentences.push_back(fmt::format("{} {} , {} and {} .", names[i], from, sells, young));
    }
    told.closings.push_back(
        {fmt::format("record of {} :", names[i]), fmt::format("{} {} {} {}", ages[i], parts[i], colours[i], goods[i])});
  }
  told.text = fmt::format("{}", fmt::join(sentences, " "));
  return told;
}

// One of the closings [begin, begin + kKnown), behind its text.
EmergenceItem asked_of(const Told& told, size_t begin, Draw& draw) {
  const EmergenceItem& c = told.closings[begin + draw.below(kKnown)];
  return {told.text + " " + c.prompt, c.answer};
}

// What refrains are made of.
std::vector<std::string> said_words() {
  std::vector<std::string> words;
  const auto add = [&](const auto& list) { words.insert(words.end(), list.begin(), list.end()); };
  add(kThings), add(kOld), add(kPlaces), add(kAges), add(kSides), add(kColours), add(kGoods);
  for (size_t d = 0; d < 10; ++d) words.emplace_back(kOthers[d]);
  return words;
}

std::string document(Key key, int64_t digits, int64_t number) {
  Draw draw(key.with(kDocuments).with(uint64_t(number)));
  const double u = draw.uniform();
  if (u >= 0.5) {
    Told told = u < 0.75 ? facts(draw) : people(draw);
    draw.shuffle(told.closings.data(), told.closings.size());
    for (const EmergenceItem& c : told.closings) told.text += fmt::format(" {} {} .", c.prompt, c.answer);
    return told.text;
  }
  std::string text;
  for (;;) {
    const EmergenceItem item = sum_item(draw, 1 + int64_t(draw.below(uint64_t(digits))), false);
    const std::string more = fmt::format("{}{}{} {} .", text, text.empty() ? "" : " ", item.prompt, item.answer);
    if (words_in(more) > kLongest) return text;
    text = more;
  }
}

}  // namespace

std::vector<EmergenceTask> emergence_tasks(int64_t digits) {
  using Kind = EmergenceTask::Kind;
  std::vector<EmergenceTask> tasks;
  for (int64_t k = 1; k <= digits; ++k) {
    tasks.push_back(
        {Kind::sum, fmt::format("sums of {} digit{}", k, k == 1 ? "" : "s"), k, k + 1, 0.5 * std::pow(0.1, double(k))});
  }
  tasks.push_back({Kind::one_hop, "one hop", 0, 2, 1.0 / kKnown});
  tasks.push_back({Kind::two_hops, "two hops", 0, 2, 1.0 / kKnown});
  tasks.push_back({Kind::record, "records", 0, 4, std::pow(1.0 / kKnown, 4)});
  return tasks;
}

Tokenizer emergence_tokenizer() {
  std::vector<std::string> words;
  const auto add = [&](const auto& list) { words.insert(words.end(), list.begin(), list.end()); };
  add(kOthers), add(kPeople), add(kThings), add(kOld), add(kPlaces), add(kAges), add(kSides), add(kColours),
      add(kGoods);
  return Tokenizer::of_words(words, 24);
}

EmergenceItem emergence_item(Key key, const EmergenceTask& task, int64_t number, bool held_out) {
  Draw draw(key.with(uint64_t(task.kind)).with(uint64_t(task.digits)).with(uint64_t(number)));
  switch (task.kind) {
    case EmergenceTask::Kind::sum:
      return sum_item(draw, task.digits, held_out);
    case EmergenceTask::Kind::one_hop:
    case EmergenceTask::Kind::two_hops:
      return asked_of(facts(draw), task.kind == EmergenceTask::Kind::two_hops ? kKnown : 0, draw);
    case EmergenceTask::Kind::record:
      break;
  }
  return asked_of(people(draw), 0, draw);
}

std::vector<Document> emergence_primer(Key key, int64_t words) {
  const std::vector<std::string> known = said_words();
  std::vector<Document> all;
  for (int64_t n = 0, seen = 0; seen < words; ++n) {
    Draw draw(key.with(kPrimerStream).with(uint64_t(n)));
    std::vector<std::string> phrase;
    for (uint64_t left = 3 + draw.below(6); left > 0; --left) phrase.push_back(known[draw.below(known.size())]);
    std::string text;
    for (const std::string& person : some(draw, kPeople, 4)) {
      text += fmt::format("{}{} : {} .", text.empty() ? "" : " ", person, fmt::join(phrase, " "));
    }
    all.push_back({text, "", false, "emergence"});
    seen += words_in(text);
  }
  return all;
}

std::vector<Document> emergence_text(Key key, int64_t digits, int64_t words) {
  std::vector<Document> all;
  for (int64_t n = 0, seen = 0; seen < words; ++n) {
    all.push_back({document(key, digits, n), "", false, "emergence"});
    seen += words_in(all.back().text);
  }
  return all;
}

std::vector<Document> emergence_instructions(Key key, int64_t digits, int64_t words) {
  const std::vector<EmergenceTask> tasks = emergence_tasks(digits);
  std::vector<Document> all;
  for (int64_t n = 0, seen = 0; seen < words; ++n) {
    const EmergenceItem item = emergence_item(key, tasks[size_t(n) % tasks.size()], n, false);
    all.push_back({item.prompt, item.answer + " .", true, "emergence"});
    seen += words_in(item.prompt) + words_in(all.back().target);
  }
  return all;
}

}  // namespace triarch
