#include "triarch/study/adapt.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/model/convert.h"
#include "triarch/study/course.h"

namespace triarch {
namespace {

// Of a seed, so that the first training shows other pieces than the runs that are compared.
uint64_t order_of_first(uint64_t seed) { return Key(seed, Purpose::data_order).value(); }

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
  try {
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
  } catch (const Error& e) {
    if (e.code != ExitCode::diverged) throw;
    out.failure = e.what();
    return out;
  }

  out.target_loss = std::max(lowest(out.adapted), lowest(out.scratch));
  out.adapted_tokens = *tokens_to(out.adapted, out.target_loss);
  out.scratch_tokens = *tokens_to(out.scratch, out.target_loss);
  if (out.adapted_tokens > 0) out.speedup = out.scratch_tokens / out.adapted_tokens;
  return out;
}

}  // namespace triarch
