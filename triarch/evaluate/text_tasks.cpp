#include "triarch/evaluate/text_tasks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

#include "triarch/base/error.h"
#include "triarch/base/hash.h"
#include "triarch/base/utf8.h"
#include "triarch/evaluate/subset.h"
#include "triarch/text/sentences.h"
#include "triarch/text/words.h"

namespace triarch {
namespace {

constexpr size_t kCandidates = 4;
constexpr size_t kLeast = 40;             // questions of a kind that is worth asking
constexpr size_t kBefore = 5;             // most sentences of a prompt
constexpr int64_t kShortestSentence = 4;  // tokens of a sentence
constexpr size_t kWordsBefore = 4;        // at least, of a prompt
constexpr int64_t kLetters = 3;           // by which words of a group differ in length
constexpr int64_t kOtherTokens = 10;      // one in so many by which sentences of a group differ, but one always
constexpr std::string_view kSpace = " \t\n\r\v\f";

struct Text {
  std::string text;
  std::vector<Sentence> sentences;
  std::vector<int64_t> tokens;  // of each, with a space before it

  std::string_view sentence(size_t i) const {
    return std::string_view(text).substr(sentences[i].begin, sentences[i].end - sentences[i].begin);
  }
};

// Sentence `sentence` of a text; of a word: its first byte, too.
struct Place {
  size_t text = 0, sentence = 0, begin = 0;
};
using Group = std::array<Place, kCandidates>;

bool single_space_before(std::string_view text, size_t at) {
  return at >= 2 && text[at - 1] == ' ' && kSpace.find(text[at - 2]) == std::string_view::npos;
}

// Letters in it, or -1 if there is anything else.
int64_t letters(std::string_view word) {
  int64_t n = 0;
  for (; !word.empty(); ++n) {
    if (letter_of(word) == Letter::none) return -1;
    word.remove_prefix(character_length(word));
  }
  return n;
}

// Without what is no letter at its ends.
std::string_view bare_word(std::string_view word) {
  const auto at = [&](size_t i) { return letter_of(word.substr(i)) != Letter::none; };
  while (!word.empty() && !at(0)) word.remove_prefix(std::max<size_t>(1, character_length(word)));
  while (!word.empty()) {
    size_t last = word.size() - 1;
    while (last > 0 && (word[last] & 0xC0) == 0x80) --last;
    if (at(last)) break;
    word.remove_suffix(word.size() - last);
  }
  return word;
}

// A question whose first candidate is right, with the candidates in a drawn order.
Choice shuffled(std::string prompt, std::string bare, std::vector<std::string> candidates, Draw& draw) {
  Choice c{std::move(prompt), std::move(bare), std::move(candidates), 0};
  std::vector<size_t> order(c.candidates.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  draw.shuffle(order.data(), order.size());
  std::vector<std::string> moved;
  for (size_t i = 0; i < order.size(); ++i) {
    moved.push_back(c.candidates[order[i]]);
    if (order[i] == 0) c.answer = i;
  }
  c.candidates = std::move(moved);
  return c;
}

class Maker {
 public:
  Maker(const Documents& documents, const Tokenizer& tokenizer, int64_t room, size_t items)
      : tokenizer_(tokenizer), room_(room), items_(items) {
    for (int64_t d = 0; d < documents.size(); ++d) {
      Text t;
      const auto begin = size_t(documents.begins[size_t(d)]), end = size_t(documents.begins[size_t(d) + 1]);
      t.text = tokenizer.decode(documents.ids.subspan(begin, end - begin));
      t.sentences = sentences_of(t.text);
      for (size_t i = 0; i < t.sentences.size(); ++i) t.tokens.push_back(count(" " + std::string(t.sentence(i))));
      texts_.push_back(std::move(t));
    }
  }

  ChoiceTask missing_word(Key key) const {
    ChoiceTask task = empty("missing word");
    task.encoder = EncoderScore::together;
    const std::map<std::string, std::vector<Place>> ends = last_words(&task.close);
    // By resemblance: a group is four in a row.
    using Shape = std::tuple<int64_t, bool, int>;  // tokens, has a capital, power of two of its frequency
    struct Entry {
      Shape shape;
      int64_t letters;
      uint64_t tie;
      const std::string* word;
      auto rank() const { return std::tie(shape, letters, tie); }
    };
    const std::unordered_map<std::string_view, int64_t> frequencies = word_frequencies();
    std::vector<Entry> entries;
    for (const auto& [word, places] : ends) {
      const Shape shape(count(" " + word + task.close), letter_of(word) == Letter::upper,
                        std::ilogb(double(frequencies.at(word))));
      entries.push_back({shape, letters(word), key.bits(hash64(word)), &word});
    }
    std::ranges::sort(entries, {}, &Entry::rank);
    // Frequent and rare ones by turns: `turns[n]` are the n-th groups of every frequency.
    std::map<std::pair<int64_t, uint64_t>, std::array<const std::string*, kCandidates>> turns;
    std::map<int, std::vector<std::array<const std::string*, kCandidates>>> by_frequency;
    for (size_t i = 0; i + kCandidates <= entries.size();) {
      const Entry &first = entries[i], &last = entries[i + kCandidates - 1];
      if (first.shape != last.shape || last.letters - first.letters > kLetters) {
        ++i;
        continue;
      }
      auto& group = by_frequency[std::get<2>(first.shape)].emplace_back();
      for (size_t k = 0; k < kCandidates; ++k) group[k] = entries[i + k].word;
      i += kCandidates;
    }
    Draw draw(key.with(1));
    for (auto& [power, groups] : by_frequency) {
      draw.shuffle(groups.data(), groups.size());
      for (size_t n = 0; n < groups.size(); ++n) turns[{int64_t(n), draw.bits()}] = groups[n];
    }
    for (const auto& [turn, group] : turns) {
      if (task.choices.size() + kCandidates > items_) break;
      std::vector<Choice> questions;
      for (size_t k = 0; k < kCandidates; ++k) {
        std::vector<Place> places = ends.at(*group[k]);
        draw.shuffle(places.data(), places.size());
        for (const Place& p : places) {
          const std::string prompt = before(p.text, p.sentence + 1, p.begin - 1, count(" " + *group[k] + task.close));
          const std::vector<Word> words = words_of(prompt);
          if (words.size() < kWordsBefore) continue;
          std::vector<std::string> candidates;
          for (size_t j = 0; j < kCandidates; ++j) candidates.push_back(*group[(k + j) % kCandidates]);
          questions.push_back(shuffled(prompt, prompt.substr(words.back().begin), std::move(candidates), draw));
          break;
        }
      }
      if (questions.size() == kCandidates) std::ranges::move(questions, std::back_inserter(task.choices));
    }
    return task;
  }

  // Which sentence follows; `cloze`: and what follows it is told as well. `breaks`: here as below, so many newlines
  // may stand before a sentence.
  ChoiceTask sentence(bool cloze, int64_t breaks, Key key) const {
    ChoiceTask task = empty(cloze ? "missing sentence" : "next sentence");
    Draw draw(key);
    for (const Group& group : groups(cloze ? 2 : 1, breaks, key.with(1))) {
      if (task.choices.size() + kCandidates > items_) break;
      std::vector<Choice> questions;
      for (size_t k = 0; k < kCandidates; ++k) {
        const Place& p = group[k];
        const std::string after = cloze ? " " + std::string(texts_[p.text].sentence(p.sentence + 1)) : "";
        std::vector<std::string> candidates;
        int64_t longest = 0;
        for (size_t j = 0; j < kCandidates; ++j) {
          const Place& q = group[(k + j) % kCandidates];
          candidates.push_back(std::string(texts_[q.text].sentence(q.sentence)) + after);
          longest = std::max(longest, count(" " + candidates.back()));
        }
        std::string prompt = before(p.text, p.sentence, texts_[p.text].sentences[p.sentence - 1].end, longest);
        if (!prompt.empty()) questions.push_back(shuffled(std::move(prompt), "", std::move(candidates), draw));
      }
      if (questions.size() == kCandidates) std::ranges::move(questions, std::back_inserter(task.choices));
    }
    return task;
  }

  ChoiceTask order(int64_t breaks, Key key) const {
    constexpr size_t n = 3;
    ChoiceTask task = empty("order of sentences");
    Draw draw(key);
    std::vector<Place> starts = all([&](size_t text, size_t i) { return askable(text, i, n, breaks); });
    draw.shuffle(starts.data(), starts.size());
    std::map<std::pair<size_t, size_t>, bool> used;
    for (const Place& p : starts) {
      if (task.choices.size() == items_) break;
      const Text& t = texts_[p.text];
      bool free = true;
      for (size_t i = 0; i < n; ++i) free = free && !used.contains({p.text, p.sentence + i});
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < i; ++j) free = free && t.sentence(p.sentence + i) != t.sentence(p.sentence + j);
      }
      if (!free) continue;
      std::vector<std::array<size_t, n>> orders;
      std::array<size_t, n> o = {0, 1, 2};
      while (std::next_permutation(o.begin(), o.end())) orders.push_back(o);
      draw.shuffle(orders.data(), orders.size());
      orders.resize(kCandidates - 1);
      orders.insert(orders.begin(), {0, 1, 2});
      std::vector<std::string> candidates;
      for (const auto& places : orders) {
        std::string& candidate = candidates.emplace_back();
        for (size_t i : places) candidate += (candidate.empty() ? "" : " ") + std::string(t.sentence(p.sentence + i));
      }
      // A tokenizer may join across sentences; then the candidates are not of the same tokens.
      const int64_t tokens = count(" " + candidates[0]);
      if (!std::ranges::all_of(candidates, [&](const auto& c) { return count(" " + c) == tokens; })) continue;
      std::string prompt = before(p.text, p.sentence, t.sentences[p.sentence - 1].end, tokens);
      if (prompt.empty()) continue;
      for (size_t i = 0; i < n; ++i) used[{p.text, p.sentence + i}] = true;
      task.choices.push_back(shuffled(std::move(prompt), "", std::move(candidates), draw));
    }
    task.choices.resize(task.choices.size() / kCandidates * kCandidates);
    return task;
  }

