// Parts of tasks: the questions that a model's rows can hold, and not more than there is time for.
#pragma once

#include <string>
#include <vector>

#include "triarch/evaluate/choice.h"

namespace triarch {

// Rows that are neither prompt nor answer, at most, in any family and format: cls and eos; bos and a mode.
inline constexpr int64_t kFrame = 2;

// Leaves out questions of more than `context` rows in any family, so that all models are asked the same, and tasks of
// which nothing stays. `notes`, if given, is told of it.
std::vector<ChoiceTask> that_fit(std::vector<ChoiceTask> tasks, const Tokenizer& tokenizer, int64_t context,
                                 std::vector<std::string>* notes = nullptr);

// At most `most` questions of each task, drawn by the key, in their order.
std::vector<ChoiceTask> at_most(std::vector<ChoiceTask> tasks, int64_t most, Key key);

}  // namespace triarch
