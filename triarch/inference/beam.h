// Beam search, with the defaults and the bookkeeping of Hugging Face's generate().
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "triarch/inference/session.h"

namespace triarch {

enum class EarlyStopping : uint8_t {
  no,     // until the best that still runs, at its present length, is below the worst that has ended
  yes,    // as soon as `beams` have ended
  never,  // until no continuation can be better (length_penalty > 0), or max_tokens
};

template <class E>
struct EnumNames;  // base/fields.h
template <>
struct EnumNames<EarlyStopping> {
  static constexpr std::pair<EarlyStopping, const char*> table[] = {
      {EarlyStopping::no, "no"}, {EarlyStopping::yes, "yes"}, {EarlyStopping::never, "never"}};
};

struct BeamOptions {
  int64_t beams = 4;
  int64_t n = 1;  // the best n, at most `beams`
  int64_t max_tokens = 128;
  double length_penalty = 1;  // score = log p / tokens^length_penalty, eos counted
  EarlyStopping early_stopping = EarlyStopping::no;
  bool ignore_eos = false;  // go on until max_tokens
  int64_t vocabulary = 0;   // > 0: only ids below it (a model may have more than its tokenizer: tables rounded up)

  // All optional, and called from any thread, for several answers at once. `adjust` may change the logits of the next
  // token, given the answer so far, before specials are left out (which a Request's sees without them); what an answer
  // counts is the changed logits. `stops`: the answer ends with its last token, as it would with eos.
  std::function<void(std::span<double> logits, std::span<const int32_t> answer)> adjust = {};
  std::function<bool(std::span<const int32_t> answer)> stops = {};

  // Throws a usage error that says what is out of its range.
  void check() const;

  // Of the search itself: flags of `triarch generate`, which has its own for the rest.
  template <class V>
  void fields(V& v) {
    v("beams", beams, "beam search with this many partial answers, instead of sampling");
    v("length_penalty", length_penalty, "beams are ranked by log p / tokens^this");
    v("early_stopping", early_stopping,
      "when a search is over: no, yes (as soon as enough beams have ended) or never (when none can be better)");
  }
};

struct Beam {
  std::vector<int32_t> ids;    // without eos
  double log_probability = 0;  // of ids, and of eos if it ended
  double score = 0;
  bool ended = false;    // by eos
  bool stopped = false;  // by BeamOptions::stops
};

// [prompts][n], best first. The session needs `beams` slots; with more, several prompts go on together. An answer does
// not depend on the other prompts (but for rounding). `done` is called with each prompt's answers as soon as they are
// found, in whatever order.
std::vector<std::vector<Beam>> beam_search(
    Session& session, const Specials& specials, std::span<const Prompt> prompts, const BeamOptions& options = {},
    const std::function<void(size_t prompt, const std::vector<Beam>& beams)>& done = {});

}  // namespace triarch
