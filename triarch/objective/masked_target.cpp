// Masked target: what sequence-to-sequence pairs teach an encoder. The output's tokens are hidden behind the input and
// predicted together, each at its place, as BERT's masks are (Devlin et al. 2019, section 3.1) and as cloze prompts ask
// them (Schick and Schuetze 2021).
#include "triarch/objective/factory.h"

namespace triarch {
namespace {

class MaskedTarget final : public Objective {
 public:
  using Objective::Objective;
  std::string name() const override { return "masked_target"; }
  bool takes_text() const override { return false; }
  Extent extent(int64_t ids) const override { return {ids + 1, 0, ids + 1}; }

 private:
  void make(const Passage& passage, Key, Example& e) const override {
    require(!passage.target.empty(),
            "masked_target: expected an output beside every input, found none; give the data as inputs and targets");
    e.source.assign(passage.ids.begin(), passage.ids.end());
    e.source.resize(passage.ids.size() + passage.target.size(), vocabulary_->specials.mask);
    e.labels.assign(passage.ids.size(), -1);
    e.labels.insert(e.labels.end(), passage.target.begin(), passage.target.end());
  }
};

}  // namespace

std::unique_ptr<Objective> make_masked_target(const ObjectiveSpec&, SharedVocabulary v) {
  return std::make_unique<MaskedTarget>(std::move(v));
}

}  // namespace triarch
