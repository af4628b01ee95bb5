#include "triarch/data/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "triarch/base/error.h"
#include "triarch/base/hash.h"

namespace triarch::world {
namespace {

using Words = std::vector<std::string>;
const Key key(5, Purpose::world);

Words split(const std::string& text) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string join(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The word behind the first place where `words` occur in a row in the text.
std::string behind(const std::string& text, const std::string& words) {
  const size_t at = (" " + text).find(" " + words + " ");
  if (at == std::string::npos) return "";
  return split(text.substr(at + words.size()))[0];
}

int value(const std::string& number) {
  const Words names = {"zero",     "one",     "two",     "three",     "four",    "five",   "six",
                       "seven",    "eight",   "nine",    "ten",       "eleven",  "twelve", "thirteen",
                       "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"};
  return int(std::find(names.begin(), names.end(), number) - names.begin());
}

TEST(World, EveryFamilyMakesValidItems) {
  ASSERT_EQ(families().size(), 26u);
  EXPECT_EQ(std::count_if(families().begin(), families().end(), [](const Family& f) { return f.held_out; }), 9);
  for (const Family& f : families()) {
    std::map<std::string, int> answers;
    int answer_first = 0;
    for (int n = 0; n < 300; ++n) {
      const Item i = item(key, f.name, n);
      const std::set<std::string> distinct(i.candidates.begin(), i.candidates.end());
      ASSERT_EQ(distinct.size(), i.candidates.size()) << f.name;
      ASSERT_GE(distinct.size(), 2u);
      ASSERT_TRUE(distinct.contains(i.answer)) << f.name;
      for (const std::string& c : i.candidates) ASSERT_EQ(split(c).size(), split(i.answer).size()) << f.name;
      ++answers[i.answer];
      answer_first += i.answer == i.candidates[0];
      std::set<std::string> prompts;
      for (int w = 0; w < wrappers; ++w) {
        const std::string asked = prompt(i, w) + " " + i.answer + " .";
        ASSERT_EQ(asked, join(split(asked))) << "not single spaces";
        ASSERT_LE(split(asked).size(), size_t(longest_document)) << asked;
        for (const std::string& word : split(asked)) ASSERT_TRUE(has(words(), word)) << word << ": " << asked;
        prompts.insert(asked);
      }
      ASSERT_EQ(prompts.size(), size_t(wrappers));
    }
    EXPECT_GE(answers.size(), 2u) << f.name;
    for (const auto& [answer, count] : answers) EXPECT_LT(count, 300 * 0.6) << f.name << ": " << answer;
    EXPECT_GT(answer_first, 300 / 10) << f.name;
    EXPECT_LT(answer_first, 300 * 6 / 10) << f.name;
  }
  EXPECT_THROW(family("nothing"), Error);
  EXPECT_TRUE(is_held_out("sort"));
  EXPECT_FALSE(is_held_out("copy"));
  EXPECT_EQ(is_held_out("first"), is_held_out("last"));
  EXPECT_EQ(is_held_out("largest"), is_held_out("smallest"));
}

// Answers found again from the words of the prompt alone.
TEST(World, AnswersAreRight) {
  const Words she = {"ann", "bea", "cleo", "dora"}, good = {"lovely", "kind", "fine", "merry", "sweet", "bright"};
  for (int n = 0; n < 300; ++n) {
    const auto make = [&](const char* name) { return item(key, name, n); };
    const auto last_word = [](const std::string& text) { return split(text).back(); };
    Item i = make("owner");
    Words c = split(i.context);  // P has the C T .
    ASSERT_EQ(i.answer, c[size_t(std::find(c.begin(), c.end(), last_word(i.question)) - c.begin()) - 4]);
    i = make("colour");
    c = split(i.context);
    ASSERT_EQ(i.answer, c[size_t(std::find(c.begin(), c.end(), last_word(i.question)) - c.begin()) - 1]);
    i = make("place");
    const std::string person = last_word(i.question);
    ASSERT_EQ(i.answer, behind(i.context, person + " is in the") + behind(i.context, person + " went to the"));
    ASSERT_EQ(make("first").answer, split(make("first").context)[0]);
    ASSERT_EQ(make("last").answer, split(make("last").context)[12]);
    i = make("entailed_place");
    Words q = split(i.question);
    const bool there =
        behind(i.context, q[1] + " is in the") == q[4] || behind(i.context, q[1] + " went to the") == q[4];
    ASSERT_EQ(i.answer, there ? "yes" : "no");
    i = make("entailed_owner");
    q = split(i.question);
    c = split(i.context);
    ASSERT_EQ(i.answer, c[size_t(std::find(c.begin(), c.end(), q[1]) - c.begin()) + 4] == q[3] ? "yes" : "no");
    i = make("give");
    c = split(i.context);
    ASSERT_EQ(i.answer, c[1] == "gave" ? c[5] : c[0]);
    i = make("topic");
    c = split(i.context);
    ASSERT_EQ(std::count(c.begin(), c.end(), i.answer), 3);
    i = make("coreference");
    ASSERT_EQ(has(split(i.context), "she"), has(she, i.answer)) << i.context;
    for (const char* name : {"sentiment", "like"}) {
      i = make(name);
      c = split(i.context);
      if (c[2] == "not") c.erase(c.begin(), c.begin() + 5);
      const bool liked = std::any_of(c.begin(), c.end(), [&](const std::string& w) { return has(good, w); });
      ASSERT_EQ(i.answer == "good" || i.answer == "yes", liked) << i.context;
    }
    i = make("copy");
    c = split(i.context);
    Words list(c.begin() + 3, c.end() - 1);
    ASSERT_EQ(i.answer, join(list));
    i = make("reverse");
    c = split(i.context);
    list.assign(c.rbegin() + 1, c.rend() - 3);
    ASSERT_EQ(i.answer, join(list));
    i = make("sort");
    c = split(i.context);
    list.assign(c.begin() + 2, c.end() - 1);
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return value(a) < value(b); });
    ASSERT_EQ(i.answer, join(list));
    for (const char* name : {"largest", "smallest"}) {
      i = make(name);
      c = split(i.context);
      list.assign(c.begin() + 2, c.end() - 1);
      const auto [least, most] = std::minmax_element(list.begin(), list.end(),
                                                     [](const auto& a, const auto& b) { return value(a) < value(b); });
      ASSERT_EQ(i.answer, name == std::string("largest") ? *most : *least);
    }
    i = make("translate");
    ASSERT_EQ(i.answer, lingo(i.context.substr(0, i.context.size() - 2)));
    i = make("translate_back");
    ASSERT_EQ(lingo(i.answer) + " .", i.context);
    i = make("plus");
    q = split(i.question);
    ASSERT_EQ(value(i.answer), value(q[2]) + value(q[4]));
    i = make("pattern");
    c = split(i.context);
    list.assign(c.begin() + 2, c.end() - 1);
    const size_t period = list[2] == list[0] ? 2 : 3;
    ASSERT_EQ(i.answer, list[list.size() - period]);
    for (size_t k = period; k < list.size(); ++k) ASSERT_EQ(list[k], list[k - period]);
    i = make("registry");
    ASSERT_EQ(i.answer, behind(i.context, i.lead));
    i = make("coloured_registry");
    ASSERT_EQ(i.answer, behind(i.context, i.lead));
    i = make("acceptable");
    c = split(i.context);
    const bool plural = c[1].back() == 's', are = has(c, "are");
    ASSERT_EQ(i.answer, plural == are ? "yes" : "no") << i.context;
  }
}

TEST(World, LingoIsOneToOne) {
  EXPECT_EQ(lingo("ann likes the red ball"), "ann ku zara zamu dike");
  EXPECT_EQ(lingo("the red ball"), "ku zara zamu");
  EXPECT_THROW(lingo("ball"), Error);
  std::set<std::string> translated;
  int count = 0;
  for (const char* colour : {"red", "blue", "green", "white", "black"}) {
    for (const char* thing : {"ball", "doll", "kite", "hat", "coat", "scarf", "hammer", "spade", "nail", "apple",
                              "bread", "cake", "cat", "dog", "hen"}) {
      for (const char* verb : {"sees", "likes", "has"}) {
        translated.insert(lingo(std::string("bob ") + verb + " the " + colour + " " + thing));
        ++count;
      }
    }
  }
  EXPECT_EQ(int(translated.size()), count);
}

TEST(World, DocumentsAreWordsInTheRightProportions) {
  constexpr int n = 4000;
  std::map<Kind, int> kinds;
  std::set<std::string> met, distinct;
  double total = 0;
  for (int i = 0; i < n; ++i) {
    const Text document = world::document(key, i, Stage::mix);
    EXPECT_EQ(document.text, world::document(key, i, Stage::mix).text);
    const Words words = split(document.text);
    ASSERT_EQ(document.text, join(words));
    ASSERT_LE(words.size(), size_t(longest_document)) << document.text;
    ASSERT_EQ(words.back(), ".");
    met.insert(words.begin(), words.end());
    distinct.insert(document.text);
    total += double(words.size());
    ++kinds[document.kind];
  }
  const auto share = [&](Kind kind) { return double(kinds[kind]) / n; };
  EXPECT_NEAR(share(Kind::story), 0.35, 0.025);
  EXPECT_NEAR(share(Kind::lesson), 0.40, 0.025);
  for (const Kind kind : {Kind::agreement, Kind::review, Kind::lingo}) EXPECT_NEAR(share(kind), 0.25 / 6, 0.01);
  for (const Kind kind : {Kind::counting, Kind::beads}) EXPECT_NEAR(share(kind), 0.25 / 12, 0.008);
  EXPECT_NEAR(share(Kind::refrain), 0.25 / 3, 0.015);
  EXPECT_NEAR(total / n, 44, 4);
  EXPECT_GT(distinct.size(), size_t(n * 0.97));
  EXPECT_NE(document(key, 0, Stage::mix).text, document(key.with(1), 0, Stage::mix).text);

  // Documents and instructions together use every word, and no other.
  for (int i = 0; i < n; ++i) {
    const Document task = instruction(key, i);
    for (const std::string& word : split(task.text + " " + task.target)) met.insert(word);
    EXPECT_FALSE(is_held_out(task.source));
    EXPECT_TRUE(task.pair);
  }
  for (const std::string& word : words()) EXPECT_TRUE(met.contains(word)) << word << " is never used";
  for (const std::string& word : met) EXPECT_TRUE(has(words(), word)) << word << " is not in the vocabulary";
  std::printf("%zu words, %.1f words per document\n", words().size(), total / n);
}

TEST(World, PrimerThenMix) {
  const std::vector<Text> documents = pretraining(key, 1000, 3000);
  int64_t words = 0;
  bool primer = true;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (words >= 1000) primer = false;
    const Words text = split(documents[i].text);
    if (primer) {
      // Four people sing the same.
      ASSERT_EQ(text.size() % 4, 0u);
      const size_t line = text.size() / 4;
      for (size_t k = 1; k < text.size(); ++k) {
        ASSERT_TRUE(k % line == 0 || text[k] == text[k % line]);
      }
    }
    words += int64_t(text.size());
  }
  EXPECT_GE(words, 3000);
  EXPECT_LT(words, 3000 + longest_document);
  EXPECT_EQ(documents[0].text, document(key, 0, Stage::primer).text);
  EXPECT_EQ(documents.back().text, pretraining(key, 1000, 3000).back().text);
}

