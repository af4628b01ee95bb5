#include "triarch/model/block.h"

#include <cstring>

#include "triarch/base/error.h"

namespace triarch {
namespace {

// Dropout sites: (stack, layer, place). Rows carry the seed.
uint64_t site_of(const StackPass& pass, int64_t layer, int place) {
  const bool decoder = &pass.stack == &pass.spec.decoder;
  return mix64((uint64_t(layer) * 2 + uint64_t(decoder)) * 16 + uint64_t(place) + 1);
}

ops::Dropout dropout_at(const StackPass& pass, double rate, uint64_t site) {
  if (rate == 0) return {};
  return {float(rate), pass.rows.keys.empty() ? nullptr : pass.rows.keys.data(), site};
}

// A parameter that a layer may lack.
Var stream_if(const Parameters& p, Parameter* parameter) { return parameter ? p.stream(*parameter) : Var{}; }

// x + f(norm(x)), or norm(x + f(x)). Pre-norm leaves the addition to the next norm, which does both in one walk.
template <class F>
ops::Residual sublayer(Context& ctx, const StackPass& pass, const NormLayer& norm, uint64_t site,
                       const ops::Residual& in, bool skip, F f) {
  if (pass.spec.norm_place == NormPlace::pre) {
    ops::Normed n = apply(ctx, pass, norm, in.x, in.delta, site, true, false);
    if (!skip) return {f(n.y), {}, {}};
    return {n.sum, f(n.y), {}};
  }
  if (!skip) {
    const ops::Normed n = apply(ctx, pass, norm, f(in.y), {}, site, false, true);
    return {n.y_stream, {}, n.y};
  }
  const ops::Normed n = apply(ctx, pass, norm, in.x, f(in.y), site, false, true);
  return {n.y_stream, {}, n.y};
}

// The keys and values of this pass's content rows go behind those that the cache has.
void append(const StackPass& pass, const Tensor& qkv, int64_t column, Tensor& kv) {
  const size_t bytes = size_t(kv.cols() * size_of(kv.dtype()));
  for (const Segment& s : pass.rows.segments) {
    for (int32_t r = 0; r < s.length; ++r) {
      std::memcpy(kv.row_range(s.key_begin + s.past + r, 1).raw(),
                  qkv.row_range(s.begin + r, 1).columns(column, kv.cols()).raw(), bytes);
    }
  }
}

// XLNet's keys of distances, for the passes to come.
void keep(Cache::Layer& layer, const Tensor& relative) {
  std::memcpy(layer.relative.raw(), relative.raw(),
              size_t(relative.rows() * relative.cols() * size_of(relative.dtype())));
  layer.relative_ready = true;
}

}  // namespace

Var apply(Context& ctx, const Parameters& p, const LinearLayer& layer, const Var& x, Activation activation) {
  return ops::linear(ctx, x, p.operand(*layer.weight), stream_if(p, layer.bias), activation);
}

ops::Normed apply(Context& ctx, const StackPass& pass, const NormLayer& norm, const Var& x, const Var& delta,
                  uint64_t site, bool want_sum, bool want_stream) {
  ops::NormOptions o;
  o.kind = norm.gain ? pass.spec.norm : NormKind::none;
  o.eps = pass.spec.norm_eps;
  if (!delta.empty()) o.dropout = dropout_at(pass, pass.spec.dropout, site);
  o.want_sum = want_sum;
  o.want_stream = want_stream;
  const Parameters& p = pass.parameters;
  return ops::add_norm(ctx, x, delta, stream_if(p, norm.gain), stream_if(p, norm.bias), o);
}

ops::Residual Block::forward(Context& ctx, const StackPass& pass, int64_t layer, const ops::Residual& in) const {
  const Surgery& left = pass.surgery;
  const bool on_path = !left.path.empty();
  if (on_path && left.path[size_t(layer)] == Surgery::kLeftOut) return in;
  ops::Residual r = sublayer(ctx, pass, self_norm, site_of(pass, layer, 0), in, left.skip && !on_path,
                             [&](const Var& y) { return self_attention(ctx, pass, layer, y); });
  if (cross_q.weight) {
    r = sublayer(ctx, pass, cross_norm, site_of(pass, layer, 1), r, left.skip,
                 [&](const Var& y) { return cross_attention(ctx, pass, layer, y); });
  }
  if (!left.feed_forward) return r;
  return sublayer(ctx, pass, mlp_norm, site_of(pass, layer, 2), r, left.skip,
                  [&](const Var& y) { return feed_forward(ctx, pass, y); });
}

Var Block::self_attention(Context& ctx, const StackPass& pass, int64_t layer, const Var& y) const {
  const ModelSpec& spec = pass.spec;
  const Parameters& p = pass.parameters;
  const int64_t q_width = spec.heads * spec.head_dim, kv_width = spec.kv_heads * spec.head_dim;
  Var rows = apply(ctx, p, qkv, y);
  if (spec.position == PositionKind::rotary) {
    ops::rotary(ctx, rows, 0, spec.heads + spec.kv_heads, spec.head_dim, pass.rows.positions.data(),
                pass.frequencies.data(), spec.head_dim);
  }
  ops::AttentionOperands o;
  o.heads = spec.heads;
  o.kv_heads = spec.kv_heads;
  o.head_dim = spec.head_dim;
  o.q = rows;
  o.kv = rows;
  o.k_column = q_width;
  o.v_column = q_width + kv_width;
  o.k_positions = o.q_positions = pass.rows.positions.data();
  if (!pass.rows.key_rows.empty()) {
    o.kv = ops::gather_rows(ctx, {rows.value.columns(q_width, 2 * kv_width), nullptr}, pass.rows.key_rows);
    o.k_column = 0;
    o.v_column = kv_width;
    o.k_positions = pass.key_positions.data();
  }
  if (pass.cache) {
    Tensor& kv = pass.cache->layers[size_t(layer)].self_kv;
    if (!ctx.dry) append(pass, rows.value, q_width, kv);
    o.kv = {kv, nullptr};
    o.k_column = 0;
    o.v_column = kv_width;
    o.k_positions = pass.cache->positions.data();
  }
  o.scale = spec.score_scale();
  const Intervals& look = pass.self[size_t(layer) % pass.self.size()];
  o.segments = look.segments;
  o.classes = look.classes;
  for (int c = 0; c < look.classes; ++c) {
    o.begin[c] = look.begin[c].data();
    o.end[c] = look.end[c].data();
  }
  if (spec.position == PositionKind::relative_bias) {
    o.bias = pass.bias;
    o.span = pass.bias_span;
  }
  if (spec.position == PositionKind::relative_term) {
    if (pass.cache && pass.cache->layers[size_t(layer)].relative_ready) {
      o.r = {pass.cache->layers[size_t(layer)].relative, nullptr};
    } else {
      o.r = ops::linear(ctx, {pass.sinusoid, nullptr}, p.operand(*relative), {});
      if (pass.cache && !ctx.dry) keep(pass.cache->layers[size_t(layer)], o.r.value);
    }
    o.u = p.stream(*content_bias);
    o.v = p.stream(*position_bias);
    o.span = pass.relative_span;
  }
  o.dropout = dropout_at(pass, spec.attention_dropout, site_of(pass, layer, 3));
  return attend(ctx, pass, layer, false, o);
}

Var Block::cross_attention(Context& ctx, const StackPass& pass, int64_t layer, const Var& y) const {
  const ModelSpec& spec = pass.spec;
  ops::AttentionOperands o;
  o.heads = spec.heads;
  o.kv_heads = spec.kv_heads;
  o.head_dim = spec.head_dim;
  o.q = apply(ctx, pass.parameters, cross_q, y);
  if (pass.cache) {
    o.kv = {pass.cache->layers[size_t(layer)].cross_kv, nullptr};
  } else {
    o.kv = apply(ctx, pass.parameters, cross_kv, pass.memory);
  }
  o.v_column = spec.kv_heads * spec.head_dim;
  o.scale = spec.score_scale();
  o.segments = pass.cross.segments;
  o.begin[0] = pass.cross.begin[0].data();
  o.end[0] = pass.cross.end[0].data();
  o.dropout = dropout_at(pass, spec.attention_dropout, site_of(pass, layer, 4));
  return attend(ctx, pass, layer, true, o);
}

Var Block::attend(Context& ctx, const StackPass& pass, int64_t layer, bool cross,
                  const ops::AttentionOperands& o) const {
  if (pass.observer && *pass.observer && !ctx.dry) (*pass.observer)(ctx, pass.stack, layer, cross, o);
  const Var heads = ops::attention(ctx, o);
  const Var out = cross ? apply(ctx, pass.parameters, cross_out, heads) : project(ctx, pass, layer, heads);
  if (pass.output_observer && *pass.output_observer && !ctx.dry) (*pass.output_observer)(pass.stack, layer, cross, out);
  return out;
}

Var Block::project(Context& ctx, const StackPass& pass, int64_t layer, const Var& heads) const {
  const Parameters& p = pass.parameters;
  if (pass.surgery.path.empty()) return apply(ctx, p, self_out, heads);
  const int64_t width = pass.spec.head_dim, column = pass.surgery.path[size_t(layer)] * width;
  return ops::linear(ctx, {heads.value.columns(column, width), nullptr},
                     {p.operand(*self_out.weight).value.columns(column, width), nullptr},
                     {stream_if(p, self_out.bias).value, nullptr});
}

Var Block::feed_forward(Context& ctx, const StackPass& pass, const Var& y) const {
  const ModelSpec& spec = pass.spec;
  const Parameters& p = pass.parameters;
  ops::Mlp o;
  o.weight_in = p.operand(*mlp_in.weight);
  o.bias_in = stream_if(p, mlp_in.bias);
  o.weight_out = p.operand(*mlp_out.weight);
  o.bias_out = stream_if(p, mlp_out.bias);
  o.activation = spec.activation;
  o.gated = spec.gated;
  o.output_read = !ctx.again || spec.norm_place == NormPlace::post;  // with norms last, the norm behind it reads it
  return ops::mlp(ctx, y, o);
}

}  // namespace triarch
