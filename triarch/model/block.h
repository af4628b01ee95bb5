// One Block for every family: self attention, cross attention where there is a memory, feed-forward
// layer, each as x + f(norm(x)) or norm(x + f(x)).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "triarch/autograd/ops.h"
#include "triarch/model/cache.h"
#include "triarch/model/parameters.h"
#include "triarch/model/spec.h"
#include "triarch/model/visibility.h"

namespace triarch {

// Shown the operands of every attention before it is computed; `cross`: its keys are the memory's.
using AttentionObserver = std::function<void(Context& ctx, const StackSpec& stack, int64_t layer, bool cross,
                                             const ops::AttentionOperands& operands)>;
// Shown what each attention adds to its rows: T [query rows, width], behind the output projection.
using AttentionOutputObserver =
    std::function<void(const StackSpec& stack, int64_t layer, bool cross, const Var& output)>;

// What is left of a block, for studies; all of it, otherwise.
struct Surgery {
  bool skip = true;          // false: f(norm(x)) in place of x + f(norm(x)). Where stream and operand are of one type.
  bool feed_forward = true;  // false: its sublayer is left out
  // One path through the layers of the stack that predicts, in passes without gradients: the only head that is left in
  // each, with no skip around it, or kLeftOut for a layer that is passed by. Empty: every head of every layer.
  static constexpr int32_t kLeftOut = -1;
  std::vector<int32_t> path = {};
};

struct LinearLayer {
  Parameter* weight = nullptr;  // [out, in]
  Parameter* bias = nullptr;    // [1, out] or none
};
struct NormLayer {
  Parameter* gain = nullptr;  // [1, width], or none: no norm here
  Parameter* bias = nullptr;
};

// What the blocks of one stack share during one forward pass. Lives until the backward pass.
struct StackPass {
  StackPass(const ModelSpec& model, const StackSpec& of, const Parameters& weights, const Rows& input)
      : spec(model), stack(of), parameters(weights), rows(input) {}

  const ModelSpec& spec;
  const StackSpec& stack;
  const Parameters& parameters;
  const Rows& rows;
  std::vector<Intervals> self;  // one, or two for alternating layers
  Var bias;                     // T5's, by distance
  int64_t bias_span = 0;
  Tensor sinusoid;  // XLNet's: T [2 span + 1, width], distances from -span to span
  int64_t relative_span = 0;
  std::vector<double> frequencies;       // rotary
  std::vector<int32_t> table_positions;  // rows of the learned or sinusoidal table
  std::vector<int32_t> feature_rows;     // rows that are feature vectors
  std::vector<int32_t> key_positions;    // of the keys, where rows.key_rows picks them
  std::vector<int32_t> no_types;         // zeros, where there is a table of types and the rows have none
  Cache* cache = nullptr;
  const AttentionObserver* observer = nullptr;
  const AttentionOutputObserver* output_observer = nullptr;
  Surgery surgery;

  Var memory;  // T [memory rows, width]: what cross attention reads, unless the cache has its keys
  Intervals cross;
};

struct Block {
  NormLayer self_norm;
  LinearLayer qkv, self_out;
  Parameter* relative = nullptr;       // XLNet: W_r [heads head_dim, width]
  Parameter* content_bias = nullptr;   // XLNet: u
  Parameter* position_bias = nullptr;  // XLNet: v
  NormLayer cross_norm;
  LinearLayer cross_q, cross_kv, cross_out;  // decoders of encoder-decoders
  NormLayer mlp_norm;
  LinearLayer mlp_in, mlp_out;

  // The block's part of the stack; `layer` is its place.
  ops::Residual forward(Context& ctx, const StackPass& pass, int64_t layer, const ops::Residual& in) const;

 private:
  Var self_attention(Context& ctx, const StackPass& pass, int64_t layer, const Var& y) const;
  Var cross_attention(Context& ctx, const StackPass& pass, int64_t layer, const Var& y) const;
  // The attention and its output projection.
  Var attend(Context& ctx, const StackPass& pass, int64_t layer, bool cross, const ops::AttentionOperands& o) const;
  // From what the heads read to what is added to the rows.
  Var project(Context& ctx, const StackPass& pass, int64_t layer, const Var& heads) const;
  Var feed_forward(Context& ctx, const StackPass& pass, const Var& y) const;
};

// linear and add_norm with the layer's parameters.
Var apply(Context& ctx, const Parameters& p, const LinearLayer& layer, const Var& x,
          Activation activation = Activation::none);
ops::Normed apply(Context& ctx, const StackPass& pass, const NormLayer& norm, const Var& x, const Var& delta,
                  uint64_t site, bool want_sum, bool want_stream);

}  // namespace triarch
