#include "triarch/model/model.h"

#include <algorithm>
#include <cstring>

#include "triarch/base/error.h"
#include "triarch/model/sinusoid.h"

namespace triarch {
namespace {

const Var kNone;

// A constant as a tensor of the arena.
template <class E>
Tensor constant(Context& ctx, const std::vector<E>& values, int64_t rows, int64_t cols) {
  Tensor t = ctx.operand(rows, cols);
  if (ctx.dry) return t;
  dispatch(ctx.precision, [&]<class S, class T>() {
    T* to = t.data<T>();
    for (size_t i = 0; i < values.size(); ++i) to[i] = T(S(values[i]));
  });
  return t;
}

}  // namespace

std::shared_ptr<StackPass> Model::pass_of(Context& ctx, const Stack& stack, const Rows& rows, Cache* cache) const {
  require(!rows.segments.empty(), "model: expected at least one segment of rows, found none");
  auto pass = std::make_shared<StackPass>(spec_, *stack.spec, parameters_, rows);
  pass->cache = cache;
  pass->observer = &attention_observer;
  pass->output_observer = &attention_output_observer;
  pass->surgery = surgery;
  if (stack.spec != &spec_.last()) pass->surgery.path.clear();
  require(surgery.path.empty() || int64_t(surgery.path.size()) == spec_.last().layers,
          "surgery: expected a path of {} layers, found {}", spec_.last().layers, surgery.path.size());
  pass->self.push_back(self_intervals(*stack.spec, 0, rows));
  if (stack.spec->alternate) pass->self.push_back(self_intervals(*stack.spec, 1, rows));
  require(rows.key_rows.empty() || (!cache && !ctx.tape),
          "model: rows that read others' keys are for passes without a cache and without gradients");
  for (int32_t r : rows.key_rows) pass->key_positions.push_back(rows.positions[size_t(r)]);
  int32_t longest = 0;
  for (int32_t p : rows.positions) longest = std::max(longest, p);
  for (int64_t i = 0; i < rows.size(); ++i) {
    if (rows.ids[size_t(i)] == kFeatureRow) pass->feature_rows.push_back(int32_t(i));
  }
  require(rows.features.size() == pass->feature_rows.size() * size_t(spec_.features) &&
              (spec_.features > 0 || pass->feature_rows.empty()),
          "model: expected a feature vector of {} numbers for each of {} rows, found {} numbers", spec_.features,
          pass->feature_rows.size(), rows.features.size());
  switch (spec_.position) {
    case PositionKind::rotary:
      pass->frequencies = rotary_frequencies(spec_.head_dim, spec_.rotary_base);
      break;
    case PositionKind::learned:
    case PositionKind::sinusoidal:
      require(longest < spec_.max_positions, "model: position {} is outside its table of {}; shorten the text", longest,
              spec_.max_positions);
      for (int32_t p : rows.positions) {
        pass->table_positions.push_back(p + (stack.positions ? int32_t(spec_.position_offset) : 0));
      }
      break;
    case PositionKind::relative_bias:
      pass->bias_span = spec_.relative_max_distance;
      pass->bias =
          ops::relative_bias(ctx, parameters_.stream(*stack.relative_bias), sees_both_sides(stack.spec->visibility),
                             spec_.relative_max_distance, pass->bias_span);
      break;
    case PositionKind::relative_term:
      pass->relative_span = cache ? cache->slot_rows() : std::max<int64_t>(1, longest);
      if (!cache || !cache->layers.back().relative_ready) {
        pass->sinusoid = constant(ctx, distance_sinusoid(pass->relative_span, spec_.width), 2 * pass->relative_span + 1,
                                  spec_.width);
      }
      break;
    case PositionKind::none:
      break;
  }
  if (cache) {
    for (const Segment& s : rows.segments) {
      require(s.past + s.length <= cache->slot_rows(), "cache: a sequence of {} rows does not fit a slot of {}",
              s.past + s.length, cache->slot_rows());
      std::copy_n(rows.positions.begin() + s.begin, s.length, cache->positions.begin() + s.key_begin + s.past);
    }
  }
  return pass;
}

Var Model::run(Context& ctx, const Stack& stack, const std::shared_ptr<StackPass>& pass) const {
  const Rows& rows = pass->rows;
  // The first node is the last to go: what ops point to lives until then.
  if (ctx.tape) ctx.tape->record({}, [pass] {});
  ops::Lookup tokens{parameters_.stream(*embedding_), rows.ids.data()}, positions, types;
  if (!pass->table_positions.empty()) {
    positions.ids = pass->table_positions.data();
    if (stack.positions) {
      positions.table = parameters_.stream(*stack.positions);
    } else if (parameters_.precision().stream == DType::f64) {
      positions.table.value =
          Tensor(const_cast<double*>(sinusoid_table64_.data()), DType::f64, spec_.max_positions, spec_.width);
    } else {
      positions.table.value =
          Tensor(const_cast<float*>(sinusoid_table_.data()), DType::f32, spec_.max_positions, spec_.width);
    }
  }
  if (types_) {  // rows without types are all of type 0
    if (rows.types.empty()) pass->no_types.assign(size_t(rows.size()), 0);
    types = {parameters_.stream(*types_), (rows.types.empty() ? pass->no_types : rows.types).data()};
  }
  Var x = ops::embedding(ctx, rows.size(), tokens, spec_.embedding_scale, positions, types);
  if (!pass->feature_rows.empty()) {
    const Var features{constant(ctx, rows.features, int64_t(pass->feature_rows.size()), spec_.features), nullptr};
    ops::add_rows(ctx, x, apply(ctx, parameters_, features_, features), pass->feature_rows);
  }

  ops::Residual r;
  const bool post = spec_.norm_place == NormPlace::post;
  if (stack.embedding_norm.gain || post) {
    const ops::Normed n = apply(ctx, *pass, stack.embedding_norm, x, kNone, 0, false, true);
    r.x = n.y_stream;
    r.y = n.y;
  } else {
    r.x = x;
  }
  x = {};
  if (spec_.dropout > 0) {
    ops::Dropout d{float(spec_.dropout), rows.keys.empty() ? nullptr : rows.keys.data(),
                   mix64(&stack == &decoder_ ? 2 : 1)};
    require(!ctx.training || d.row_keys, "dropout: the batch has no row keys");
    r.x = ops::dropout(ctx, r.x, d);
    if (post && r.y.value.raw() != r.x.value.raw()) r.y = ops::dropout(ctx, r.y, d);
  }
  if (observer) observer(*stack.spec, 0, r);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block* block = &stack.blocks[i];
    const auto forward = [block, pass, i](Context& c, const ops::Residual& in) {
      return block->forward(c, *pass, int64_t(i), in);
    };
    r = recompute && ctx.tape ? ops::recompute(ctx, r, forward) : forward(ctx, r);
    if (observer) observer(*stack.spec, int64_t(i) + 1, r);
  }
  if (post) return r.y;
  return apply(ctx, *pass, stack.norm, r.x, r.delta, mix64(&stack == &decoder_ ? 4 : 3), false, false).y;
}

