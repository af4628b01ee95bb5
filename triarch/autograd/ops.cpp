#include "triarch/autograd/ops.h"

#include "triarch/base/error.h"
#include "triarch/kernels/embedding.h"
#include "triarch/kernels/rotary.h"
#include "triarch/kernels/rows.h"

namespace triarch::ops {
Var embedding(Context& ctx, int64_t rows, const Lookup& tokens, double scale, const Lookup& positions,
              const Lookup& types) {
  const int64_t cols = tokens.table.cols();
  Var out = ctx.var(ctx.stream(rows, cols), wanted(tokens.table) || wanted(positions.table) || wanted(types.table));
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::EmbeddingForward<S> a;
    a.rows = rows;
    a.cols = cols;
    a.ids = tokens.ids;
    a.table = tokens.table.value.data<S>();
    a.scale = S(scale);
    a.positions = positions.ids;
    a.position_table = data_or_null<S>(positions.table.value);
    a.types = types.ids;
    a.type_table = data_or_null<S>(types.table.value);
    a.out = out.value.data<S>();
    if (!ctx.dry) kernels::embedding_forward(a);
  });
  if (!out.gradient) return out;
  ctx.tape->record({out.gradient}, [&ctx, rows, cols, scale, tokens, positions, types, g = out.gradient] {
    const auto back = [&](const Lookup& lookup, double factor) {
      if (!wanted(lookup.table)) return;
      const Destination d =
          Tape::destination(lookup.table.gradient, ctx.arena, ctx.precision.stream, lookup.table.rows(), cols);
      if (ctx.dry) return;
      dispatch(ctx.precision, [&]<class S, class T>() {
        kernels::EmbeddingBackward<S> a;
        a.rows = rows;
        a.cols = cols;
        a.table_rows = lookup.table.rows();
        a.ids = lookup.ids;
        a.scale = S(factor);
        a.dout = g->value.template data<S>();
        a.table_gradient = d.value.template data<S>();
        a.accumulate = d.accumulate;
        kernels::embedding_backward(a);
      });
    };
    back(tokens, scale);
    back(positions, 1);
    back(types, 1);
  });
  return out;
}

void add_rows(Context& ctx, Var& x, const Var& rows, std::span<const int32_t> index) {
  const int64_t count = int64_t(index.size()), cols = x.cols();
  require(rows.rows() == count && rows.cols() == cols, "add_rows: expected {} rows of {} elements, found {} of {}",
          count, cols, rows.rows(), rows.cols());
  const bool same_types = ctx.precision.stream == ctx.precision.operand;
  const Tensor added = same_types ? rows.value : ctx.stream(count, cols);
  dispatch(ctx.precision, [&]<class S, class T>() {
    if (ctx.dry) return;
    if constexpr (!std::is_same_v<S, T>) {
      kernels::convert(kernels::Convert<T, S>{count * cols, rows.value.data<T>(), added.data<S>()});
    }
    kernels::ScatterRows<S> a;
    a.rows = count;
    a.cols = cols;
    a.x_rows = x.rows();
    a.index = index.data();
    a.dout = added.data<S>();
    a.x = x.value.data<S>();
    a.accumulate = true;
    kernels::scatter_rows(a);
  });
  if (!ctx.tape || !wanted(rows)) return;
  if (!x.gradient) x.gradient = ctx.tape->gradient();
  // Not an output of this node: what x was before has it still to read.
  ctx.tape->record({}, [&ctx, drows = rows.gradient, index, count, cols, same_types, g = x.gradient] {
    if (!g->written) return;
    const Destination d = Tape::destination(drows, ctx.arena, ctx.precision.operand, count, cols);
    require(!d.accumulate, "add_rows: the rows are read once, found a second reader");
    const Tensor picked = same_types ? d.value : ctx.stream(count, cols);
    if (ctx.dry) return;
    dispatch(ctx.precision, [&]<class S, class T>() {
      kernels::GatherRows<S> a;
      a.rows = count;
      a.cols = cols;
      a.index = index.data();
      a.x = g->value.template data<S>();
      a.x_stride = g->value.stride();
      a.out = picked.data<S>();
      a.out_stride = cols;
      kernels::gather_rows(a);
      if constexpr (!std::is_same_v<S, T>) {
        kernels::convert(kernels::Convert<S, T>{count * cols, picked.data<S>(), d.value.data<T>()});
      }
    });
  });
}