// Figures taken on different machines and versions can be compared as long as this stays.
// Who knows the order of numbers, but has not read the list, does not find the answer.
TEST(World, PriorsOfNumbersDoNotAnswer) {
  int ascending = 0;
  const int n = 400;
  for (int k = 0; k < n; ++k) {
    Item i = item(key, "largest", k);
    ASSERT_NE(i.answer, *std::ranges::max_element(i.candidates, {}, value));
    i = item(key, "smallest", k);
    ASSERT_NE(i.answer, *std::ranges::min_element(i.candidates, {}, value));
    i = item(key, "sort", k);
    for (const std::string& c : i.candidates) {
      const Words list = split(c);
      ascending += std::ranges::is_sorted(list, {}, value);
    }
  }
  EXPECT_EQ(ascending, 3 * n);  // the answer and two others
}

TEST(World, IsTheSameEverywhere) {
  std::string all;
  for (int i = 0; i < 500; ++i) all += document(key, i, Stage::mix).text + instruction(key, i).text;
  EXPECT_EQ(hash64(all), 8824430236212078073u);
}

TEST(World, TokenizerKnowsEveryWord) {
  const Tokenizer tokenizer = world::tokenizer();
  EXPECT_EQ(tokenizer.vocabulary(), int32_t(words().size()) + 34);
  for (int i = 0; i < 200; ++i) {
    const std::string text = document(key, i, Stage::mix).text;
    const std::vector<int32_t> ids = tokenizer.encode(text);
    EXPECT_EQ(ids.size(), split(text).size());
    EXPECT_EQ(std::count(ids.begin(), ids.end(), tokenizer.specials().unk), 0);
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

}  // namespace
}  // namespace triarch::world
