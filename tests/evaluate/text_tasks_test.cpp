#include "triarch/evaluate/text_tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "triarch/base/error.h"
#include "triarch/base/utf8.h"
#include "triarch/data/tokenized_corpus.h"
#include "triarch/evaluate/subset.h"
#include "triarch/text/words.h"

namespace triarch {
namespace {

// Words of two to four syllables, some of four more; the same for the same number.
std::string word(uint64_t number) {
  constexpr const char* syllables[] = {"ka", "lo", "mi", "te", "ru", "sen", "dop", "fi"};
  std::string out;
  for (uint64_t n = number + 8; n > 0; n /= 8) out += syllables[n % 8];
  if (number % 7 == 3) out += "tofalega";
  if (number % 5 == 0) out[0] = char(out[0] - 'a' + 'A');
  return out;
}

// Sentences of 4 to 9 words, frequent ones more often, in paragraphs; `stop` ends a sentence.
std::string some_text(uint64_t seed, int sentences, const std::string& stop = ".") {
  Draw draw(Key(seed, Purpose::test));
  std::string out;
  for (int s = 0; s < sentences; ++s) {
    if (s > 0) out += s % 30 == 0 ? "\n\n" : " ";
    std::string sentence;
    for (uint64_t w = 0, n = 4 + draw.below(6); w < n; ++w) {
      const double u = draw.uniform();
      sentence += (w > 0 ? " " : "") + word(uint64_t(300 * u * u));
    }
    sentence[0] = char(std::toupper(sentence[0]));
    out += sentence + stop;
  }
  return out;
}

struct Fixture {
  std::vector<Document> documents;
  Tokenizer tokenizer;
  TokenizedCorpus corpus;

