#include "triarch/evaluate/suffix.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

constexpr int64_t kShortestPiece = 8;  // tokens of a piece: shorter halves say little

}  // namespace

SuffixFormat suffix_format(Family family, const std::vector<ObjectiveSpec>& objectives) {
  if (family == Family::encoder) return SuffixFormat::none;
  const auto learns = [&](ObjectiveKind kind) {
    return std::ranges::any_of(objectives, [&](const ObjectiveSpec& o) { return o.kind == kind; });
  };
  for (ObjectiveKind kind :
       {ObjectiveKind::next_token, ObjectiveKind::prefix_lm, ObjectiveKind::permutation_lm, ObjectiveKind::seq2seq}) {
    if (learns(kind)) return SuffixFormat::continuation;
  }
  if (learns(ObjectiveKind::ul2)) return SuffixFormat::sequential;
  if (learns(ObjectiveKind::span_corruption)) return SuffixFormat::span;
  if (learns(ObjectiveKind::bart)) return SuffixFormat::reconstruct;
  return SuffixFormat::none;
}

SuffixSet suffix_set(const Documents& documents, int64_t piece, int64_t most, const Tokenizer& tokenizer) {
  struct Place {
    int64_t document, begin, end;
  };
  std::vector<Place> places;
  for (int64_t d = 0; d < documents.size(); ++d) {
    const int64_t n = documents.begins[size_t(d + 1)] - documents.begins[size_t(d)];
    const bool pair =
        !documents.target_begins.empty() && documents.target_begins[size_t(d + 1)] > documents.target_begins[size_t(d)];
    if (pair) {
      places.push_back({d, 0, n});
      continue;
    }
    const int64_t step = piece > 0 ? piece : n;
    for (int64_t begin = 0; begin < n; begin += step) {
      const int64_t end = std::min(n, begin + step);
      if (end - begin >= kShortestPiece) places.push_back({d, begin, end});
    }
  }
  require(!places.empty(), "suffix loss: expected held-out texts of at least {} tokens, found none; hold out more",
          kShortestPiece);
  SuffixSet set;
  const size_t all = places.size(), count = std::min(all, size_t(std::max<int64_t>(1, most)));
  for (size_t i = 0; i < count; ++i) {
    const Place& p = places[i * all / count];
    const Passage passage = documents.passage(p.document, p.begin, p.end);
    ScoreItem item;
    if (passage.target.empty()) {
      const size_t half = (passage.ids.size() + 1) / 2;
      item.context.assign(passage.ids.begin(), passage.ids.begin() + ptrdiff_t(half));
      item.continuation.assign(passage.ids.begin() + ptrdiff_t(half), passage.ids.end());
    } else {
      item.context.assign(passage.ids.begin(), passage.ids.end());
      item.continuation.assign(passage.target.begin(), passage.target.end());
    }
    double bytes = 0;
    for (int32_t id : item.continuation) bytes += tokenizer.bytes_of(id);
    set.tokens.push_back(double(item.continuation.size()));
    set.bytes.push_back(bytes);
    set.items.push_back(std::move(item));
  }
  return set;
}

ScoreItem asked(SuffixFormat format, const ScoreItem& item, const Specials& specials) {
  ScoreItem out = item;
  switch (format) {
    case SuffixFormat::none:
      fail(ExitCode::usage,
           "suffix loss: an encoder, or a model that learnt only to fill masks, predicts tokens from both sides and "
           "gives no probability of a continuation; compare it by the tasks it can do");
    case SuffixFormat::continuation:
      break;
    case SuffixFormat::span:
      out.context.push_back(specials.sentinel(0));
      out.start = {specials.sentinel(0)};
      break;
    case SuffixFormat::reconstruct:
      out.start = out.context;
      out.context.push_back(specials.mask);
      break;
    case SuffixFormat::sequential:
      out.context.insert(out.context.begin(), specials.mode_sequential);
      break;
  }
  return out;
}

std::vector<double> suffix_losses(const Model& model, const Tokenizer& tokenizer, const SuffixSet& set,
                                  SuffixFormat format, int64_t rows) {
  std::vector<ScoreItem> items;
  for (const ScoreItem& item : set.items) items.push_back(asked(format, item, tokenizer.specials()));
  ScoreOptions options;
  options.rows = rows;
  std::vector<double> losses;
  for (const Score& s : score(model, tokenizer, items, options)) losses.push_back(-s.log_probability);
  return losses;
}

}  // namespace triarch
