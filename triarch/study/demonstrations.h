// A world of few-shot classification in which nothing but the demonstrations decides.
//
// Words belong to topics, always the same ones. A task gives each of its topics a label, at random: "oak birch" may
// be A in one task and C in the next. What has no demonstrations is guessed at one in the number of labels; what has
// them must find the topic of the query, a demonstration of that topic, and its label.
#pragma once

#include <cstdint>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/data/example.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

struct Demonstration {
  std::vector<int32_t> words;  // [DemonstrationWorld::kWords] token ids
  int32_t label = 0;           // token id
  size_t topic = 0;            // which of its task's
};

struct DemonstrationTask {
  std::vector<size_t> topics;   // [kLabels] of the world's
  std::vector<int32_t> labels;  // [kLabels] token ids, of each topic
};

class DemonstrationWorld {
 public:
  static constexpr size_t kLabels = 4, kWords = 2;

  DemonstrationWorld();
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::vector<int32_t>& labels() const { return labels_; }
  bool is_label(int32_t id) const { return id >= labels_.front() && id <= labels_.back(); }

  DemonstrationTask task(Key key) const;
  // Different words of the topic.
  Demonstration draw(const DemonstrationTask& task, size_t topic, Draw& draw) const;
  // Equally many of each topic, in a random order; of a number that is no multiple of the topics, random ones besides.
  std::vector<Demonstration> balanced(const DemonstrationTask& task, size_t count, Draw& draw) const;

  // Demonstrations are seen as a whole (an encoder's rows, a decoder's prefix); what follows is predicted, labels and
  // words, of which nothing is to be learnt from words.
  //
  // The query behind the demonstrations; the last target is its label. Without demonstrations: zero-shot.
  Example question(std::span<const Demonstration> demonstrations, const Demonstration& query) const;
  // A document to learn from: the first `known` examples are demonstrations, the others follow.
  Example document(std::span<const Demonstration> examples, size_t known) const;

 private:
  Tokenizer tokenizer_;
  std::vector<std::vector<int32_t>> topics_;  // words of each
  std::vector<int32_t> labels_;               // ids that follow one another
};

}  // namespace triarch