void Model::set_visibility(Visibility visibility) {
  require(spec_.has_decoder(), "set_visibility: this model has no decoder");
  ModelSpec changed = spec_;
  changed.decoder.visibility = visibility;
  changed.check();
  spec_.decoder.visibility = visibility;
}

Var Model::encode(Context& ctx, const Rows& rows) const {
  require(spec_.has_encoder(), "encode: this model has no encoder");
  return run(ctx, encoder_, pass_of(ctx, encoder_, rows, nullptr));
}

Var Model::decode(Context& ctx, const Rows& rows, const Var& memory, const std::vector<Segment>& segments,
                  Cache* cache) const {
  require(spec_.has_decoder(), "decode: this model has no decoder");
  auto pass = pass_of(ctx, decoder_, rows, cache);
  if (spec_.has_encoder()) {
    pass->memory = memory;
    pass->cross = cross_intervals(rows, cache ? cache->memory : segments);
  }
  return run(ctx, decoder_, pass);
}

Var Model::forward(Context& ctx, const Batch& batch) const {
  if (!spec_.has_decoder()) return encode(ctx, batch.encoder);
  if (!spec_.has_encoder()) return decode(ctx, batch.decoder, kNone, {});
  const Var memory = encode(ctx, batch.encoder);
  return decode(ctx, batch.decoder, memory, batch.encoder.segments);
}