 private:
  static ChoiceTask empty(const char* name) {
    ChoiceTask task;
    task.name = name;
    task.depth = "text";
    task.chance = 1 / double(kCandidates);
    task.encoder = EncoderScore::spread;
    return task;
  }

  int64_t count(const std::string& text) const { return int64_t(tokenizer_.encode(text).size()); }
  // What stands in a text from the beginning of a sentence before number `sentence` up to byte `end`: as much as
  // leaves room for `answer` tokens, at most kBefore sentences; empty if not even one fits.
  std::string before(size_t text, size_t sentence, size_t end, int64_t answer) const {
    const Text& t = texts_[text];
    for (size_t i = sentence - std::min(sentence, kBefore); i < sentence; ++i) {
      std::string prompt = t.text.substr(t.sentences[i].begin, end - t.sentences[i].begin);
      if (count(prompt) + answer <= room_) return prompt;
    }
    return "";
  }

  // The `n` sentences from `begin` are whole and follow a sentence and each other; all fit with that one before them.
  bool askable(size_t text, size_t begin, size_t n, int64_t breaks) const {
    const Text& t = texts_[text];
    const int64_t longest = room_ / int64_t(n + 1);
    if (begin == 0 || begin + n > t.sentences.size() || t.tokens[begin - 1] > longest) return false;
    for (size_t i = begin; i < begin + n; ++i) {
      if (!t.sentences[i].complete || t.tokens[i] < kShortestSentence || t.tokens[i] > longest) return false;
      const size_t end = t.sentences[i - 1].end;
      const std::string_view gap = std::string_view(t.text).substr(end, t.sentences[i].begin - end);
      if (gap != " " && (breaks == 0 || std::ranges::count(gap, '\n') > breaks)) return false;
    }
    return true;
  }

