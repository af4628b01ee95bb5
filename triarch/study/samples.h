// A contender's own work on a held-out text, the same text for all: what it continues, fills in or repairs.
#pragma once

#include <vector>

#include "triarch/evaluate/suffix.h"
#include "triarch/study/contender.h"

namespace triarch {

struct Sample;            // study/trial.h
struct AttentionPicture;  // study/trial.h

// Deterministic: sampled with a fixed seed at temperature 0.7.
std::vector<Sample> samples_of(const Model& model, const Contender& contender, const Tokenizer& tokenizer,
                               const SuffixSet& texts);

// Every attention on the beginning of the same text.
std::vector<AttentionPicture> attention_of(Model& model, const Tokenizer& tokenizer, const SuffixSet& texts);

}  // namespace triarch