Normed add_norm(Context& ctx, const Var& x, const Var& delta, const Var& gain, const Var& bias,
                const NormOptions& options) {
  require(!x.empty() || !delta.empty(), "add_norm: expected a residual or an addition, found neither");
  const int64_t rows = x.empty() ? delta.rows() : x.rows(), cols = x.empty() ? delta.cols() : x.cols();
  const bool gradient = wanted(x) || wanted(delta) || wanted(gain) || wanted(bias);
  const bool taped = ctx.tape && gradient;
  const bool same_types = ctx.precision.stream == ctx.precision.operand;

  Normed out;
  Tensor sum = x.value;  // without an addition the sum is x itself
  if (!delta.empty() && (options.want_sum || taped)) sum = ctx.stream(rows, cols);
  out.y = ctx.var(ctx.operand(rows, cols), gradient);
  if (options.want_sum) out.sum = delta.empty() ? x : ctx.var(sum, gradient);
  if (options.want_stream) out.y_stream = same_types ? out.y : ctx.var(ctx.stream(rows, cols), gradient);
  Tensor mean, rstd;
  if (taped && options.kind == NormKind::layer) mean = ctx.stream(1, rows);
  if (taped && options.kind != NormKind::none) rstd = ctx.stream(1, rows);
  Dropout drop = options.dropout;
  if (!ctx.training) drop.rate = 0;

  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::NormForward<S, T> a;
    a.rows = rows;
    a.cols = cols;
    a.x = data_or_null<S>(x.value);
    a.delta = data_or_null<T>(delta.value);
    a.dropout = drop;
    a.kind = options.kind;
    a.gain = data_or_null<S>(gain.value);
    a.bias = data_or_null<S>(bias.value);
    a.eps = S(options.eps);
    a.sum = !delta.empty() && (options.want_sum || taped) ? sum.data<S>() : nullptr;
    a.y = out.y.value.data<T>();
    a.y_stream = options.want_stream && !same_types ? out.y_stream.value.data<S>() : nullptr;
    a.mean = data_or_null<S>(mean);
    a.rstd = data_or_null<S>(rstd);
    if (!ctx.dry) kernels::norm_forward(a);
  });
  if (!taped) return out;

  // Without an addition, gradients that reach x by the residual path are x's own.
  Gradient* const g_sum = options.want_sum && !delta.empty() ? out.sum.gradient : nullptr;
  Gradient* const g_stream = options.want_stream && !same_types ? out.y_stream.gradient : nullptr;
  // Of the two that were added only the sum is kept.
  ctx.tape->record(
      {out.y.gradient, g_sum, g_stream}, [&ctx, rows, cols, dx = x.gradient, ddelta = delta.gradient, gain, bias,
                                          options, drop, sum, mean, rstd, g_y = out.y.gradient, g_sum, g_stream] {
        dispatch(ctx.precision, [&]<class S, class T>() {
          kernels::NormBackward<S, T> a;
          a.rows = rows;
          a.cols = cols;
          a.dy = g_y->written ? g_y->value.template data<T>() : nullptr;
          a.dy_stream = g_stream && g_stream->written ? g_stream->value.template data<S>() : nullptr;
          a.dsum_in = g_sum && g_sum->written ? g_sum->value.template data<S>() : nullptr;
          a.sum = sum.data<S>();
          a.kind = options.kind;
          a.gain = data_or_null<S>(gain.value);
          a.mean = data_or_null<S>(mean);
          a.rstd = data_or_null<S>(rstd);
          a.dropout = drop;
          if (dx) {
            const Destination d = Tape::destination(dx, ctx.arena, ctx.precision.stream, rows, cols);
            a.dx = d.value.template data<S>();
            a.accumulate_dx = d.accumulate;
          }
          if (ddelta) {
            const Destination d = Tape::destination(ddelta, ctx.arena, ctx.precision.operand, rows, cols);
            require(!d.accumulate, "add_norm: an addition is read once, found a second reader");
            a.ddelta = d.value.template data<T>();
          }
          if (wanted(gain)) {
            const Destination d = Tape::destination(gain.gradient, ctx.arena, ctx.precision.stream, 1, cols);
            a.dgain = d.value.template data<S>();
            a.accumulate_parameters = d.accumulate;
          }
          if (wanted(bias)) {
            const Destination d = Tape::destination(bias.gradient, ctx.arena, ctx.precision.stream, 1, cols);
            a.dbias = d.value.template data<S>();
            a.accumulate_parameters = d.accumulate;
          }
          if (!ctx.dry) kernels::norm_backward(a);
        });
      });
  return out;
}

