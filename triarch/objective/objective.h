// Objectives: pure functions from a passage and a key to an example. They know no family; which pairings make sense is
// one table (pairs). One file each; make_objective is the only way to make one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "triarch/base/fields.h"
#include "triarch/base/random.h"
#include "triarch/data/example.h"
#include "triarch/data/packing.h"
#include "triarch/model/spec.h"

namespace triarch {

struct Vocabulary;  // data/vocabulary.h

enum class ObjectiveKind : uint8_t {
  next_token,
  prefix_lm,
  masked_lm,
  span_corruption,
  bart,
  ul2,
  permutation_lm,
  masked_next_token,
  seq2seq,
  masked_target,
  classification,
  tagging,
};
template <>
struct EnumNames<ObjectiveKind> {
  static constexpr std::pair<ObjectiveKind, const char*> table[] = {
      {ObjectiveKind::next_token, "next_token"},
      {ObjectiveKind::prefix_lm, "prefix_lm"},
      {ObjectiveKind::masked_lm, "masked_lm"},
      {ObjectiveKind::span_corruption, "span_corruption"},
      {ObjectiveKind::bart, "bart"},
      {ObjectiveKind::ul2, "ul2"},
      {ObjectiveKind::permutation_lm, "permutation_lm"},
      {ObjectiveKind::masked_next_token, "masked_next_token"},
      {ObjectiveKind::seq2seq, "seq2seq"},
      {ObjectiveKind::masked_target, "masked_target"},
      {ObjectiveKind::classification, "classification"},
      {ObjectiveKind::tagging, "tagging"}};
};

// An objective as data: its kind, and parameters of which each kind reads its own.
struct ObjectiveSpec {
  ObjectiveKind kind = ObjectiveKind::next_token;
  double weight = 1;

  double mlm_probability = 0.15;
  bool mask_only = false;

  double noise_density = 0.15;
  double mean_noise_span_length = 3;

  double mask_ratio = 0.3;
  double poisson_lambda = 3.5;
  double permute_sentences = 1;

  double plm_probability = 1.0 / 6;
  int64_t max_span_length = 5;

  bool mode_tokens = true;

  // Throws a usage error that says which parameter is out of its range.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("kind", kind, "what is learnt from a text: next_token, prefix_lm, masked_lm, span_corruption, bart, ul2, ...");
    v("weight", weight, "share in a mixture");
    v("mlm_probability", mlm_probability, "masked_lm, masked_next_token: share of tokens to predict");
    v("mask_only", mask_only, "masked_lm, masked_next_token: always the mask, not 80 % mask, 10 % random, 10 % kept");
    v("noise_density", noise_density, "span_corruption: share of tokens to predict");
    v("mean_noise_span_length", mean_noise_span_length, "span_corruption: tokens of a span, on average");
    v("mask_ratio", mask_ratio, "bart: share of tokens masked");
    v("poisson_lambda", poisson_lambda, "bart: mean of the Poisson distribution of span lengths");
    v("permute_sentences", permute_sentences, "bart: share of sentences that change places");
    v("plm_probability", plm_probability, "permutation_lm: share of tokens to predict; 1: all");
    v("max_span_length", max_span_length, "permutation_lm: longest span of tokens predicted together");
    v("mode_tokens", mode_tokens, "ul2: the source begins with [R], [S] or [X]");
  }
};

// Upper bounds of what an objective makes of a passage.
struct Extent {
  int64_t source = 0, target = 0;  // tokens
  int64_t both = 0;                // source + target of one example
};

class Objective {
 public:
  explicit Objective(std::shared_ptr<const Vocabulary> vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~Objective() = default;

  // Depends on nothing but its arguments and the spec. Error for an empty passage, or one without what the
  // objective needs (a target, tags, a label).
  Example example(const Passage& passage, Key key) const;
  Example example(std::span<const int32_t> document, Key key) const;

  // "masked_lm", or "0.50 next_token + 0.50 span_corruption".
  virtual std::string name() const = 0;
  // For passages of at most this many ids (and no target); grows with them.
  virtual Extent extent(int64_t ids) const = 0;
  // It learns from plain text, which may be cut into pieces; else from pairs or labels, and a passage stays whole.
  virtual bool takes_text() const { return true; }
  // What its examples predict.
  virtual Head head() const { return Head::vocabulary; }

 protected:
  // Fills source, target, labels, label, positions; the rest is done for all by example().
  virtual void make(const Passage& passage, Key key, Example& example) const = 0;

  std::shared_ptr<const Vocabulary> vocabulary_;
};

std::unique_ptr<Objective> make_objective(const ObjectiveSpec& spec, const Vocabulary& vocabulary);
// One of them per example, drawn by weight from the example's key. Usage error if the list is empty, a weight is not
// positive, or they do not share a head.
std::unique_ptr<Objective> make_objective(const std::vector<ObjectiveSpec>& mixture, const Vocabulary& vocabulary);

// Which objectives a family can learn from.
bool pairs(Family family, ObjectiveKind kind);
// Usage error if they do not: it names what the family does take and what takes the objective.
void check_pairing(Family family, ObjectiveKind kind);

// The most ids of a passage such that its example, whatever the draw, has at most `context` content rows in each
// segment and `capacity` rows in all: what LoaderOptions::piece should be. 0 (do not cut) for an objective that takes
// no plain text. Error if not even one id fits.
int64_t longest_passage(const Objective& objective, Layout layout, int64_t context, int64_t capacity);

}  // namespace triarch
