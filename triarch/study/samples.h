// A contender's own work on a held-out text, the same text for all: what it continues, fills in or repairs.
#pragma once

#include <vector>

#include "triarch/evaluate/suffix.h"
#include "triarch/study/contender.h"

namespace triarch {

struct Sample;            // study/trial.h
struct AttentionPicture;  // study/attention_picture.h

// Deterministic: sampled with a fixed seed at temperature 0.7.
std::vector<Sample> samples_of(const Model& model, const Contender& contender, const Tokenizer& tokenizer,
                               const SuffixSet& texts);

// Every attention on the middle of the same text: the end of what is given and the beginning of what goes on.
std::vector<AttentionPicture> attention_of(Model& model, const Tokenizer& tokenizer, const SuffixSet& texts);

}  // namespace triarch