  template <class F>
  std::vector<Place> all(const F& wanted) const {
    std::vector<Place> out;
    for (size_t text = 0; text < texts_.size(); ++text) {
      for (size_t i = 0; i < texts_[text].sentences.size(); ++i) {
        if (wanted(text, i)) out.push_back({text, i});
      }
    }
    return out;
  }

  std::unordered_map<std::string_view, int64_t> word_frequencies() const {
    std::unordered_map<std::string_view, int64_t> out;
    for (const Text& t : texts_) {
      const std::string_view text = t.text;
      for (const Word& w : words_of(text)) ++out[bare_word(text.substr(w.begin, w.end - w.begin))];
    }
    return out;
  }

  // Words behind a space that end sentences, and where. `close` becomes what stands between a word and the sentence's
  // end, the same everywhere: "." or, in tokenised text, " ."
  std::map<std::string, std::vector<Place>> last_words(std::string* close) const {
    std::map<std::string, std::map<std::string, std::vector<Place>>> by_close;
    std::map<std::string, size_t> places;
    for (size_t text = 0; text < texts_.size(); ++text) {
      const Text& t = texts_[text];
      for (size_t i = 0; i < t.sentences.size(); ++i) {
        std::string_view s = t.sentence(i);
        if (!s.ends_with('.')) continue;
        s.remove_suffix(1);
        const bool apart = s.ends_with(' ');
        if (apart) s.remove_suffix(1);
        const size_t begin = s.find_last_of(kSpace) + 1;
        const std::string_view word = s.substr(begin);
        if (begin == 0 || letters(word) < 2 || !single_space_before(s, begin)) continue;
        by_close[apart ? " ." : "."][std::string(word)].push_back({text, i, t.sentences[i].begin + begin});
        ++places[apart ? " ." : "."];
      }
    }
    *close = places[" ."] > places["."] ? " ." : ".";
    return by_close[*close];
  }

