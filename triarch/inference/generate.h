// From prompts to texts: sampling with stop strings and streaming, any number of requests at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "triarch/inference/sampling.h"
#include "triarch/inference/session.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 128;
  int64_t n = 1;                  // answers per prompt, each with random numbers of its own
  std::vector<std::string> stop;  // the text ends before the first of these
  bool ignore_eos = false;
  int64_t top = 0;         // > 0: the most likely tokens at every place, too
  bool sentinels = false;  // <extra_id_0> ... may be generated

  // Throws a usage error that says what is out of its range.
  void check() const;
};

enum class Finish : uint8_t { eos, stop, length, cancelled };
// "stop" for eos and stop strings, "length", "cancelled": the names of the HTTP interfaces.
const char* finish_name(Finish finish);

struct Generation {
  std::vector<int32_t> ids;                 // without eos
  std::string text;                         // valid UTF-8 (bytes that are none: U+FFFD), cut before a stop string
  double log_probability = 0;               // of ids and eos under the model itself (temperature 1, no filter), nats
  std::vector<double> log_probabilities;    // of each of ids
  std::vector<std::vector<Candidate>> top;  // [ids][options.top], with the model's own probabilities
  Finish finish = Finish::length;
};

struct Request {
  // Without bos and eos. A causal decoder reads source and start as one text; the others see the source as a whole,
  // and `start` is how the answer begins (it is not part of the answer).
  std::vector<int32_t> source, start;
  std::vector<float> features;  // of the feature vectors in source (kFeatureRow), one after the other
  GenerateOptions options;

  // All optional. Text as it comes, whole characters only; false ends this answer.
  std::function<bool(int64_t choice, std::string_view text)> on_text;
  std::function<void(int64_t choice, Generation generation)> on_done;
  // May change the logits of the next token, given the answer so far. Called from any thread, for several answers at
  // once.
  std::function<void(std::span<double> logits, std::span<const int32_t> answer)> adjust;

  Prompt prompt() const { return {source, start, {}, features}; }
};

// Keeps a session busy: requests come at any time, each pass begins what has a free slot and takes every running
// answer one token further. An answer does not depend on what else runs (but for rounding).
class Generator {
 public:
  // Keeps references to the session, which is used by nothing else meanwhile.
  Generator(Session& session, const Tokenizer& tokenizer);

  // Usage error if the options or the prompt are wrong; then nothing has begun.
  void submit(Request request);
  // One pass. False if nothing is left to do.
  bool step();
  size_t waiting() const { return waiting_.size(); }
  size_t running() const { return running_.size(); }

 private:
  struct Answer {
    std::shared_ptr<const Request> request;
    int64_t choice = 0;
    int32_t slot = -1;
    int32_t next = -1;  // chosen, and not yet in the session
    Decoder decoder;
    std::string held;  // text that may be the beginning of a stop string
    std::vector<int32_t> seen;
    Generation out;
    bool done = false;
  };
  // The next token of an answer.
  struct Choice {
    int32_t id = 0;
    double log_probability = 0;
    std::vector<Candidate> top;
    std::exception_ptr error;
  };
  Choice choose(const Answer& a, const Logits& logits, int64_t row) const;
  void take(Answer& a, Choice choice);
  void say(Answer& a, std::string text, bool last);
  void finish(Answer& a, Finish why);
  int32_t best_slot(const Request& request, const std::vector<bool>& taken) const;

  Session& session_;
  const Tokenizer& tokenizer_;
  std::vector<bool> busy_;
  std::deque<Answer> waiting_;
  std::vector<Answer> running_;
};

// Room for these requests, at most `slots` at a time, and no more: a cache of the model's whole context may not fit.
SessionOptions room_for(const ModelSpec& spec, std::span<const Request> requests, int64_t slots = 32);

// [requests][n]. What is in the requests' options holds for each.
std::vector<std::vector<Generation>> generate(Session& session, const Tokenizer& tokenizer,
                                              std::vector<Request> requests);
// One text that goes on: the prompt is the source.
Generation generate(Session& session, const Tokenizer& tokenizer, std::string_view prompt,
                    const GenerateOptions& options = {}, std::function<bool(std::string_view text)> on_text = {});

}  // namespace triarch
