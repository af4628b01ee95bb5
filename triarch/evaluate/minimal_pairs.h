// Minimal pairs: of two sentences that differ in one thing a model should find the grammatical one likelier (BLiMP,
// Warstadt et al. 2020; Zorro, Huebner et al. 2021). Whole sentences are scored, behind nothing:
//
//   causal, prefix, permutation   the sentence behind bos
//   encoder-decoder               the sentence as the target, its source empty but for what the format asks for: a
//                                 sentinel (span), a mask (reconstruct), the mode (sequential)
//   encoder                       pseudo-log-likelihood, one token masked at a time (Salazar et al. 2020), since the
//                                 sentences of a pair may differ in length
//
// An encoder-decoder that learnt to predict short spans of a long source only is thus asked for what it never saw.
#pragma once

#include <filesystem>
#include <vector>

#include "triarch/evaluate/choice.h"

namespace triarch {

// One task for each file of a folder, by name: a paradigm. At most `most` pairs of each, drawn by the key. The
// grammatical sentence is the first candidate or the second, also by the key. Compressed or not, a file is one of
//
//   .jsonl   {"sentence_good": ..., "sentence_bad": ...}: BLiMP
//   .tsv     columns sentence_good and sentence_bad, named in the first line: the same, more compact
//   .txt     an ungrammatical line, then its grammatical one: Zorro
//
// Left out: pairs of twice the same sentence. Passed over: other endings, names that begin with "_" or ".", and SOURCE,
// README, LICENSE. Errors (usage) name the file and the line; a folder without pairs is one.
std::vector<ChoiceTask> minimal_pairs(const std::filesystem::path& folder, int64_t most, Key key);

}  // namespace triarch
