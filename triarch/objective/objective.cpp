#include "triarch/objective/objective.h"

#include <algorithm>
#include <iterator>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/objective/factory.h"

namespace triarch {
namespace {

const std::pair<Family, const char*> kFamilies[] = {{Family::encoder, "an encoder"},
                                                    {Family::causal, "a causal decoder"},
                                                    {Family::prefix, "a prefix decoder"},
                                                    {Family::encoder_decoder, "an encoder-decoder"},
                                                    {Family::permutation, "a permutation LM"}};

std::unique_ptr<Objective> make(const ObjectiveSpec& spec, SharedVocabulary v) {
  spec.check();
  switch (spec.kind) {
    case ObjectiveKind::next_token:
      return make_next_token(spec, std::move(v));
    case ObjectiveKind::prefix_lm:
      return make_prefix_lm(spec, std::move(v));
    case ObjectiveKind::masked_lm:
      return make_masked_lm(spec, std::move(v));
    case ObjectiveKind::span_corruption:
      return make_span_corruption(spec, std::move(v));
    case ObjectiveKind::bart:
      return make_bart(spec, std::move(v));
    case ObjectiveKind::ul2:
      return make_ul2(spec, std::move(v));
    case ObjectiveKind::permutation_lm:
      return make_permutation_lm(spec, std::move(v));
    case ObjectiveKind::masked_next_token:
      return make_masked_next_token(spec, std::move(v));
    case ObjectiveKind::seq2seq:
      return make_seq2seq(spec, std::move(v));
    case ObjectiveKind::masked_target:
      return make_masked_target(spec, std::move(v));
    case ObjectiveKind::classification:
      return make_classification(spec, std::move(v));
    case ObjectiveKind::tagging:
      return make_tagging(spec, std::move(v));
  }
  fail("objective: expected a kind of objective, found number {}", int(spec.kind));
}

// One of several objectives per example.
class Mixture final : public Objective {
 public:
  Mixture(const std::vector<ObjectiveSpec>& specs, SharedVocabulary v) : Objective(v) {
    if (specs.empty()) fail(ExitCode::usage, "objective: a mixture needs at least one objective, found none");
    for (const ObjectiveSpec& spec : specs) {
      parts_.push_back(triarch::make(spec, v));
      total_ += spec.weight;
      ends_.push_back(total_);
      const Objective &first = *parts_.front(), &part = *parts_.back();
      if (part.head() != first.head() || part.takes_text() != first.takes_text()) {
        fail(ExitCode::usage,
             "objective: {} and {} cannot be mixed, they learn from different data or with different heads; train on "
             "one after the other",
             first.name(), part.name());
      }
    }
  }
  std::string name() const override {
    std::string out;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const double share = (ends_[i] - (i ? ends_[i - 1] : 0)) / total_;
      out += fmt::format("{}{:.2f} {}", i ? " + " : "", share, parts_[i]->name());
    }
    return out;
  }
  Extent extent(int64_t ids) const override {
    Extent out;
    for (const auto& part : parts_) {
      const Extent e = part->extent(ids);
      out = {std::max(out.source, e.source), std::max(out.target, e.target), std::max(out.both, e.both)};
    }
    return out;
  }
  bool takes_text() const override { return parts_[0]->takes_text(); }
  Head head() const override { return parts_[0]->head(); }

 private:
  void make(const Passage& passage, Key key, Example& example) const override {
    const double x = total_ * key.with(uint64_t(Purpose::mixture)).uniform(0);
    const size_t i = size_t(std::ranges::upper_bound(ends_, x) - ends_.begin());
    example = parts_[std::min(i, parts_.size() - 1)]->example(passage, key);
  }

  std::vector<std::unique_ptr<Objective>> parts_;
  std::vector<double> ends_;  // sums of weights
  double total_ = 0;
};

}  // namespace

void ObjectiveSpec::check() const {
  const auto range = [&](bool ok, const char* field, const char* expected, double value) {
    if (!ok) {
      fail(ExitCode::usage, "{}: expected {} {}, found {}", enum_name(kind), field, expected, value);
    }
  };
  range(weight > 0, "weight", "above 0", weight);
  range(mlm_probability > 0 && mlm_probability <= 1, "mlm_probability", "above 0, at most 1", mlm_probability);
  range(noise_density > 0 && noise_density < 1, "noise_density", "between 0 and 1", noise_density);
  range(mean_noise_span_length >= 1, "mean_noise_span_length", "of at least 1", mean_noise_span_length);
  range(mask_ratio >= 0 && mask_ratio < 1, "mask_ratio", "of at least 0, below 1", mask_ratio);
  range(poisson_lambda > 0 && poisson_lambda <= 30, "poisson_lambda", "above 0, at most 30", poisson_lambda);
  range(permute_sentences >= 0 && permute_sentences <= 1, "permute_sentences", "from 0 to 1", permute_sentences);
  range(plm_probability > 0 && plm_probability <= 1, "plm_probability", "above 0, at most 1", plm_probability);
  range(max_span_length >= 1, "max_span_length", "of at least 1", double(max_span_length));
}