  // Sentences that `n` can be asked for from, in groups of four that resemble each other: of one document as far as
  // there are, then of several.
  std::vector<Group> groups(size_t n, int64_t breaks, Key key) const {
    std::vector<Place> left = all([&](size_t text, size_t i) { return askable(text, i, n, breaks); });
    std::vector<Group> out;
    Draw draw(key);
    for (bool one_document : {true, false}) {
      const size_t first = out.size();
      left = take_groups(left, one_document, draw, out);
      draw.shuffle(out.data() + first, out.size() - first);
      if (out.size() * kCandidates >= items_) break;
    }
    return out;
  }

  // Appends groups to `out`; those of `places` that are in none.
  std::vector<Place> take_groups(std::vector<Place> places, bool one_document, Draw& draw,
                                 std::vector<Group>& out) const {
    const auto tokens = [&](const Place& p) { return texts_[p.text].tokens[p.sentence]; };
    draw.shuffle(places.data(), places.size());
    std::ranges::stable_sort(places, {},
                             [&](const Place& p) { return std::pair(one_document ? p.text : 0, tokens(p)); });
    // Different, and neither in the other's question.
    const auto apart = [&](const Place& a, const Place& b) {
      const size_t distance = std::max(a.sentence, b.sentence) - std::min(a.sentence, b.sentence);
      return texts_[a.text].sentence(a.sentence) != texts_[b.text].sentence(b.sentence) &&
             (a.text != b.text || distance > kBefore + 1);
    };
    std::vector<bool> used(places.size());
    for (size_t i = 0; i < places.size(); ++i) {
      if (used[i]) continue;
      std::vector<size_t> members = {i};
      const int64_t most = tokens(places[i]) + std::max<int64_t>(1, tokens(places[i]) / kOtherTokens);
      for (size_t j = i + 1; j < places.size() && members.size() < kCandidates; ++j) {
        if ((one_document && places[j].text != places[i].text) || tokens(places[j]) > most) break;
        const bool fits = std::ranges::all_of(members, [&](size_t m) { return apart(places[m], places[j]); });
        if (!used[j] && fits) members.push_back(j);
      }
      if (members.size() < kCandidates) continue;
      Group group;
      for (size_t k = 0; k < kCandidates; ++k) {
        group[k] = places[members[k]];
        used[members[k]] = true;
      }
      out.push_back(group);
    }
    std::vector<Place> left;
    for (size_t i = 0; i < places.size(); ++i) {
      if (!used[i]) left.push_back(places[i]);
    }
    return left;
  }

  const Tokenizer& tokenizer_;
  int64_t room_;  // tokens of a question
  size_t items_;
  std::vector<Text> texts_;
};

}  // namespace

std::vector<ChoiceTask> text_tasks(const Documents& held_out, const Tokenizer& tokenizer, int64_t context,
                                   int64_t items, Key key, std::vector<std::string>* notes) {
  const auto note = [&](std::string text) {
    if (notes) notes->push_back(std::move(text));
  };
  if (!held_out.target_begins.empty()) {
    note("no questions are made from pairs: they are no running text");
    return {};
  }
  const size_t wanted = size_t(std::max<int64_t>(0, items)) / kCandidates * kCandidates;
  const Maker maker(held_out, tokenizer, context - kFrame, wanted);
  std::vector<ChoiceTask> tasks;
  const auto add = [&](ChoiceTask task) {
    const size_t found = task.choices.size();
    if (found < std::min(kLeast, wanted)) {
      note(
          fmt::format("no questions '{}': the held-out text gives {}, too few; hold out more text, or allow longer "
                      "pieces (now {} tokens)",
                      task.name, found, context));
      return;
    }
    if (found < wanted)
      note(fmt::format("{} questions '{}', not {}: all that the held-out text gives", found, task.name, wanted));
    if (found > 0) tasks.push_back(std::move(task));
  };
  // In verse few sentences stand behind a space, in a drama few behind another one of the same speech.
  const auto add_sentences = [&](const auto& make) {
    ChoiceTask task = make(0);
    for (int64_t breaks = 1; breaks <= 2 && task.choices.size() < wanted; ++breaks) {
      if (ChoiceTask more = make(breaks); more.choices.size() > task.choices.size()) task = std::move(more);
    }
    add(std::move(task));
  };
  add(maker.missing_word(key.with(0)));
  add_sentences([&](int64_t breaks) { return maker.sentence(false, breaks, key.with(1)); });
  add_sentences([&](int64_t breaks) { return maker.sentence(true, breaks, key.with(2)); });
  add_sentences([&](int64_t breaks) { return maker.order(breaks, key.with(3)); });
  return tasks;
}

}  // namespace triarch
