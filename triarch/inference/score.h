// How likely a model finds given tokens: one packed pass for many items, in every family.
//
//   family            what is summed
//   causal            log p(token | bos context, what is before it)
//   prefix            the same; the context is the prefix, seen both ways
//   encoder_decoder   the same; the context is the encoder's
//   permutation       the same, by query rows in the natural order
//   encoder           pseudo-log-likelihood: each token masked in turn (Salazar et al. 2020), a seventh of them in
//                     turn, or all masked at once
//
// Of a pass, what items have in common is read once: in a causal decoder as far as they begin alike, in the others an
// equal context and how the continuations begin (data/packing.h, Reuse). An encoder shares nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "triarch/inference/sampling.h"
#include "triarch/model/model.h"

namespace triarch {

class Tokenizer;  // text/tokenizer.h

// Token ids without bos; eos is scored where the continuation has it.
struct ScoreItem {
  std::vector<int32_t> context;
  std::vector<int32_t> continuation;
  // Between the two, on the side that predicts, and not scored: an encoder-decoder trained on span corruption
  // continues a context that ends in a sentinel with that sentinel.
  std::vector<int32_t> start = {};
};

enum class EncoderScore : uint8_t {
  one_by_one,  // a pass of rows per token
  together,    // one pass; tokens do not see each other
  spread,      // at most seven passes: every seventh token, about as many as masks hide in training
};

// Passes of rows that so many tokens take.
int64_t encoder_passes(EncoderScore how, int64_t tokens);

struct ScoreOptions {
  int64_t rows = 2048;  // of a pass
  int64_t context = 0;  // most rows of a sequence; 0: the model's max_positions
  int64_t top = 0;      // > 0: the most likely tokens of every place, too
  EncoderScore encoder = EncoderScore::one_by_one;
};

struct Score {
  double log_probability = 0;               // of the continuation, nats
  std::vector<double> log_probabilities;    // of each of its tokens
  std::vector<int32_t> best;                // the most likely token at each place
  std::vector<std::vector<Candidate>> top;  // [tokens][options.top], probabilities
  int64_t bytes = 0;                        // of text that the continuation stands for
  int64_t dropped = 0;                      // tokens cut from the beginning of a context that was too long

  int64_t tokens() const { return int64_t(log_probabilities.size()); }
};

// One score per item. A context too long for the model loses its beginning; usage error if the rest is too long, too.
std::vector<Score> score(const Model& model, const Tokenizer& tokenizer, std::span<const ScoreItem> items,
                         const ScoreOptions& options = {});

// A long text as items that together score every token of it once: at most `length` tokens each, of which at least
// `overlap` (but for the first) are context.
std::vector<ScoreItem> windows(std::span<const int32_t> ids, int64_t length, int64_t overlap);

}  // namespace triarch
