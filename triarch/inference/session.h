// Generation with a cache, for every family that generates: what has been read is not read again.
//
//   family           rows of a slot                    a token more costs
//   causal           bos source start                  one row
//   prefix           the same; bos source in one pass, seen both ways
//   encoder_decoder  bos start, with the keys of the encoder's source eos, encoded once
//   permutation      as prefix, and one query row (the mask's id at the next position), which predicts
//
// The rows are those of training (data/packing.h). A slot holds one sequence. Slots are independent: any of them may
// go on, begin or end at any time (continuous batching), and what a slot answers depends on its own sequence only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "triarch/model/model.h"

namespace triarch {

struct Specials;  // text/tokenizer.h

struct SessionOptions {
  int64_t slots = 1;        // sequences at a time
  int64_t rows = 0;         // of a sequence in the decoder, bos included; 0: the model's max_positions
  int64_t memory_rows = 0;  // of an encoder-decoder's input, eos included; 0: as rows
};

// Rows of a sequence that a model was made for.
int64_t session_rows(const ModelSpec& spec);

// Logits of some rows, in double whatever the model's precision.
struct Logits {
  int64_t rows = 0, vocabulary = 0;
  std::unique_ptr<double[]> values;  // [rows, vocabulary]
  std::vector<double> log_sums;      // [rows], log(sum(exp(logits))) to the model's precision

  explicit Logits(const Tensor& logits);
  std::span<const double> row(int64_t i) const {
    return {values.get() + i * vocabulary, static_cast<size_t>(vocabulary)};
  }
  // The logarithm of the probability of token `id` after row i, nats.
  double log_probability(int64_t i, int32_t id) const { return row(i)[size_t(id)] - log_sums[size_t(i)]; }
};

// Token ids without bos and eos.
struct Prompt {
  std::span<const int32_t> source;  // an encoder's text; a decoder's prefix
  std::span<const int32_t> start;   // how the answer begins
  // Turn-blocked prefixes: [begin, end) of source that are seen both ways inside; none: the source is one.
  std::span<const std::pair<int32_t, int32_t>> turns = {};
  std::span<const float> features = {};  // of the feature vectors in source (kFeatureRow), one after the other
};

class Session {
 public:
  // Keeps a reference to the model. Usage error for an encoder alone, and for more rows than a table of positions has.
  Session(const Model& model, const Specials& specials, const SessionOptions& options = {});

  const Model& model() const { return model_; }
  int64_t slots() const { return int64_t(slots_.size()); }
  int64_t rows() const { return cache_.slot_rows(); }
  // Tokens that a sequence may still get; how many it has (source, start and what came since).
  int64_t room(int32_t slot) const;
  int64_t tokens(int32_t slot) const;

  // A prompt into a slot, whatever it held. What the slot still has of it is not computed again.
  struct Begin {
    int32_t slot = 0;
    Prompt prompt;
  };
  // The next token of a sequence.
  struct Next {
    int32_t slot = 0;
    int32_t id = 0;
  };
  // All in one packed pass; each slot at most once. One row of logits per element, first those of `begins`: for the
  // token that follows. Usage error if a prompt does not fit, error if a sequence is full; then nothing has changed.
  Logits advance(std::span<const Begin> begins, std::span<const Next> nexts);
  Logits prefill(int32_t slot, const Prompt& prompt);
  Logits prefill(int32_t slot, std::span<const int32_t> source, std::span<const int32_t> start = {}) {
    return prefill(slot, Prompt{source, start});
  }
  Logits step(std::span<const Next> nexts) { return advance({}, nexts); }

  // `to` becomes the sequence of `from`. The input of an encoder-decoder is shared, not copied.
  void copy(int32_t from, int32_t to);
  // The slot has no sequence any more: a prompt there is read from its beginning. (An encoder's keys stay known until
  // their place is needed.)
  void forget(int32_t slot) { release(at(slot)); }
  // Forgets everything: to be called when the model's weights have changed.
  void clear();
  // Content rows that a prompt would find in a slot.
  int64_t reusable(int32_t slot, const Prompt& prompt) const;
  // Error if a prompt does not fit.
  void check(const Prompt& prompt) const;

  size_t bytes() const { return cache_.bytes(); }
  size_t bytes_per_token() const { return cache_.bytes_per_token(); }
  double flops() const { return flops_; }              // so far
  int64_t rows_computed() const { return computed_; }  // so far, encoder and decoder

 private:
  // A sequence: content row i has the id ids[i] and saw the rows [0, sees[i]).
  struct Sequence {
    std::vector<int32_t> ids, sees;
    std::vector<float> features;
    int32_t prefix = 0;
    int32_t memory = -1;  // place of the encoder's keys
  };
  struct Memory {
    std::vector<int32_t> source;
    std::vector<float> features;
    bool filled = false;
    int users = 0;

    bool holds(const Prompt& p) const {
      return filled && std::ranges::equal(source, p.source) && std::ranges::equal(features, p.features);
    }
  };
  // Rows to compute: those of a slot from `past` on.
  struct Work {
    int32_t slot = 0;
    int32_t past = 0;
  };

  Sequence sequence_of(const Prompt& prompt) const;
  int64_t common(const Sequence& old, const Sequence& fresh) const;
  void encode(std::span<const Begin> begins);
  void release(Sequence& sequence);
  Logits compute(std::span<const Work> work);
  Sequence& at(int32_t slot);
  const Sequence& at(int32_t slot) const;

  const Model& model_;
  int32_t bos_, eos_, mask_;
  bool queries_, memory_used_;
  Cache cache_;
  Arena arena_;
  std::vector<Sequence> slots_;
  std::vector<Memory> memories_;
  double flops_ = 0;
  int64_t computed_ = 0;
};

}  // namespace triarch