void rotary(Context& ctx, Var& x, int64_t column, int64_t heads, int64_t head_dim, const int32_t* positions,
            const double* frequencies, int64_t dims) {
  const auto rotate = [&ctx, column, heads, head_dim, positions, frequencies, dims](const Tensor& t, bool inverse) {
    if (ctx.dry) return;
    dispatch(ctx.precision, [&]<class S, class T>() {
      kernels::Rotary<T> a;
      a.rows = t.rows();
      a.heads = heads;
      a.head_dim = head_dim;
      a.dims = dims;
      a.x = t.data<T>() + column;
      a.stride = t.stride();
      a.positions = positions;
      a.frequencies = frequencies;
      a.inverse = inverse;
      kernels::rotary(a);
    });
  };
  rotate(x.value, false);
  if (ctx.tape && x.gradient) {
    ctx.tape->record({}, [rotate, g = x.gradient] {
      if (g->written) rotate(g->value, true);
    });
  }
}

Var dropout(Context& ctx, const Var& x, const Dropout& dropout) {
  if (!ctx.training || dropout.rate == 0) return x;
  const auto apply = [&ctx, dropout](const Tensor& t) {
    if (ctx.dry) return;
    const auto run = [&]<class E>() {
      kernels::DropoutApply<E> a;
      a.rows = t.rows();
      a.cols = t.cols();
      a.x = t.data<E>();
      a.dropout = dropout;
      kernels::dropout_apply(a);
    };
    if (t.dtype() == DType::f32) run.template operator()<float>();
    if (t.dtype() == DType::bf16) run.template operator()<bf16>();
    if (t.dtype() == DType::f64) run.template operator()<double>();
  };
  apply(x.value);
  if (ctx.tape && x.gradient) {
    ctx.tape->record({}, [apply, g = x.gradient] {
      if (g->written) apply(g->value);
    });
  }
  return x;
}

Var gather_rows(Context& ctx, const Var& x, std::span<const int32_t> index) {
  const int64_t rows = int64_t(index.size()), cols = x.cols();
  Var out = ctx.var(ctx.operand(rows, cols), wanted(x));
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::GatherRows<T> a;
    a.rows = rows;
    a.cols = cols;
    a.index = index.data();
    a.x = x.value.data<T>();
    a.x_stride = x.value.stride();
    a.out = out.value.data<T>();
    a.out_stride = cols;
    if (!ctx.dry) kernels::gather_rows(a);
  });
  if (!out.gradient) return out;
  ctx.tape->record({out.gradient}, [&ctx, rows, cols, x_rows = x.rows(), dx = x.gradient, index, g = out.gradient] {
    const Destination d = Tape::destination(dx, ctx.arena, ctx.precision.operand, x_rows, cols);
    if (ctx.dry) return;
    dispatch(ctx.precision, [&]<class S, class T>() {
      kernels::ScatterRows<T> a;
      a.rows = rows;
      a.cols = cols;
      a.x_rows = x_rows;
      a.index = index.data();
      a.dout = g->value.template data<T>();
      a.x = d.value.template data<T>();
      a.accumulate = d.accumulate;
      kernels::scatter_rows(a);
    });
  });
  return out;
}

Var mean_rows(Context& ctx, const Var& x, std::vector<int32_t> begin, std::vector<int32_t> end) {
  require(begin.size() == end.size(), "mean_rows: expected as many ends as begins, found {} and {}", end.size(),
          begin.size());
  const int64_t segments = int64_t(begin.size()), cols = x.cols();
  Var out = ctx.var(ctx.operand(segments, cols), wanted(x));
  dispatch(ctx.precision, [&]<class S, class T>() {
    kernels::MeanRows<T> a;
    a.segments = segments;
    a.cols = cols;
    a.begin = begin.data();
    a.end = end.data();
    a.x = x.value.data<T>();
    a.out = out.value.data<T>();
    if (!ctx.dry) kernels::mean_rows(a);
  });
  if (!out.gradient) return out;
  ctx.tape->record({out.gradient}, [&ctx, segments, cols, x_rows = x.rows(), dx = x.gradient, begin = std::move(begin),
                                    end = std::move(end), g = out.gradient] {
    const Destination d = Tape::destination(dx, ctx.arena, ctx.precision.operand, x_rows, cols);
    if (ctx.dry) return;
    dispatch(ctx.precision, [&]<class S, class T>() {
      kernels::MeanRowsBackward<T> a;
      a.segments = segments;
      a.cols = cols;
      a.x_rows = x_rows;
      a.begin = begin.data();
      a.end = end.data();
      a.dout = g->value.template data<T>();
      a.dx = d.value.template data<T>();
      a.accumulate = d.accumulate;
      kernels::mean_rows_backward(a);
    });
  });
  return out;
}

}  // namespace triarch::ops
