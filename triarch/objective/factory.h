// What the files of this room share. To add an objective: its file, its line here and in objective.cpp's tables.
#pragma once

#include <memory>
#include <vector>

#include "triarch/data/vocabulary.h"
#include "triarch/objective/objective.h"

namespace triarch {

using SharedVocabulary = std::shared_ptr<const Vocabulary>;

std::unique_ptr<Objective> make_next_token(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_prefix_lm(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_masked_lm(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_span_corruption(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_bart(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_ul2(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_permutation_lm(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_masked_next_token(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_seq2seq(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_masked_target(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_classification(const ObjectiveSpec&, SharedVocabulary);
std::unique_ptr<Objective> make_tagging(const ObjectiveSpec&, SharedVocabulary);

// BERT's corruption (masked_lm.cpp): chooses max(1, round(mlm_probability n)) of the tokens [first, ids.size()),
// n in number, and replaces them. Returns labels: the old token where chosen, else -1.
std::vector<int32_t> mask_tokens(const ObjectiveSpec& spec, const Vocabulary& vocabulary, size_t first, Draw& draw,
                                 std::vector<int32_t>& ids);

// T5's _random_segmentation (spans.cpp): `items` as a sum of `segments` positive parts, all such sums equally likely.
// Needs items >= segments >= 1.
std::vector<int64_t> random_segmentation(int64_t items, int64_t segments, Draw& draw);

}  // namespace triarch
