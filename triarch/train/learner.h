// A model that learns: forward, backward, clip, update. What a training run, a comparison and every study
// are made of.
#pragma once

#include <span>

#include "triarch/model/model.h"
#include "triarch/train/optimizer.h"

namespace triarch {

// What a step or an evaluation counted.
struct Tally {
  double loss = 0;    // weighted sum, with smoothing and z-loss
  double nll = 0;     // weighted sum of negative log-likelihoods, nats
  double weight = 0;  // sum of the weights: targets with a loss
  int64_t correct = 0;
  int64_t tokens = 0;  // tokens of documents seen
  int64_t rows = 0;    // rows computed
  double bytes = 0;    // bytes of text that the targets stand for
  double flops = 0;
  double gradient_norm = 0;

  double mean_nll() const { return weight > 0 ? nll / weight : 0; }
  // Bits per byte of the predicted text; 0 where the targets are no text.
  double bits_per_byte() const { return bytes > 0 ? nll / bytes / 0.6931471805599453 : 0; }
  void add(const Tally& other);
};

struct LossConfig {
  double label_smoothing = 0;
  double z_loss = 0;

  // Usage error for what is outside its range.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("label_smoothing", label_smoothing, "share of the target's probability spread over the vocabulary");
    v("z_loss", z_loss, "weight of the squared log-normaliser");
  }
};

class Learner {
 public:
  Learner(const ModelSpec& spec, Precision precision, const OptimizerConfig& optimizer, const LossConfig& loss = {});

  // One optimizer step over micro-batches: the mean over all their targets. Throws ExitCode::diverged,
  // with the weights unchanged, if the loss or the gradient is not finite.
  Tally step(std::span<const Batch> batches, double learning_rate_factor);
  // Gradients only: they stay in the flat buffer.
  Tally gradients(std::span<const Batch> batches);
  // Losses without gradients. Stateless: dropout off.
  Tally evaluate(const Batch& batch);
  // What a step over such batches would execute and hold: nothing is computed.
  struct Plan {
    double flops = 0;            // of one step, optimizer included
    size_t activation_peak = 0;  // bytes of the arena
    size_t state_bytes = 0;      // weights, gradients, moments, operand copies
  };
  Plan plan(std::span<const Batch> batches);
  // Those of a model that is not made yet.
  static double state_bytes(const ModelSpec& spec, Precision precision);

  Model& model() { return model_; }
  Optimizer& optimizer() { return optimizer_; }
  Arena& arena() { return arena_; }

 private:
  Tally run(std::span<const Batch> batches, bool dry);

  Model model_;
  Optimizer optimizer_;
  LossConfig loss_;
  Arena arena_;
  Tape tape_;
};

}  // namespace triarch
