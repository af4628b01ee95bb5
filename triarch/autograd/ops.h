// The differentiable ops: each checks its operands, takes its output from the arena, runs its kernel and,
// where there is a tape, records its backward. [rows, cols] as named; S stream type, T operand type.
//
// Plain pointers and spans given to an op (ids, positions, intervals) must live until the backward pass.
#pragma once

#include <span>
#include <vector>

#include "triarch/autograd/context.h"
#include "triarch/kernels/activation.h"
#include "triarch/kernels/attention.h"
#include "triarch/kernels/dropout.h"
#include "triarch/kernels/norm.h"

namespace triarch::ops {

using kernels::Activation;
using kernels::Dropout;
using kernels::NormKind;

// One table and the row of it that each output row takes.
struct Lookup {
  Var table;  // [table rows, cols] S
  const int32_t* ids = nullptr;
};
// S [rows, cols]: scale tokens.table[tokens.ids[i]] + positions... + types...; positions and types may be empty.
Var embedding(Context& ctx, int64_t rows, const Lookup& tokens, double scale, const Lookup& positions,
              const Lookup& types);

// x[index[i]] += rows[i], in place; x S, rows T [index.size(), x.cols]. Indices must not repeat.
void add_rows(Context& ctx, Var& x, const Var& rows, std::span<const int32_t> index);

// T [x.rows, weight.rows]: activation(x weight^T + bias). x T [rows, in], weight T [out, in] with an S
// gradient, bias S [1, out] or empty.
Var linear(Context& ctx, const Var& x, const Var& weight, const Var& bias, Activation activation = Activation::none);

struct Mlp {
  Var weight_in, bias_in;    // T [width, in], gated [2 width, in]; S [1, rows of the weight] or empty
  Var weight_out, bias_out;  // T [out, width]; S [1, out] or empty
  Activation activation = Activation::gelu;
  bool gated = false;
  bool output_read = true;  // false: nobody reads the value; its gradient comes all the same
};
// T [x.rows, out]: the second product of activation(the first), or, gated, of activation(its first half) times its
// second half (Shazeer 2020, eq. 6). Of what is as wide as `width` only the first product is kept: the rest is made
// again in the backward pass.
Var mlp(Context& ctx, const Var& x, const Mlp& mlp);

struct NormOptions {
  NormKind kind = NormKind::layer;
  double eps = 1e-5;
  Dropout dropout;           // on delta
  bool want_sum = false;     // the residual goes on (pre-norm)
  bool want_stream = false;  // the normalised rows are the residual (post-norm)
};
struct Normed {
  Var sum;       // S, if wanted
  Var y;         // T
  Var y_stream;  // S, if wanted; y itself where the types are the same
};
// sum = x + dropout(delta); y = normalise(sum) gain + bias. x S or empty, delta T or empty (one of them
// is given), gain and bias S [1, cols] or empty.
Normed add_norm(Context& ctx, const Var& x, const Var& delta, const Var& gain, const Var& bias,
                const NormOptions& options);

// Rotates `heads` heads from column `column` of x in place, and x's gradient back.
void rotary(Context& ctx, Var& x, int64_t column, int64_t heads, int64_t head_dim, const int32_t* positions,
            const double* frequencies, int64_t dims);

// Where attention finds its operands, and what each row sees.
struct AttentionOperands {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  Var q;  // T [query rows, >= q_column + heads head_dim]
  int64_t q_column = 0;
  Var kv;  // T [key rows, ...]; may be q itself
  int64_t k_column = 0, v_column = 0;
  double scale = 1;
  std::span<const kernels::AttentionSegment> segments;
  int classes = 1;
  const int32_t* begin[2] = {nullptr, nullptr};
  const int32_t* end[2] = {nullptr, nullptr};
  const int32_t* q_positions = nullptr;  // with a bias
  const int32_t* k_positions = nullptr;
  int64_t span = 0;
  Var bias;  // S [heads, 2 span + 1] or empty
  Var r;     // T [2 span + 1, heads head_dim] or empty, with u and v
  Var u, v;  // S [1, heads head_dim]
  Dropout dropout;
};
// T [query rows, heads head_dim]. q and kv must be read by this attention only (rotary apart).
Var attention(Context& ctx, const AttentionOperands& operands);

// S [heads, 2 span + 1] by distance k - q from a table S [buckets, heads] (Raffel et al. 2020, T5's
// bucketing: half of the buckets for each direction when bidirectional, exact up to a quarter, then
// logarithmic up to max_distance).
Var relative_bias(Context& ctx, const Var& table, bool bidirectional, int64_t max_distance, int64_t span);
int64_t relative_bucket(int64_t distance, bool bidirectional, int64_t buckets, int64_t max_distance);

Var dropout(Context& ctx, const Var& x, const Dropout& dropout);  // in place, S or T
// T [index.size(), cols].
Var gather_rows(Context& ctx, const Var& x, std::span<const int32_t> index);
// T [begin.size(), cols]: means of row ranges.
Var mean_rows(Context& ctx, const Var& x, std::vector<int32_t> begin, std::vector<int32_t> end);

struct LossOptions {
  double logit_scale = 1;
  double label_smoothing = 0, z_loss = 0;
  double gradient_scale = 1;  // of every row's loss in the total
  int64_t chunk = 512;        // rows of logits that exist at a time
};
struct Loss {
  double loss = 0;           // sum over rows of weight * loss
  double nll = 0;            // sum over rows of weight * negative log-likelihood, nats
  double weight = 0;         // sum of the weights of rows with a target
  int64_t correct = 0;       // rows whose largest logit is the target
  std::vector<double> rows;  // per row nll, when asked for
  std::vector<int32_t> predictions;
};
// Softmax cross-entropy of hidden weight^T + bias, chunk by chunk: the gradients are computed right here,
// so the rows x vocabulary logits never exist. hidden T [rows, d], weight T [vocabulary, d], bias S or
// empty, targets [rows] (negative: no loss), weights [rows] or empty.
Loss linear_cross_entropy(Context& ctx, const Var& hidden, const Var& weight, const Var& bias,
                          std::span<const int32_t> targets, std::span<const float> weights, const LossOptions& options,
                          bool per_row = false);
// S [rows, vocabulary]: the logits themselves, for generation and inspection. No gradient.
Tensor logits(Context& ctx, const Var& hidden, const Var& weight, const Var& bias, double scale);

// The two halves of a pre-norm residual: what has been summed, and what the next norm adds to it.
struct Residual {
  Var x;      // S
  Var delta;  // T or empty
  Var y;      // T: the normalised rows (post-norm only)
};
// f run without a tape now, and again with one in the backward pass: only its inputs are kept.
// F: Residual(Context&, Residual), a copyable callable that lives until then.
template <class F>
Residual recompute(Context& ctx, const Residual& in, F f);

}  // namespace triarch::ops

#include "triarch/autograd/recompute.h"
