// Attention rank (Su 2023, kexue.fm 9529): is causal attention "full rank", and attention to both sides not?
//
// A causal map is a lower triangle with a positive diagonal, so its determinant is not 0: full rank, exactly. How much
// it keeps is another question, which the singular values answer. Both are measured on constructed logits, by their
// scale and by length, and on models' maps over a text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "triarch/model/model.h"
#include "triarch/study/study_report.h"

namespace triarch {

// A model whose attention is looked at, with the texts it is shown.
struct StudiedModel {
  std::string title;
  Model* model = nullptr;
  const Tokenizer* tokenizer = nullptr;
  std::vector<std::vector<int32_t>> texts;  // token ids
};

struct RankOptions {
  std::vector<int64_t> lengths = {32, 64, 128, 256};
  std::vector<double> scales = {0.05, 0.25, 0.5, 1, 2, 3};  // standard deviations of the logits
  int64_t head_dim = 32;
  int64_t draws = 4;                                               // of each constructed matrix
  std::vector<double> sharpness = {0.125, 0.25, 0.5, 1, 2, 4, 8};  // what models' scores are multiplied by
};

// The models may be none. Nothing if a signal stopped it.
std::optional<StudyReport> rank_study(std::span<const StudiedModel> models, const RankOptions& options = {});

// About what the constructed maps will take, from one of the longest.
double rank_seconds(const RankOptions& options);

// Maps of every attention of the models over the first text of each, and where it goes over all of them (study
// attention).
StudyReport attention_study(std::span<const StudiedModel> models, bool each_head);

// A text as an example that shows all of a model's attention: an encoder's source, a decoder's target, half and half
// where there is both.
Example looked_at(const ModelSpec& spec, std::span<const int32_t> ids);

}  // namespace triarch
