// A model's parameters: names, shapes and initial distributions.
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/model/model.h"
#include "triarch/model/sinusoid.h"

namespace triarch {
namespace {

// Adds parameters under the options of a spec.
struct Builder {
  const ModelSpec& spec;
  Parameters& parameters;

  // Matrices: 1/sqrt(fan-in) or the spec's constant; those that write to the residual stream are
  // divided by sqrt(2 layers) (Radford et al. 2019, section 2.3).
  LinearLayer linear(const std::string& name, int64_t out, int64_t in, bool bias, int64_t residual_layers = 0) const {
    double std = spec.init_std > 0 ? spec.init_std : 1 / std::sqrt(double(in));
    if (residual_layers > 0) std /= std::sqrt(2.0 * double(residual_layers));
    LinearLayer layer;
    layer.weight = &parameters.add(name + ".weight", out, in, ParameterKind::matrix, std);
    if (bias) layer.bias = &vector(name + ".bias", out, 0);
    return layer;
  }
  NormLayer norm(const std::string& name) const {
    NormLayer layer;
    layer.gain = &vector(name + ".gain", spec.width, 1);
    if (spec.norm_bias) layer.bias = &vector(name + ".bias", spec.width, 0);
    return layer;
  }
  Parameter& vector(const std::string& name, int64_t size, double value) const {
    return parameters.add(name, 1, size, ParameterKind::vector, 0, value);
  }
  Parameter& table(const std::string& name, int64_t rows) const {
    const double std = spec.init_std > 0 ? spec.init_std : 0.5 / std::sqrt(double(spec.width));
    return parameters.add(name, rows, spec.width, ParameterKind::embedding, std);
  }
};

}  // namespace

Model::Model(const ModelSpec& spec, Precision precision) : spec_(spec), parameters_(precision) {
  spec_.check();
  const Builder b{spec_, parameters_};
  embedding_ = &b.table("embedding.weight", spec_.vocabulary);
  if (spec_.token_types > 0) types_ = &b.table("embedding.types.weight", spec_.token_types);
  if (spec_.features > 0) {
    features_ = b.linear("embedding.features", spec_.width, spec_.features, true);
    // Vectors of numbers of unit size begin as large as tokens.
    features_.weight->init_std = embedding_->init_std / std::sqrt(double(spec_.features));
  }
  if (spec_.has_encoder()) encoder_ = build_stack(spec_.encoder, "encoder", false, nullptr);
  if (spec_.has_decoder()) {
    decoder_ = build_stack(spec_.decoder, "decoder", spec_.has_encoder(), spec_.share_stacks ? &encoder_ : nullptr);
  }
  if (spec_.head_transform) {
    head_transform_ = b.linear("head.transform", spec_.width, spec_.width, true);
    head_norm_ = b.norm("head.norm");
  }
  if (!spec_.tied) head_ = b.linear("head", spec_.vocabulary, spec_.width, false);
  if (spec_.head_bias) head_.bias = &b.vector("head.bias", spec_.vocabulary, 0);
  if (spec_.classes > 0) {
    if (spec_.pooler) pooler_ = b.linear("classes.pooler", spec_.width, spec_.width, true);
    classes_ = b.linear("classes", spec_.classes, spec_.width, true);
  }
  if (spec_.tags > 0) tags_ = b.linear("tags", spec_.tags, spec_.width, true);
}

Model::Model(const ModelSpec& spec, Precision precision, bool with_gradients) : Model(spec, precision) {
  if (spec_.position == PositionKind::sinusoidal)
    sinusoid_table64_ = position_sinusoid(spec_.max_positions, spec_.width);
  sinusoid_table_.assign(sinusoid_table64_.begin(), sinusoid_table64_.end());
  parameters_.allocate(with_gradients);
}

Model::Size Model::measure(const ModelSpec& spec) {
  const Model model(spec, Precision::float32());
  return {model.parameters_.count(), model.parameters_.flat_size()};
}

Stack Model::build_stack(const StackSpec& stack_spec, const std::string& name, bool cross, const Stack* shared) {
  const Builder b{spec_, parameters_};
  const int64_t q = spec_.heads * spec_.head_dim, kv = spec_.kv_heads * spec_.head_dim;
  const int64_t inner = spec_.gated ? 2 * spec_.mlp_width : spec_.mlp_width;
  Stack s;
  s.spec = &stack_spec;
  if (spec_.position == PositionKind::learned) {
    s.positions = &b.table(name + ".positions.weight", spec_.max_positions + spec_.position_offset);
  }
  if (spec_.embedding_norm) s.embedding_norm = b.norm(name + ".embedding_norm");
  if (spec_.position == PositionKind::relative_bias) {
    s.relative_bias = &parameters_.add(name + ".relative_bias.weight", spec_.relative_buckets, spec_.heads,
                                       ParameterKind::embedding, 1 / std::sqrt(double(spec_.width)));
  }
  for (int64_t i = 0; i < stack_spec.layers; ++i) {
    const std::string layer = fmt::format("{}.layers.{}", name, i);
    Block block;
    if (shared) block = shared->blocks[size_t(i)];
    if (!shared) {
      block.self_norm = b.norm(layer + ".self.norm");
      block.qkv = b.linear(layer + ".self.qkv", q + 2 * kv, spec_.width, spec_.biases);
      block.self_out = b.linear(layer + ".self.out", spec_.width, q, spec_.biases, stack_spec.layers);
      if (spec_.position == PositionKind::relative_term) {
        block.relative = b.linear(layer + ".self.relative", q, spec_.width, false).weight;
        block.content_bias = &b.vector(layer + ".self.content_bias", q, 0);
        block.position_bias = &b.vector(layer + ".self.position_bias", q, 0);
      }
    }
    if (cross) {
      block.cross_norm = b.norm(layer + ".cross.norm");
      block.cross_q = b.linear(layer + ".cross.q", q, spec_.width, spec_.biases);
      block.cross_kv = b.linear(layer + ".cross.kv", 2 * kv, spec_.width, spec_.biases);
      block.cross_out = b.linear(layer + ".cross.out", spec_.width, q, spec_.biases, stack_spec.layers);
    }
    if (!shared) {
      block.mlp_norm = b.norm(layer + ".mlp.norm");
      block.mlp_in = b.linear(layer + ".mlp.in", inner, spec_.width, spec_.biases);
      block.mlp_out = b.linear(layer + ".mlp.out", spec_.width, spec_.mlp_width, spec_.biases, stack_spec.layers);
    }
    s.blocks.push_back(block);
  }
  if (shared) {
    s.norm = shared->norm;
    s.relative_bias = shared->relative_bias;
  } else if (spec_.norm_place == NormPlace::pre) {
    s.norm = b.norm(name + ".norm");
  }
  return s;
}

}  // namespace triarch
