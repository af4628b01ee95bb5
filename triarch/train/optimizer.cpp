#include "triarch/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "triarch/autograd/context.h"
#include "triarch/base/error.h"
#include "triarch/kernels/muon.h"
#include "triarch/kernels/update.h"
#include "triarch/train/ranges.h"

namespace triarch {

void OptimizerConfig::check() const {
  const auto at_least_0 = [](const char* field, double x) { check_setting(x >= 0, field, "at least 0", x); };
  const auto decay = [](const char* field, double x) {
    check_setting(x >= 0 && x < 1, field, "at least 0 and below 1", x);
  };
  at_least_0("optimizer.learning_rate", learning_rate);
  at_least_0("optimizer.muon_learning_rate", muon_learning_rate);
  at_least_0("optimizer.weight_decay", weight_decay);
  at_least_0("optimizer.max_grad_norm", max_grad_norm);
  decay("optimizer.beta1", beta1);
  decay("optimizer.beta2", beta2);
  decay("optimizer.muon_momentum", muon_momentum);
  // Without it a weight that never had a gradient becomes 0 / 0.
  check_setting(eps > 0, "optimizer.eps", "more than 0", eps);
  check_setting(muon_iterations >= 1 && muon_iterations <= 100, "optimizer.muon_iterations", "from 1 to 100",
                double(muon_iterations));
}

Optimizer::Optimizer(const OptimizerConfig& config, Parameters& parameters) : config_(config), parameters_(parameters) {
  const DType type = parameters.precision().stream;
  for (Tensor* t : {&first_, &second_}) {
    *t = arena_.tensor(type, 1, parameters.flat_size());
    std::memset(t->raw(), 0, size_t(parameters.flat_size() * size_of(type)));
  }
}

double Optimizer::step(double factor) {
  double sum = 0;
  const bool float64 = parameters_.precision().stream == DType::f64;
  if (float64) {
    kernels::SumOfSquares<double> s;
    s.count = parameters_.flat_size();
    s.x = parameters_.flat_gradients().data<double>();
    s.sum = &sum;
    kernels::sum_of_squares(s);
  } else {
    kernels::SumOfSquares<float> s;
    s.count = parameters_.flat_size();
    s.x = parameters_.flat_gradients().data<float>();
    s.sum = &sum;
    kernels::sum_of_squares(s);
  }
  const double norm = std::sqrt(sum);
  if (!std::isfinite(norm)) return norm;
  const double scale = config_.max_grad_norm > 0 && norm > config_.max_grad_norm ? config_.max_grad_norm / norm : 1.0;
  ++steps_;
  if (float64) {
    update<double>(factor, scale);
  } else {
    update<float>(factor, scale);
  }
  parameters_.refresh();
  return norm;
}

template <class S>
void Optimizer::update(double factor, double gradient_scale) {
  kernels::AdamW<S> a;
  a.gradient_scale = S(gradient_scale);
  a.lr = S(config_.learning_rate * factor);
  a.beta1 = S(config_.beta1);
  a.beta2 = S(config_.beta2);
  a.eps = S(config_.eps);
  a.correction1 = S(1 - std::pow(config_.beta1, double(steps_)));
  a.correction2 = S(1 - std::pow(config_.beta2, double(steps_)));
  // Neighbours of one kind are updated in one walk (padding between them is zero and stays zero).
  auto& all = parameters_.all();
  for (size_t i = 0; i < all.size();) {
    Parameter& p = all[i];
    if (p.frozen) {
      ++i;
      continue;
    }
    if (config_.kind == OptimizerKind::muon && p.kind == ParameterKind::matrix) {
      muon<S>(p, factor, gradient_scale);
      ++i;
      continue;
    }
    const bool decayed = p.kind != ParameterKind::vector;
    size_t end = i + 1;
    while (end < all.size() && !all[end].frozen && (all[end].kind != ParameterKind::vector) == decayed &&
           !(config_.kind == OptimizerKind::muon && all[end].kind == ParameterKind::matrix)) {
      ++end;
    }
    a.count = all[end - 1].offset + all[end - 1].count() - p.offset;
    a.weight = parameters_.flat_values().data<S>() + p.offset;
    a.gradient = parameters_.flat_gradients().data<S>() + p.offset;
    a.m = first_.data<S>() + p.offset;
    a.v = second_.data<S>() + p.offset;
    a.weight_decay = S(decayed ? config_.weight_decay : 0);
    kernels::adamw(a);
    i = end;
  }
}

// Muon (Jordan et al. 2024): m = mu m + g; the update is the orthogonalised g + mu m.
template <class S>
void Optimizer::muon(Parameter& p, double factor, double gradient_scale) {
  kernels::Muon<S> m;
  m.rows = p.rows;
  m.cols = p.cols;
  m.weight = p.value.data<S>();
  m.gradient = p.gradient.value.data<S>();
  m.momentum = first_.data<S>() + p.offset;
  m.gradient_scale = S(gradient_scale);
  m.mu = S(config_.muon_momentum);
  // Decay is at the rate without the factor of the shape.
  const double shape = std::sqrt(std::max(1.0, double(p.rows) / double(p.cols)));
  m.lr = S(config_.muon_learning_rate * factor * shape);
  m.weight_decay = S(config_.weight_decay / shape);
  m.iterations = config_.muon_iterations;
  Tensor workspace = arena_.tensor(parameters_.precision().stream, 1, kernels::muon_workspace(p.rows, p.cols));
  m.workspace = workspace.data<S>();
  kernels::muon(m);
}

double Optimizer::flops() const {
  double total = 0;
  for (const Parameter& p : parameters_.all()) {
    if (p.frozen) continue;
    if (config_.kind == OptimizerKind::muon && p.kind == ParameterKind::matrix) {
      total += kernels::newton_schulz_flops(p.rows, p.cols, config_.muon_iterations);
    }
  }
  return total;
}

}  // namespace triarch
