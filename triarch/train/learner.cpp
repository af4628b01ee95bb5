#include "triarch/train/learner.h"

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/train/ranges.h"

namespace triarch {
namespace {

double target_weight(const Batch& b) {
  double w = 0;
  for (size_t i = 0; i < b.targets.size(); ++i) {
    if (b.targets[i] >= 0) w += b.weights.empty() ? 1.0 : double(b.weights[i]);
  }
  return w;
}

// Weights, gradients, two moments and a copy for products.
double state_of(int64_t weights, Precision p) {
  return double(weights) * double(4 * size_of(p.stream) + (p.operand != p.stream ? size_of(p.operand) : 0));
}

Tally tally_of(const ops::Loss& loss, const Batch& batch, double flops) {
  Tally t;
  t.loss = loss.loss;
  t.nll = loss.nll;
  t.weight = loss.weight;
  t.correct = loss.correct;
  t.tokens = batch.tokens;
  t.rows = batch.rows();
  t.bytes = batch.target_bytes;
  t.flops = flops;
  return t;
}

}  // namespace

void LossConfig::check() const {
  check_setting(label_smoothing >= 0 && label_smoothing < 1, "loss.label_smoothing", "at least 0 and below 1",
                label_smoothing);
  check_setting(z_loss >= 0, "loss.z_loss", "at least 0", z_loss);
}

void Tally::add(const Tally& o) {
  loss += o.loss;
  nll += o.nll;
  weight += o.weight;
  correct += o.correct;
  tokens += o.tokens;
  rows += o.rows;
  bytes += o.bytes;
  flops += o.flops;
}

Learner::Learner(const ModelSpec& spec, Precision precision, const OptimizerConfig& optimizer, const LossConfig& loss)
    : model_(spec, precision, true), optimizer_(optimizer, model_.parameters()), loss_(loss) {}

Tally Learner::run(std::span<const Batch> batches, bool dry) {
  double total = 0;
  for (const Batch& b : batches) total += target_weight(b);
  require(total > 0, "train: expected at least one target in a step, found none");
  model_.parameters().begin_step();
  Tally out;
  for (const Batch& batch : batches) {
    Context ctx{arena_, &tape_, model_.parameters().precision()};
    ctx.training = true;
    ctx.dry = dry;
    ops::LossOptions options;
    options.gradient_scale = 1 / total;
    options.label_smoothing = loss_.label_smoothing;
    options.z_loss = loss_.z_loss;
    ops::Loss loss;
    try {
      const Var hidden = model_.forward(ctx, batch);
      loss = model_.loss(ctx, hidden, batch, options);
    } catch (...) {
      tape_.clear();
      throw;
    }
    tape_.backward();
    out.add(tally_of(loss, batch, ctx.flops));
  }
  return out;
}

Tally Learner::gradients(std::span<const Batch> batches) {
  Tally out = run(batches, false);
  model_.parameters().finish_gradients();
  return out;
}

Tally Learner::step(std::span<const Batch> batches, double learning_rate_factor) {
  Tally out = gradients(batches);
  if (!std::isfinite(out.loss)) {
    fail(ExitCode::diverged, "train: the loss is {} at step {}; lower the learning rate", out.loss,
         optimizer_.steps() + 1);
  }
  out.gradient_norm = optimizer_.step(learning_rate_factor);
  if (!std::isfinite(out.gradient_norm)) {
    fail(ExitCode::diverged, "train: the gradient's norm is {} at step {}; lower the learning rate", out.gradient_norm,
         optimizer_.steps() + 1);
  }
  out.flops += optimizer_.flops();
  return out;
}

Tally Learner::evaluate(const Batch& batch) {
  Context ctx{arena_, nullptr, model_.parameters().precision()};
  const Var hidden = model_.forward(ctx, batch);
  const ops::Loss loss = model_.loss(ctx, hidden, batch, {});
  return tally_of(loss, batch, ctx.flops);
}

Learner::Plan Learner::plan(std::span<const Batch> batches) {
  Plan p;
  arena_.reset_peak();
  const size_t before = arena_.used();
  p.flops = run(batches, true).flops + optimizer_.flops();
  p.activation_peak = arena_.peak() - before;
  model_.parameters().begin_step();
  p.state_bytes = size_t(state_of(model_.parameters().flat_size(), model_.parameters().precision()));
  return p;
}

double Learner::state_bytes(const ModelSpec& spec, Precision precision) {
  return state_of(Model::measure(spec).flat, precision);
}

}  // namespace triarch