void Model::remember(Context& ctx, const Var& memory, const std::vector<Segment>& segments,
                     std::span<const int32_t> slots, Cache& cache) const {
  require(segments.size() == slots.size(), "remember: expected a slot per encoder segment ({}), found {}",
          segments.size(), slots.size());
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    Segment& m = cache.memory[size_t(slots[i])];
    require(s.length <= cache.memory_rows(), "cache: an input of {} rows does not fit a slot of {}", s.length,
            cache.memory_rows());
    m.length = s.length;
  }
  for (size_t layer = 0; layer < decoder_.blocks.size(); ++layer) {
    const Var kv = apply(ctx, parameters_, decoder_.blocks[layer].cross_kv, {memory.value, nullptr});
    if (ctx.dry) continue;
    Tensor& to = cache.layers[layer].cross_kv;
    for (size_t i = 0; i < segments.size(); ++i) {
      const size_t bytes = size_t(segments[i].length * to.cols() * size_of(to.dtype()));
      std::memcpy(to.row_range(cache.memory[size_t(slots[i])].key_begin, segments[i].length).raw(),
                  kv.value.row_range(segments[i].begin, segments[i].length).raw(), bytes);
    }
  }
}

Var Model::pool(Context& ctx, const Var& hidden, const Rows& rows, Pooling pooling) const {
  std::vector<int32_t> begin, end;
  for (const Segment& s : rows.segments) {
    const bool last = pooling == Pooling::last;
    begin.push_back(last ? s.begin + s.length - 1 : s.begin);
    end.push_back(pooling == Pooling::first ? s.begin + 1 : s.begin + s.length);
  }
  return ops::mean_rows(ctx, hidden, std::move(begin), std::move(end));
}

Model::Reader Model::vocabulary_reader(Context& ctx, const Var& rows) const {
  Reader out;
  out.rows = rows;
  out.scale = spec_.logit_scale;
  if (head_transform_.weight) {
    const Var dense = apply(ctx, parameters_, head_transform_, rows, spec_.activation);
    ops::NormOptions o;
    o.kind = spec_.norm;
    o.eps = spec_.norm_eps;
    out.rows = ops::add_norm(ctx, kNone, dense, parameters_.stream(*head_norm_.gain),
                             head_norm_.bias ? parameters_.stream(*head_norm_.bias) : kNone, o)
                   .y;
  }
  out.weight = parameters_.operand(head_.weight ? *head_.weight : *embedding_);
  if (head_.bias) out.bias = parameters_.stream(*head_.bias);
  return out;
}

Model::Reader Model::reader(Context& ctx, const Var& hidden, const Batch& batch) const {
  if (batch.head == Head::vocabulary) {
    return vocabulary_reader(ctx, ops::gather_rows(ctx, hidden, batch.loss_rows));
  }
  Reader out;
  const LinearLayer* layer = &tags_;
  if (batch.head == Head::classes) {
    layer = &classes_;
    require(layer->weight, "classify: this model has no classification head; finetune it on labelled data first");
    const Rows& rows = spec_.has_decoder() ? batch.decoder : batch.encoder;
    Var pooled = pool(ctx, hidden, rows, spec_.pooling);
    if (pooler_.weight) pooled = apply(ctx, parameters_, pooler_, pooled, Activation::tanh);
    out.rows = ops::gather_rows(ctx, pooled, batch.loss_rows);
  } else {
    require(layer->weight, "tag: this model has no tagging head; finetune it on tagged data first");
    out.rows = ops::gather_rows(ctx, hidden, batch.loss_rows);
  }
  out.weight = parameters_.operand(*layer->weight);
  out.bias = parameters_.stream(*layer->bias);
  return out;
}

ops::Loss Model::loss(Context& ctx, const Var& hidden, const Batch& batch, const ops::LossOptions& options,
                      bool per_row) const {
  const Reader r = reader(ctx, hidden, batch);
  ops::LossOptions o = options;
  o.logit_scale = r.scale;
  return ops::linear_cross_entropy(ctx, r.rows, r.weight, r.bias, batch.targets, batch.weights, o, per_row);
}

Tensor Model::logits(Context& ctx, const Var& hidden, std::span<const int32_t> index) const {
  const Reader r = vocabulary_reader(ctx, ops::gather_rows(ctx, hidden, index));
  return ops::logits(ctx, r.rows, r.weight, r.bias, r.scale);
}

Tensor Model::logits(Context& ctx, const Var& hidden, const Batch& batch) const {
  const Reader r = reader(ctx, hidden, batch);
  return ops::logits(ctx, r.rows, r.weight, r.bias, r.scale);
}

}  // namespace triarch