  explicit Fixture(std::vector<Document> made, TokenizerKind kind = TokenizerKind::words) : documents(std::move(made)) {
    std::vector<std::string_view> texts;
    for (const Document& d : documents) texts.push_back(d.text);
    tokenizer = Tokenizer::train({.kind = kind}, texts);
    corpus = tokenize(documents, tokenizer);
  }
  std::vector<ChoiceTask> tasks(int64_t items, uint64_t seed = 1, std::vector<std::string>* notes = nullptr) const {
    return text_tasks(corpus.view(), tokenizer, 128, items, Key(seed, Purpose::test), notes);
  }
};

Fixture usual() {
  std::vector<Document> documents;
  for (uint64_t i = 0; i < 3; ++i) documents.push_back({some_text(i, 500), "", false, "test"});
  return Fixture(std::move(documents));
}

bool contains(const Fixture& f, const std::string& text) {
  return std::ranges::any_of(f.documents, [&](const Document& d) { return d.text.find(text) != std::string::npos; });
}

int64_t tokens(const Fixture& f, const std::string& text) { return int64_t(f.tokenizer.encode(text).size()); }

const ChoiceTask& named(const std::vector<ChoiceTask>& tasks, const std::string& name) {
  const auto found = std::ranges::find(tasks, name, &ChoiceTask::name);
  require(found != tasks.end(), "no task '{}'", name);
  return *found;
}

// What a text says, the answer says; nothing else does. In all kinds.
TEST(TextTasks, AnswersAreWhatTheTextSays) {
  const Fixture f = usual();
  std::vector<std::string> notes;
  const auto tasks = f.tasks(100, 1, &notes);
  EXPECT_EQ(notes, std::vector<std::string>{});
  ASSERT_EQ(tasks.size(), 4u);
  for (const ChoiceTask& t : tasks) {
    SCOPED_TRACE(t.name);
    EXPECT_EQ(t.choices.size(), 100u);
    EXPECT_EQ(t.chance, 0.25);
    EXPECT_EQ(t.close, t.name == "missing word" ? "." : "");
    for (const Choice& c : t.choices) {
      ASSERT_EQ(c.candidates.size(), 4u);
      EXPECT_EQ(std::set(c.candidates.begin(), c.candidates.end()).size(), 4u);
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(contains(f, c.prompt + " " + c.candidates[i] + t.close), i == c.answer) << c.prompt;
      }
    }
  }
}

TEST(TextTasks, WordsResembleEachOther) {
  const Fixture f = usual();
  std::map<std::string, int64_t> frequency;
  for (const Document& d : f.documents) {
    for (const Word& w : words_of(d.text)) {
      std::string s = d.text.substr(w.begin, w.end - w.begin);
      if (s.ends_with('.')) s.pop_back();
      ++frequency[s];
    }
  }
  const auto tasks = f.tasks(1000);
  int64_t capitals = 0;
  std::set<int64_t> frequencies;
  for (const Choice& c : named(tasks, "missing word").choices) {
    const std::string& right = c.candidates[c.answer];
    EXPECT_TRUE(c.prompt.ends_with(c.bare));
    EXPECT_EQ(c.bare.find(' '), std::string::npos);
    EXPECT_GE(words_of(c.prompt).size(), 4u);
    capitals += letter_of(right) == Letter::upper;
    frequencies.insert(frequency.at(right));
    for (const std::string& other : c.candidates) {
      EXPECT_EQ(letter_of(other) == Letter::upper, letter_of(right) == Letter::upper);
      EXPECT_LE(std::max(other.size(), right.size()) - std::min(other.size(), right.size()), 3u);
      EXPECT_EQ(tokens(f, " " + other + "."), tokens(f, " " + right + "."));
      const int64_t a = frequency.at(other), b = frequency.at(right);
      EXPECT_LT(std::max(a, b), 2 * std::min(a, b));
    }
  }
  EXPECT_GT(capitals, 0);
  EXPECT_LT(*frequencies.begin(), 10);
  EXPECT_GT(*frequencies.rbegin(), 30);
}

// By hand: 22 words of three letters, 22 of nine and 3 with a capital, once each. Four by four the first two kinds make
// five groups each, and no group is mixed.
TEST(TextTasks, WordsOfOtherShapesAreNoCandidates) {
  std::vector<std::string> words = {"we", "said", "it", "was", "Then", "."}, ends;
  for (char c = 'a'; c < 'a' + 22; ++c) ends.insert(ends.end(), {std::string(3, c), std::string(9, c)});
  ends.insert(ends.end(), {"Aaa", "Bbb", "Ccc"});
  words.insert(words.end(), ends.begin(), ends.end());
  std::string text;
  for (const std::string& word : ends)
    text += (text.empty() ? "" : " ") + std::string("Then we said it was ") + word + " .";
  const Tokenizer tokenizer = Tokenizer::of_words(words);
  const TokenizedCorpus corpus = tokenize({{text, "", false, "test"}}, tokenizer);
  const auto tasks = text_tasks(corpus.view(), tokenizer, 64, 100, Key(1, Purpose::test));
  const ChoiceTask& task = named(tasks, "missing word");
  EXPECT_EQ(task.choices.size(), 40u);
  std::set<std::string> answers;
  for (const Choice& c : task.choices) {
    answers.insert(c.candidates[c.answer]);
    EXPECT_EQ(c.bare, "was");
    for (const std::string& s : c.candidates) EXPECT_EQ(s.size(), c.candidates[0].size()) << s;
  }
  EXPECT_EQ(answers.size(), 40u);
}

TEST(TextTasks, SentencesAreEquallyLongAndApart) {
  const Fixture f = usual();
  const auto tasks = f.tasks(100);
  for (const char* name : {"next sentence", "missing sentence", "order of sentences"}) {
    SCOPED_TRACE(name);
    for (const Choice& c : named(tasks, name).choices) {
      int64_t least = 1000, most = 0;
      std::set<const Document*> from;
      for (const std::string& s : c.candidates) {
        const int64_t n = tokens(f, " " + s);
        least = std::min(least, n);
        most = std::max(most, n);
        EXPECT_EQ(c.prompt.find(s), std::string::npos);
        EXPECT_LE(tokens(f, c.prompt) + n, 126);
      }
      EXPECT_LE(most - least, std::string(name) == "order of sentences" ? 0 : std::max<int64_t>(1, least / 10));
    }
  }
  // Sentences from one document, where it has enough.
  for (const Choice& c : named(tasks, "next sentence").choices) {
    EXPECT_TRUE(std::ranges::any_of(f.documents, [&](const Document& d) {
      return std::ranges::all_of(c.candidates, [&](const auto& s) { return d.text.find(s) != std::string::npos; });
    }));
  }
  // After the gap stands the same in all candidates, and the text says so.
  for (const Choice& c : named(tasks, "missing sentence").choices) {
    const auto after = [](const std::string& s) { return s.substr(s.find(". ") + 1); };
    for (const std::string& s : c.candidates) EXPECT_EQ(after(s), after(c.candidates[0]));
  }
  // The same words in another order.
  for (const Choice& c : named(tasks, "order of sentences").choices) {
    const auto sorted = [](std::string s) {
      std::ranges::sort(s);
      return s;
    };
    for (const std::string& s : c.candidates) EXPECT_EQ(sorted(s), sorted(c.candidates[0]));
  }
}

// Whatever one thinks of the candidates without their context is right once in four: frequency, length, spelling.
TEST(TextTasks, PriorsAreRightOnceInFour) {
  const Fixture f = usual();
  std::map<std::string, int64_t> frequency;
  for (const Document& d : f.documents) {
    for (const Word& w : words_of(d.text)) ++frequency[d.text.substr(w.begin, w.end - w.begin)];
  }
  const auto tasks = f.tasks(200);
  using Prior = std::function<double(const std::string&)>;
  const std::pair<const char*, Prior> priors[] = {
      {"frequency", [&](const std::string& s) { return double(frequency[s + "."]) + 1e-9 * double(s[1]); }},
      {"length", [](const std::string& s) { return double(s.size()) + 1e-4 * double(s[1]) + 1e-6 * double(s[3]); }},
      {"hash", [](const std::string& s) { return double(std::hash<std::string>()(s)); }}};
  for (const char* name : {"missing word", "next sentence"}) {
    for (const auto& [what, prior] : priors) {
      const ChoiceTask& task = named(tasks, name);
      int64_t right = 0;
      for (const Choice& c : task.choices) {
        // Ties are broken by the words themselves, so that the choice depends on nothing else.
        const auto better = [&](const std::string& a, const std::string& b) {
          return std::pair(prior(a), a) < std::pair(prior(b), b);
        };
        right += *std::max_element(c.candidates.begin(), c.candidates.end(), better) == c.candidates[c.answer];
      }
      EXPECT_EQ(right * 4, int64_t(task.choices.size())) << name << " by " << what;
    }
  }
}

TEST(TextTasks, AnswersStandAtEveryPlaceEquallyOften) {
  const Fixture f = usual();
  for (uint64_t seed : {1, 2, 3}) {
    std::array<double, 4> places{};
    double all = 0;
    for (const ChoiceTask& t : f.tasks(100, seed)) {
      for (const Choice& c : t.choices) ++places[c.answer];
      all += double(t.choices.size());
    }
    double chi = 0;  // of 3 degrees of freedom: above 16.3 once in a thousand
    for (double n : places) chi += (n - all / 4) * (n - all / 4) / (all / 4);
    EXPECT_LT(chi, 16.3);
  }
}

bool same(const std::vector<ChoiceTask>& a, const std::vector<ChoiceTask>& b) {
  return std::ranges::equal(a, b, [](const ChoiceTask& x, const ChoiceTask& y) {
    return x.name == y.name && std::ranges::equal(x.choices, y.choices, [](const Choice& c, const Choice& d) {
             return c.prompt == d.prompt && c.candidates == d.candidates && c.answer == d.answer && c.bare == d.bare;
           });
  });
}

TEST(TextTasks, AreAFunctionOfTextAndKey) {
  const Fixture f = usual();
  EXPECT_TRUE(same(f.tasks(60), f.tasks(60)));
  EXPECT_FALSE(same(f.tasks(60, 1), f.tasks(60, 2)));
}

TEST(TextTasks, TooShortTextsSaySo) {
  std::vector<std::string> notes;
  EXPECT_TRUE(Fixture({{some_text(1, 20), "", false, "test"}}).tasks(100, 1, &notes).empty());
  ASSERT_EQ(notes.size(), 4u);
  EXPECT_NE(notes[0].find("no questions 'missing word'"), std::string::npos) << notes[0];
  notes.clear();
  const auto some = Fixture({{some_text(1, 200), "", false, "test"}}).tasks(400, 1, &notes);
  ASSERT_EQ(some.size() + std::ranges::count_if(notes, [](const auto& n) { return n.starts_with("no questions"); }), 4);
  EXPECT_EQ(notes.size(), 4u);
  for (const ChoiceTask& t : some) {
    EXPECT_GE(t.choices.size(), 40u);
    EXPECT_LT(t.choices.size(), 400u);
    EXPECT_EQ(t.choices.size() % 4, 0u);
  }
  EXPECT_GE(some.size(), 1u);
}

TEST(TextTasks, ShortDocumentsShareTheirSentences) {
  std::vector<Document> documents;
  for (uint64_t i = 0; i < 60; ++i) documents.push_back({some_text(i, 6), "", false, "test"});
  const Fixture f(std::move(documents));
  const auto tasks = f.tasks(40);
  for (const Choice& c : named(tasks, "next sentence").choices) {
    EXPECT_TRUE(contains(f, c.prompt + " " + c.candidates[c.answer]));
  }
}

TEST(TextTasks, TokenizedTextKeepsItsFullStopsApart) {
  const Fixture f({{some_text(1, 600, " ."), "", false, "test"}});
  const auto tasks = f.tasks(40);
  const ChoiceTask& task = named(tasks, "missing word");
  EXPECT_EQ(task.close, " .");
  for (const Choice& c : task.choices) EXPECT_TRUE(contains(f, c.prompt + " " + c.candidates[c.answer] + " ."));
}

TEST(TextTasks, SentencesMayBeginLinesAndParagraphsWhereNoneFollowASpace) {
  for (const std::string gap : {"\n", "\n\n"}) {
    std::string text = some_text(1, 900);
    for (size_t at = 0; (at = text.find(". ", at)) != std::string::npos; at += 1 + gap.size())
      text.replace(at + 1, 1, gap);
    const Fixture f({{text, "", false, "test"}});
    const auto tasks = f.tasks(40);
    for (const Choice& c : named(tasks, "next sentence").choices) {
      EXPECT_TRUE(contains(f, c.prompt + gap + c.candidates[c.answer]));
    }
    EXPECT_EQ(named(tasks, "order of sentences").choices.size(), 40u);
  }
}

TEST(TextTasks, PairsMakeNone) {
  std::vector<std::string> notes;
  EXPECT_TRUE(Fixture({{some_text(1, 600), "target", true, "test"}}).tasks(40, 1, &notes).empty());
  EXPECT_EQ(notes.size(), 1u);
}

TEST(TextTasks, Fit) {
  const Fixture f = usual();
  const auto tasks = text_tasks(f.corpus.view(), f.tokenizer, 64, 40, Key(1, Purpose::test));
  EXPECT_GE(tasks.size(), 2u);
  std::vector<std::string> notes;
  EXPECT_TRUE(same(that_fit(tasks, f.tokenizer, 64, &notes), tasks));
  EXPECT_TRUE(notes.empty());
  const auto shorter = that_fit(tasks, f.tokenizer, 40, &notes);
  EXPECT_FALSE(same(shorter, tasks));
  EXPECT_FALSE(notes.empty());
  for (const ChoiceTask& t : shorter) {
    EXPECT_NEAR(t.chance, 0.25, 1e-12);
    for (const Choice& c : t.choices) {
      for (const auto& s : c.candidates) EXPECT_LE(tokens(f, c.prompt) + tokens(f, " " + s + t.close), 38);
    }
  }
}

TEST(TextTasks, AtMostKeepsADrawnPartInOrder) {
  const auto tasks = usual().tasks(100);
  const auto part = at_most(tasks, 30, Key(1, Purpose::test)), other = at_most(tasks, 30, Key(2, Purpose::test));
  ASSERT_EQ(part.size(), tasks.size());
  EXPECT_FALSE(same(part, other));
  EXPECT_TRUE(same(part, at_most(tasks, 30, Key(1, Purpose::test))));
  EXPECT_TRUE(same(at_most(tasks, 100, Key(1, Purpose::test)), tasks));
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSERT_EQ(part[i].choices.size(), 30u);
    auto at = tasks[i].choices.begin();
    for (const Choice& c : part[i].choices) {
      at = std::find_if(at, tasks[i].choices.end(),
                        [&](const Choice& d) { return c.prompt == d.prompt && c.candidates == d.candidates; });
      ASSERT_NE(at++, tasks[i].choices.end());
    }
  }
}

TEST(TextTasks, SharedData) {
  const char* shared = std::getenv("TRIARCH_SHARED");
  const auto data = std::filesystem::path(shared ? shared : TRIARCH_SOURCE_DIR "/../shared") / "data/text";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "no shared data: set TRIARCH_SHARED";
  for (const char* name : {"tinyshakespeare/input.txt", "tinystories_sample/cased_2MiB.txt"}) {
    SCOPED_TRACE(name);
    const Split split = split_corpus(read_corpus({(data / name).string()}));
    const Fixture f(split.validation, TokenizerKind::unigram);
    std::vector<std::string> notes;
    const auto tasks = f.tasks(100, 1, &notes);
    EXPECT_EQ(tasks.size(), 4u);
    for (const ChoiceTask& t : tasks)
      EXPECT_GE(t.choices.size(), t.name == "order of sentences" ? 40u : 100u) << t.name;
  }
}

}  // namespace
}  // namespace triarch
