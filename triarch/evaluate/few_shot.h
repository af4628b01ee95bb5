// Few-shot questions (Brown et al. 2020): before each question stand some of its kind, each with its answer.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "triarch/base/random.h"
#include "triarch/evaluate/choice.h"

namespace triarch {

// The task with demonstrations drawn from `pool` before each of its questions, and `between` behind each of them: at
// most `shots`, and as many as all questions have room for in `context` rows (subset.h). They stand before the question
// without its context too, so that what they say about the answers' frequencies counts as prior. Nothing if not even
// one fits, or the pool has too few other questions.
std::optional<ChoiceTask> few_shot(const ChoiceTask& task, std::span<const Choice> pool, int64_t shots,
                                   const std::string& between, const Tokenizer& tokenizer, int64_t context, Key key);

}  // namespace triarch
