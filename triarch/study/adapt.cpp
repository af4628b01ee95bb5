#include "triarch/study/adapt.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/data/vocabulary.h"
#include "triarch/model/convert.h"
#include "triarch/study/batches.h"
#include "triarch/train/learner.h"

namespace triarch {
namespace {

// Of a seed, so that the first training shows other pieces than the runs that are compared.
uint64_t order_of_first(uint64_t seed) { return Key(seed, Purpose::data_order).value(); }

// A model, what it learns, and how it is measured.
class Course {
 public:
  Course(const Contender& contender, uint64_t seed, const TrialInputs& in)
      : in_(in),
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

  Model& model() { return learner_.model(); }

  // All steps of a curriculum; the curve begins before the first. `step` is told the tokens seen, and may stop it.
  template <class Step>
  std::optional<std::vector<LossPoint>> learn(const Curriculum& curriculum, Step&& step) {
    const int64_t steps = curriculum.steps();
    int64_t tokens = 0;
    std::vector<LossPoint> curve = {{0, loss()}};
    for (int64_t i = 0; i < steps; ++i) {
      tokens += learner_.step(batches(curriculum, i), in_.schedule.factor(i, steps)).tokens;
      if (!step(tokens)) return std::nullopt;
      if ((i + 1) * in_.points / steps != i * in_.points / steps) curve.push_back({tokens, loss()});
    }
    return curve;
  }

 private:
  double loss() {
    Tally tally;
    for (const Batch& b : held_out_) tally.add(learner_.evaluate(b));
    return tally.mean_nll();
  }

  std::vector<Batch> batches(const Curriculum& curriculum, int64_t i) {
    for (const Curriculum::Shown& shown : curriculum.step(i)) {
      batches_.add(objective_->example(curriculum.passage(shown), curriculum.key(shown)));
    }
    return batches_.take();
  }

  const TrialInputs& in_;
  std::unique_ptr<Objective> objective_;
  Batches batches_;
  Learner learner_;
  std::vector<Batch> held_out_;
};

double lowest(const std::vector<LossPoint>& curve) { return std::ranges::min(curve, {}, &LossPoint::loss).loss; }

}  // namespace

std::vector<AdaptationPlan> default_adaptations() {
  const Contender causal = parse_contender("causal:next_token");
  const Contender prefix = parse_contender("prefix:span_corruption");
  return {{causal, prefix}, {prefix, causal}, {causal, parse_contender("encoder_decoder:span_corruption+prefix_lm")}};
}

std::optional<double> tokens_to(std::span<const LossPoint> curve, double loss) {
  for (size_t i = 0; i < curve.size(); ++i) {
    if (curve[i].loss > loss) continue;
    if (i == 0) return double(curve[0].tokens);
    const LossPoint &a = curve[i - 1], &b = curve[i];
    return double(a.tokens) + double(b.tokens - a.tokens) * (a.loss - loss) / (a.loss - b.loss);
  }
  return std::nullopt;
}

std::optional<Adaptation> run_adaptation(const AdaptationPlan& plan, uint64_t seed, const TrialInputs& in,
                                         const TrialEvents& events) {
  const int64_t piece = in.cut ? in.context : 0;
  const Curriculum first(in.stages, piece, in.step_tokens, order_of_first(seed));
  const Curriculum then(in.stages, piece, in.step_tokens, seed);
  const int64_t steps = first.steps() + 2 * then.steps();
  int64_t done = 0;
  const auto step = [&](int64_t tokens) {
    return !events.progress || events.progress(double(++done) / double(steps), tokens);
  };

  Adaptation out;
  out.from = plan.from.name;
  out.to = plan.to.name;
  out.seed = seed;
  Course adapted(plan.to, seed, in);
  {
    Course before(plan.from, seed, in);
    const auto curve = before.learn(first, step);
    if (!curve) return std::nullopt;
    out.first_tokens = curve->back().tokens;
    out.initial = convert_weights(before.model(), adapted.model()).initial;
  }
  auto curve = adapted.learn(then, step);
  if (!curve) return std::nullopt;
  out.adapted = std::move(*curve);
  curve = Course(plan.to, seed, in).learn(then, step);
  if (!curve) return std::nullopt;
  out.scratch = std::move(*curve);

  out.target_loss = std::max(lowest(out.adapted), lowest(out.scratch));
  out.adapted_tokens = *tokens_to(out.adapted, out.target_loss);
  out.scratch_tokens = *tokens_to(out.scratch, out.target_loss);
  if (out.adapted_tokens > 0) out.speedup = out.scratch_tokens / out.adapted_tokens;
  return out;
}

}  // namespace triarch
