#include "triarch/study/curriculum.h"

#include <algorithm>

#include "triarch/base/error.h"

namespace triarch {

Curriculum::Curriculum(std::vector<Stage> stages, int64_t piece, int64_t step_tokens, uint64_t seed)
    : stages_(std::move(stages)), seed_(seed) {
  require(step_tokens > 0 && piece >= 0, "compare: expected steps and pieces of some tokens, found {} and {}",
          step_tokens, piece);
  for (size_t s = 0; s < stages_.size(); ++s) show(int32_t(s), piece, step_tokens);
  require(steps() > 0, "compare: expected tokens to show, found none; allow a larger budget");
}

void Curriculum::show(int32_t stage, int64_t most, int64_t step_tokens) {
  const Stage& from = stages_[size_t(stage)];
  const TokenizedCorpus& texts = *from.texts;
  const auto length = [&](const Piece& p) {
    int64_t n = p.end - p.begin;
    if (!texts.target_begins.empty()) {
      n += texts.target_begins[size_t(p.document + 1)] - texts.target_begins[size_t(p.document)];
    }
    return n;
  };
  // Documents without a token of their own, as pairs with an empty input, have no pieces.
  require(from.tokens <= 0 || !texts.ids.empty(), "compare: expected texts to learn from, found none");
  int64_t in_stage = 0, in_step = 0;
  for (int64_t epoch = 0; in_stage < from.tokens; ++epoch) {
    const Key order = Key(seed_, Purpose::data_order).with(uint64_t(stage)).with(uint64_t(epoch));
    std::vector<Piece> pieces;
    for (int64_t d = 0; d < texts.documents(); ++d) {
      const int64_t n = texts.begins[size_t(d + 1)] - texts.begins[size_t(d)];
      const int64_t longest = most > 0 ? most : n;
      // The first piece of a long document is shorter by chance, so that every epoch cuts elsewhere.
      int64_t end = std::min(n, longest);
      if (n > longest) end = 1 + int64_t(order.with(1).below(uint64_t(d), uint64_t(longest)));
      for (int64_t begin = 0; begin < n; begin = end, end = std::min(n, begin + longest)) {
        pieces.push_back({epoch, d, begin, end});
      }
    }
    Draw(order.with(0)).shuffle(pieces.data(), pieces.size());
    for (const Piece& p : pieces) {
      if (in_stage >= from.tokens) break;
      const int64_t n = length(p);
      if (in_step > 0 && in_step + n > step_tokens) {
        begins_.push_back(shown_.size());
        in_step = 0;
      }
      shown_.push_back({stage, p});
      in_step += n;
      in_stage += n;
      tokens_ += n;
    }
  }
  if (in_step > 0) begins_.push_back(shown_.size());
}

Passage Curriculum::passage(const Shown& shown) const {
  const Piece& p = shown.piece;
  return stages_[size_t(shown.stage)].texts->view().passage(p.document, p.begin, p.end);
}

Key Curriculum::key(const Shown& shown) const {
  return Key(seed_, Purpose::corruption)
      .with(uint64_t(shown.stage))
      .with(uint64_t(shown.piece.epoch))
      .with(uint64_t(shown.piece.document))
      .with(uint64_t(shown.piece.begin));
}

}  // namespace triarch
