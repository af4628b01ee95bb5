// Missing pieces of a text: a token for every <mask> (encoders), or a span for every <extra_id_N> (models trained on
// span corruption).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "triarch/inference/generate.h"

namespace triarch {

struct FillOptions {
  int64_t top_k = 5;
  int64_t rows = 2048;  // of a pass
};

// One candidate for one mask; the names are those of Hugging Face's fill-mask.
struct Filled {
  int32_t token = 0;
  std::string token_str;
  double score = 0;      // its probability
  std::string sequence;  // the text with it, other masks written as <mask>
};

struct FillResult {
  std::vector<std::vector<Filled>> masks;  // [masks][top_k], most likely first
  std::string text;                        // with the best token for every mask
};

// One result per text. Specials in the text are parsed. Usage error for other families (it says what they can do) and
// for a text without a mask.
std::vector<FillResult> fill_masks(const Model& model, const Tokenizer& tokenizer, std::span<const std::string> texts,
                                   const FillOptions& options = {});

// Makes the answer to a request `spans` spans in the manner of span corruption: sentinels come in their order, the
// answer ends where all have come, and a sentinel more is an end, too. Unless `empty`, the answer has a token. (A span
// begins behind its sentinel: <extra_id_0> is the request's `start`.)
void answer_in_spans(Request& request, const Specials& specials, int32_t spans, bool empty);

struct InfillOptions {
  GenerateOptions generate;  // n is 1; greedy is temperature 0
  int32_t mode = -1;         // >= 0: a special that the source begins with (UL2: Specials::mode_regular ...)
};

struct InfillResult {
  std::vector<std::string> spans;  // for each hole
  std::string text;                // with them
  double log_probability = 0;      // of all that was generated, nats
  bool complete = false;           // every span has ended; else max_tokens were too few
};

// One result per text. A hole is <extra_id_0>, <extra_id_1> ... or <mask>; they are numbered from left to right. For
// generating families that were trained on span corruption. Usage error for an encoder, and for a text without a hole
// or with more than there are sentinels.
std::vector<InfillResult> infill(Session& session, const Tokenizer& tokenizer, std::span<const std::string> texts,
                                 const InfillOptions& options = {});

}  // namespace triarch
