#include "triarch/study/course.h"

#include "triarch/data/loader.h"
#include "triarch/data/vocabulary.h"

namespace triarch {

Course::Course(const Contender& contender, uint64_t seed, const TrialInputs& in)
    : inputs_(in),
      objective_(make_objective(contender.objectives, *in.vocabulary)),
      batches_(layout_of(contender.family), in.tokenizer->specials(), rows_of_step(in.step_tokens, in.context)),
      learner_(model_of(contender, in.preset, in.width, in.layers, in.vocabulary->size, in.context), in.precision,
               optimizer_of(contender, in)) {
  for (const ObjectiveSpec& o : contender.objectives) check_pairing(contender.family, o.kind);
  learner_.model().parameters().initialise(seed);
  LoaderOptions held_out;
  held_out.layout = layout_of(contender.family);
  held_out.capacity = held_out.context = rows_of_step(in.step_tokens, in.context);
  held_out.piece = in.cut ? in.context : 0;
  held_out.shuffle = false;
  Loader loader(
      in.validation->view(), [this](const Passage& p, Key key) { return objective_->example(p, key); },
      in.tokenizer->specials(), held_out);
  for (int64_t tokens = 0; tokens < in.validation_tokens;) {
    const Batch& batch = loader.next();
    if (batch.rows() == 0) break;
    held_out_.push_back(batch);
    tokens += batch.tokens;
  }
}

double Course::loss() {
  Tally tally;
  for (const Batch& b : held_out_) tally.add(learner_.evaluate(b));
  return tally.mean_nll();
}

std::vector<Batch> Course::batches(const Curriculum& curriculum, int64_t i) {
  for (const Curriculum::Shown& shown : curriculum.step(i)) {
    batches_.add(objective_->example(curriculum.passage(shown), curriculum.key(shown)));
  }
  return batches_.take();
}

}  // namespace triarch
