#include "triarch/study/regression.h"

#include <algorithm>
#include <cmath>

#include "triarch/inference/packed.h"
#include "triarch/inference/sampling.h"
#include "triarch/train/learner.h"
#include "triarch/train/schedule.h"

namespace triarch {
namespace {

// What keys are for.
enum class RegressionUse : uint64_t { learning, choosing, measuring };

RegressionTask task_of(const RegressionOptions& o, RegressionUse use, int64_t i) {
  return regression_task(Key(1, Purpose::test).with(uint64_t(use)).with(uint64_t(i)), o.dimensions, o.pairs,
                         o.questions);
}

ModelSpec spec_of(Family family, const RegressionOptions& o) {
  ModelSpec s = preset("llama", family, o.width, o.layers);
  // Pairs have no order, and nothing but what rows see tells the families apart.
  s.position = PositionKind::none;
  s.features = regression_features(o.dimensions);
  s.vocabulary = int32_t(o.bins);
  s.tied = false;
  s.check();
  return s;
}

// Expected values of the questions of a task.
std::vector<double> model_answers(Learner& learner, const RegressionTask& task, const Bins& bins) {
  Batch batch;
  append_regression(batch, task, bins);
  Context ctx{learner.arena(), nullptr, learner.model().parameters().precision()};
  const std::vector<double> z = doubles_of(learner.model().logits(ctx, learner.model().forward(ctx, batch), batch));
  std::vector<double> out;
  for (size_t q = 0; q < batch.targets.size(); ++q) {
    const auto count = size_t(bins.count);
    const std::vector<double> logs = log_softmax(std::span(z).subspan(q * count, count));
    double expected = 0;
    for (size_t b = 0; b < count; ++b) expected += std::exp(logs[b]) * bins.centre(int64_t(b));
    out.push_back(expected);
  }
  return out;
}

// The rate with the least error on validation tasks.
template <class Method>
double best_rate(const RegressionOptions& o, int64_t pairs, Method method) {
  double best = 0, least = INFINITY;
  for (double rate = 0.01; rate < 3; rate *= 1.15) {
    double error = 0;
    for (int64_t t = 0; t < o.validation_tasks; ++t) {
      const RegressionTask task = task_of(o, RegressionUse::choosing, t).first(size_t(pairs));
      error += mean_squared(method(task, rate), task.asked_y);
    }
    if (error < least) best = rate, least = error;
  }
  return best;
}

}  // namespace

std::vector<int64_t> RegressionOptions::counts() const {
  std::vector<int64_t> out;
  for (int64_t n = 1; n < pairs; n = n < dimensions ? n + 1 : n + dimensions) out.push_back(n);
  out.push_back(pairs);
  return out;
}

RegressionMethods regression_methods(const RegressionOptions& o) {
  RegressionMethods m;
  const auto once = [](const RegressionTask& t, double rate) { return gradient_descent(t, 1, rate); };
  const auto often = [&](const RegressionTask& t, double rate) { return gradient_descent(t, o.layers, rate); };
  for (int64_t n : o.counts()) {
    m.rates.push_back(best_rate(o, n, once));
    m.online_rates.push_back(best_rate(o, n, online_descent));
    const double several = best_rate(o, n, often);
    double ls = 0, online = 0, descent = 0, steps = 0;
    for (int64_t t = 0; t < o.tasks; ++t) {
      const RegressionTask task = task_of(o, RegressionUse::measuring, t).first(size_t(n));
      ls += mean_squared(least_squares(task), task.asked_y) / double(o.tasks);
      online += mean_squared(online_descent(task, m.online_rates.back()), task.asked_y) / double(o.tasks);
      descent += mean_squared(once(task, m.rates.back()), task.asked_y) / double(o.tasks);
      steps += mean_squared(often(task, several), task.asked_y) / double(o.tasks);
    }
    m.least_squares.push_back(ls);
    m.online.push_back(online);
    m.descent.push_back(descent);
    m.steps.push_back(steps);
  }
  return m;
}

std::optional<RegressionResult> regression_trial(Family family, uint64_t seed, const RegressionOptions& o,
                                                 const RegressionMethods& methods, const PartProgress& going) {
  Learner learner(spec_of(family, o), Precision::float32(), OptimizerConfig().scaled(o.learning_rate));
  learner.model().parameters().initialise(seed);
  RegressionResult r;
  r.family = family;
  r.seed = seed;
  r.parameters = learner.model().parameters().count();
  const Bins bins = o.y_bins();
  Schedule schedule;
  Batch batch;
  for (int64_t step = 0; step < o.steps; ++step) {
    batch.clear();
    for (int64_t i = 0; i < o.sequences; ++i) {
      const Key key =
          Key(seed, Purpose::world).with(uint64_t(RegressionUse::learning)).with(uint64_t(step)).with(uint64_t(i));
      const auto n = 1 + int64_t(key.with(1).below(0, uint64_t(o.pairs)));
      append_regression(batch, regression_task(key, o.dimensions, n, o.questions), bins);
    }
    r.tokens += learner.step({&batch, 1}, schedule.factor(step, o.steps)).rows;
    if (!going(double(step + 1) / double(o.steps), r.tokens)) return std::nullopt;
  }
  const std::vector<int64_t> counts = o.counts();
  for (size_t k = 0; k < counts.size(); ++k) {
    double error = 0, ls = 0, online = 0, descent = 0;
    for (int64_t t = 0; t < o.tasks; ++t) {
      const RegressionTask task = task_of(o, RegressionUse::measuring, t).first(size_t(counts[k]));
      const std::vector<double> a = model_answers(learner, task, bins);
      error += mean_squared(a, task.asked_y) / double(o.tasks);
      ls += mean_squared(a, least_squares(task)) / double(o.tasks);
      online += mean_squared(a, online_descent(task, methods.online_rates[k])) / double(o.tasks);
      descent += mean_squared(a, gradient_descent(task, 1, methods.rates[k])) / double(o.tasks);
    }
    r.error.push_back(error);
    r.from_least_squares.push_back(ls);
    r.from_online.push_back(online);
    r.from_descent.push_back(descent);
  }
  return r;
}

}  // namespace triarch