Example Objective::example(const Passage& passage, Key key) const {
  require(!passage.ids.empty(), "{}: expected a passage of at least one token, found an empty one", name());
  Example e;
  make(passage, key, e);
  e.head = head();
  e.key = key.value();
  e.tokens = int64_t(passage.ids.size() + passage.target.size());
  if (e.head == Head::vocabulary) {
    int64_t bytes = 0;
    const auto count = [&](int32_t id) {
      require(id < vocabulary_->size, "{}: token {} is outside of the vocabulary of {}", name(), id, vocabulary_->size);
      if (id >= 0) bytes += vocabulary_->bytes[size_t(id)];
    };
    for (int32_t id : e.target) count(id);
    for (int32_t id : e.labels) count(id);
    e.target_bytes = double(bytes);
  }
  return e;
}

Example Objective::example(std::span<const int32_t> document, Key key) const {
  Passage passage;
  passage.ids = document;
  return example(passage, key);
}

std::unique_ptr<Objective> make_objective(const ObjectiveSpec& spec, const Vocabulary& vocabulary) {
  return make(spec, std::make_shared<const Vocabulary>(vocabulary));
}

std::unique_ptr<Objective> make_objective(const std::vector<ObjectiveSpec>& mixture, const Vocabulary& vocabulary) {
  if (mixture.size() == 1) return make_objective(mixture[0], vocabulary);
  return std::make_unique<Mixture>(mixture, std::make_shared<const Vocabulary>(vocabulary));
}

bool pairs(Family family, ObjectiveKind kind) {
  const bool encoder = family == Family::encoder, causal = family == Family::causal, prefix = family == Family::prefix,
             both = family == Family::encoder_decoder, permutation = family == Family::permutation;
  switch (kind) {
    case ObjectiveKind::next_token:
      return causal || prefix || permutation;
    case ObjectiveKind::prefix_lm:
    case ObjectiveKind::seq2seq:
      return !encoder;
    case ObjectiveKind::masked_lm:
    case ObjectiveKind::masked_next_token:
      // A prefix decoder sees the whole source on both sides, as an encoder does.
      return encoder || prefix;
    case ObjectiveKind::span_corruption:
    case ObjectiveKind::bart:
    case ObjectiveKind::ul2:
      return causal || prefix || both;
    case ObjectiveKind::permutation_lm:
      return permutation;
    case ObjectiveKind::masked_target:
      return encoder;
    case ObjectiveKind::classification:
      return true;
    case ObjectiveKind::tagging:
      return !both;
  }
  return false;
}

void check_pairing(Family family, ObjectiveKind kind) {
  if (pairs(family, kind)) return;
  std::vector<std::string> objectives, families;
  const char* found = "?";
  for (const auto& [value, name] : EnumNames<ObjectiveKind>::table) {
    if (pairs(family, value)) objectives.push_back(name);
  }
  for (const auto& [value, name] : kFamilies) {
    if (pairs(value, kind)) families.push_back(name);
    if (value == family) found = name;
  }
  fail(ExitCode::usage, "objective: {} cannot learn from {}; it learns from {}, and {} teaches {}", found,
       enum_name(kind), listed(objectives, "or"), enum_name(kind), listed(families, "or"));
}

int64_t longest_passage(const Objective& objective, Layout layout, int64_t context, int64_t capacity) {
  if (!objective.takes_text()) return 0;
  if (layout == Layout::encoder && objective.extent(1).target > 0) {
    fail(ExitCode::usage, "{}: an encoder has no rows that predict a target; see the families that learn from it",
         objective.name());
  }
  const auto fits = [&](int64_t ids) {
    // Rows of a decoder depend on source + target only; the longest target also has the most queries.
    const Extent e = objective.extent(ids);
    const bool one_stack = layout == Layout::decoder || layout == Layout::permutation;
    const RowCount r = row_count(layout, one_stack ? e.both - e.target : e.source, e.target);
    const int64_t most = layout == Layout::encoder_decoder ? std::min(r.total(), e.both + 1) : r.total();
    return r.encoder <= context && r.decoder <= context && most <= capacity;
  };
  int64_t ids = 0;
  while (fits(ids + 1)) ++ids;
  if (ids == 0) {
    fail(ExitCode::usage, "{}: {} rows of context and {} of capacity leave no room for a token; allow more",
         objective.name(), context, capacity);
  }
  return ids;
}

}  // namespace triarch
