// AdamW on everything, or Muon on the matrices of linear layers and AdamW on the rest. State lies in flat
// buffers like the parameters'.
#pragma once

#include <cstdint>
#include <string>

#include "triarch/model/parameters.h"

namespace triarch {

enum class OptimizerKind : uint8_t { adamw, muon };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::muon;
  double learning_rate = 5e-3;  // peak, AdamW's
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;   // on matrices and tables, none on vectors
  double max_grad_norm = 1.0;  // 0: no clipping
  double muon_learning_rate = 0.01;
  double muon_momentum = 0.95;
  int64_t muon_iterations = 5;

  // Usage error for what is outside its range.
  void check() const;
  // With both learning rates times a share.
  OptimizerConfig scaled(double share) const {
    OptimizerConfig c = *this;
    c.learning_rate *= share;
    c.muon_learning_rate *= share;
    return c;
  }

  template <class V>
  void fields(V& v) {
    v("kind", kind, "adamw, or muon (Muon on matrices, AdamW on the rest)");
    v("learning_rate", learning_rate, "peak learning rate of AdamW");
    v("beta1", beta1, "decay of the first moment");
    v("beta2", beta2, "decay of the second moment");
    v("eps", eps, "added to the root of the second moment");
    v("weight_decay", weight_decay, "decoupled decay of matrices and tables");
    v("max_grad_norm", max_grad_norm, "gradients are scaled down to this norm; 0: not");
    v("muon_learning_rate", muon_learning_rate, "peak learning rate of Muon");
    v("muon_momentum", muon_momentum, "Muon's momentum");
    v("muon_iterations", muon_iterations, "Newton-Schulz iterations of Muon");
  }
};

class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, Parameters& parameters);

  // One update from the flat gradients, at `factor` times the peak learning rates. Returns the norm of
  // the gradient before clipping; if that is not finite, nothing is changed.
  double step(double factor);

  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  const OptimizerConfig& config() const { return config_; }
  // First moments (Muon: momentum of the matrices) and second moments, laid out as the parameters.
  Tensor first() const { return first_; }
  Tensor second() const { return second_; }
  // Floating-point operations of one step.
  double flops() const;

 private:
  template <class S>
  void update(double factor, double gradient_scale);
  template <class S>
  void muon(Parameter& p, double factor, double gradient_scale);

  OptimizerConfig config_;
  Parameters& parameters_;
  Arena arena_;  // before the tensors, which it must outlive
  Tensor first_, second_;
  int64_t steps_ = 0;
};

}  // namespace triarch
