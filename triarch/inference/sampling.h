// From logits to the next token.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "triarch/base/random.h"

namespace triarch {

struct Specials;  // text/tokenizer.h

// Applied in the order of Hugging Face: repetition penalty, temperature, top-k, top-p, min-p.
struct SamplingOptions {
  double temperature = 1;  // 0: always the most likely token
  int64_t top_k = 0;       // > 0: among the k most likely
  double top_p = 1;        // < 1: among the fewest that together have this probability (Holtzman et al. 2020)
  double min_p = 0;        // > 0: among those with this share of the largest probability (Nguyen et al. 2024)
  double repetition_penalty =
      1;  // > 1: logits of tokens seen are divided (positive) or multiplied (Keskar et al. 2019)
  uint64_t seed = 1;

  // Usage error naming what is out of its range.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("temperature", temperature, "0: always the most likely token; above 1: more varied");
    v("top_k", top_k, "sample among the k most likely tokens; 0: all");
    v("top_p", top_p, "sample among the fewest tokens that together have this probability; 1: all");
    v("min_p", min_p, "sample among tokens with at least this share of the largest probability; 0: all");
    v("repetition_penalty", repetition_penalty, "above 1: tokens seen before become less likely");
    v("seed", seed, "the same seed gives the same text");
  }
};

struct Candidate {
  int32_t id = 0;
  double probability = 0;
};

// log(sum(exp(logits))), and log softmax.
double logsumexp(std::span<const double> logits);
std::vector<double> log_softmax(std::span<const double> logits);
// The first id with the largest logit.
int32_t argmax(std::span<const double> logits);
// The `count` ids with the largest logits, best first, of equals the first; without those of `never` and those of a
// logit of -infinity or NaN.
std::vector<int32_t> likeliest(std::span<const double> logits, int64_t count, std::span<const int32_t> never = {});

// The distribution that the next token is drawn from: what is left after all filters, summing to 1. Sorted, most likely
// first, where a filter needs that, else by id: sorting a vocabulary takes longer than a step of a small model. A logit
// of -infinity is never drawn. `seen`: the tokens of the sequence so far. Temperature 0 leaves one candidate. Error if
// a logit is NaN or nothing is left.
std::vector<Candidate> candidates(std::span<const double> logits, const SamplingOptions& options,
                                  std::span<const int32_t> seen);
// One of them, by a number in [0, 1).
int32_t choose(std::span<const Candidate> from, double uniform);

// A draw from that distribution.
int32_t sample(std::span<const double> logits, const SamplingOptions& options, std::span<const int32_t> seen,
               double uniform);
// The `count` most likely tokens under softmax alone, with their probabilities among all. log_sum: logsumexp(logits).
std::vector<Candidate> most_likely(std::span<const double> logits, double log_sum, int64_t count);

// The stream of random numbers of a sequence; token t of it takes number t. It does not depend on what else is in a
// batch.
inline Key sampling_key(uint64_t seed, uint64_t sequence) { return Key(seed, Purpose::sampling).with(sequence); }

// Specials that never belong to a generated text: all but eos, and the sentinels if they are wanted.
std::vector<int32_t> suppressed(const Specials& specials, bool sentinels_wanted);
void suppress(std::span<double> logits, std::span<const int32_t> ids);

}  // namespace triarch
