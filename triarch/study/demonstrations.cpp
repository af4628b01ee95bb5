#include "triarch/study/demonstrations.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "triarch/base/error.h"

namespace triarch {
namespace {

const std::vector<std::vector<std::string>>& topic_words() {
  static const std::vector<std::vector<std::string>> words = {{"red", "blue", "green"},  {"dog", "cat", "horse"},
                                                              {"apple", "pear", "plum"}, {"hammer", "saw", "drill"},
                                                              {"oak", "ash", "birch"},   {"rain", "snow", "wind"}};
  return words;
}

Tokenizer words_and_labels() {
  std::vector<std::string> all = {"A", "B", "C", "D"};
  for (const auto& topic : topic_words()) all.insert(all.end(), topic.begin(), topic.end());
  return Tokenizer::of_words(all, 0);
}

void append(std::vector<int32_t>& to, const Demonstration& d) {
  to.insert(to.end(), d.words.begin(), d.words.end());
  to.push_back(d.label);
}

}  // namespace

DemonstrationWorld::DemonstrationWorld() : tokenizer_(words_and_labels()) {
  int32_t next = tokenizer_.specials().size();
  for (size_t i = 0; i < kLabels; ++i) labels_.push_back(next++);
  for (const auto& words : topic_words()) {
    topics_.emplace_back(words.size());
    for (int32_t& id : topics_.back()) id = next++;
  }
}

DemonstrationTask DemonstrationWorld::task(Key key) const {
  Draw draw(key);
  DemonstrationTask t;
  t.topics.resize(topics_.size());
  std::iota(t.topics.begin(), t.topics.end(), 0);
  draw.shuffle(t.topics.data(), t.topics.size());
  t.topics.resize(kLabels);
  t.labels = labels_;  // the topics are in a random order
  return t;
}

Demonstration DemonstrationWorld::draw(const DemonstrationTask& task, size_t topic, Draw& draw) const {
  Demonstration d{topics_[task.topics[topic]], task.labels[topic], topic};
  draw.shuffle(d.words.data(), d.words.size());
  d.words.resize(kWords);
  return d;
}

std::vector<Demonstration> DemonstrationWorld::balanced(const DemonstrationTask& task, size_t count, Draw& draw) const {
  std::vector<Demonstration> out;
  for (size_t i = 0; i < count; ++i) {
    const bool even = i < count / kLabels * kLabels;
    out.push_back(this->draw(task, even ? i % kLabels : size_t(draw.below(kLabels)), draw));
  }
  draw.shuffle(out.data(), out.size());
  return out;
}

Example DemonstrationWorld::question(std::span<const Demonstration> demonstrations, const Demonstration& query) const {
  Example e;
  for (const Demonstration& d : demonstrations) append(e.source, d);
  append(e.target, query);
  return e;
}

Example DemonstrationWorld::document(std::span<const Demonstration> examples, size_t known) const {
  require(known < examples.size(), "demonstrations: expected fewer than {} known examples, found {}", examples.size(),
          known);
  Example e = question(examples.first(known), examples[known]);
  for (const Demonstration& d : examples.subspan(known + 1)) append(e.target, d);
  return e;
}

}  // namespace triarch
