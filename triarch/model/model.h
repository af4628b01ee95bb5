// A transformer of any family, as its ModelSpec says.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "triarch/model/block.h"

namespace triarch {

// A chain of blocks with what stands before and behind it.
struct Stack {
  const StackSpec* spec = nullptr;
  Parameter* positions = nullptr;  // learned
  NormLayer embedding_norm;
  Parameter* relative_bias = nullptr;
  std::vector<Block> blocks;
  NormLayer norm;
};

class Model {
 public:
  // Weights are zero until initialise() or a checkpoint fills them.
  Model(const ModelSpec& spec, Precision precision, bool with_gradients);
  // What such a model has, without taking its memory.
  struct Size {
    int64_t parameters = 0;
    int64_t flat = 0;  // Parameters::flat_size
  };
  static Size measure(const ModelSpec& spec);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelSpec& spec() const { return spec_; }
  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }

  // Another visibility for the decoder's rows from now on (adaptation studies); the weights stay.
  void set_visibility(Visibility visibility);

  // Recompute every block's activations in the backward pass instead of keeping them.
  bool recompute = false;

  // Shown the rows of a stack before its first block (layer 0) and behind each. Their sum x + delta is the residual
  // stream where norms come first; y where they come last. Valid during the call.
  std::function<void(const StackSpec& stack, int64_t layer, const ops::Residual& rows)> observer;
  AttentionObserver attention_observer;
  AttentionOutputObserver attention_output_observer;
  Surgery surgery;

  // T [rows, width]: the last hidden rows of the encoder.
  Var encode(Context& ctx, const Rows& rows) const;
  // T [rows, width]: those of the decoder. `memory` are the encoder's rows, `segments` its segments; both
  // empty without an encoder, and with a cache, which then has their keys.
  Var decode(Context& ctx, const Rows& rows, const Var& memory, const std::vector<Segment>& segments,
             Cache* cache = nullptr) const;
  // Both, for a batch: hidden rows of the stack that predicts.
  Var forward(Context& ctx, const Batch& batch) const;
  // Computes the cross-attention keys of encoder segment i into slot slots[i] of the cache.
  void remember(Context& ctx, const Var& memory, const std::vector<Segment>& segments, std::span<const int32_t> slots,
                Cache& cache) const;

  // From hidden rows of a batch to its loss.
  ops::Loss loss(Context& ctx, const Var& hidden, const Batch& batch, const ops::LossOptions& options,
                 bool per_row = false) const;
  // S [index.size(), vocabulary]: logits of the given hidden rows.
  Tensor logits(Context& ctx, const Var& hidden, std::span<const int32_t> index) const;
  // S [batch.loss_rows, outputs of batch.head].
  Tensor logits(Context& ctx, const Var& hidden, const Batch& batch) const;
  // T [segments, width]: one row per segment, as spec.pooling or the given pooling says.
  Var pool(Context& ctx, const Var& hidden, const Rows& rows, Pooling pooling) const;

 private:
  // All but the memory.
  Model(const ModelSpec& spec, Precision precision);
  Stack build_stack(const StackSpec& spec, const std::string& name, bool cross, const Stack* shared);
  std::shared_ptr<StackPass> pass_of(Context& ctx, const Stack& stack, const Rows& rows, Cache* cache) const;
  Var run(Context& ctx, const Stack& stack, const std::shared_ptr<StackPass>& pass) const;
  // The rows that the head's matrix reads, and that matrix.
  struct Reader {
    Var rows, weight, bias;
    double scale = 1;
  };
  Reader reader(Context& ctx, const Var& hidden, const Batch& batch) const;
  Reader vocabulary_reader(Context& ctx, const Var& rows) const;

  ModelSpec spec_;
  Parameters parameters_;
  Parameter* embedding_ = nullptr;
  Parameter* types_ = nullptr;
  LinearLayer features_;  // embeds feature vectors
  Stack encoder_, decoder_;
  LinearLayer head_transform_, head_, pooler_, classes_, tags_;
  NormLayer head_norm_;
  std::vector<float> sinusoid_table_;  // [max_positions, width]
  std::vector<double> sinusoid_table64_;
};

}  // namespace triarch
