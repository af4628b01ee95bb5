// Inside the room: the data of a comparison.
#pragma once

#include "triarch/study/compare.h"

namespace triarch {

// From the configuration's inputs, or the built-in world. Fills what the configuration leaves open and the data
// decides: contenders, preset, context, step_tokens. `known`: the tokenizer of a comparison that is resumed.
CompareData read_compare_data(CompareConfig& config, const Tokenizer* known);
// Leaves no more questions of a kind than config.asked_items.
void ask_fewer(const CompareConfig& config, CompareData& data);
// How much is learnt from in each stage and by each head, once the number of tokens is known.
void fill_lengths(const CompareConfig& config, CompareData& data);
// The same, and texts to learn from, which in the world are made for it.
void fill_stages(const CompareConfig& config, CompareData& data);

}  // namespace triarch
