#include "triarch/model/spec.h"

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/base/human.h"

namespace triarch {
namespace {

constexpr int64_t kMostRows = int64_t(1) << 31, kMostWidth = 1 << 17, kMostInner = 1 << 20, kMostLayers = 10000;

}  // namespace

Layout layout_of(Family family) {
  switch (family) {
    case Family::encoder:
      return Layout::encoder;
    case Family::encoder_decoder:
      return Layout::encoder_decoder;
    case Family::permutation:
      return Layout::permutation;
    case Family::causal:
    case Family::prefix:
      break;
  }
  return Layout::decoder;
}

double ModelSpec::score_scale() const {
  return attention_scale != 0 ? attention_scale : 1 / std::sqrt(double(head_dim));
}

void ModelSpec::check() const {
  const auto wrong = [](const char* key, const std::string& what) { fail(ExitCode::usage, "model.{}: {}", key, what); };
  // Beyond any model there is, and such that no count of weights or bytes leaves 64 bits.
  const auto bounded = [&](const char* key, int64_t found, int64_t least, int64_t most) {
    if (found < least || found > most) wrong(key, fmt::format("expected {} to {}, found {}", least, most, found));
  };
  bounded("vocabulary", vocabulary, 1, kMostRows);
  bounded("width", width, 1, kMostWidth);
  bounded("heads", heads, 1, kMostWidth);
  bounded("head_dim", head_dim, 1, kMostWidth);
  if (heads * head_dim > kMostInner) {
    wrong("heads",
          fmt::format("expected heads times head_dim to be at most {}, found {}", kMostInner, heads * head_dim));
  }
  if (kv_heads < 1 || heads % kv_heads != 0) {
    wrong("kv_heads", fmt::format("expected a divisor of heads = {}, found {}", heads, kv_heads));
  }
  bounded("mlp_width", mlp_width, 1, kMostInner);
  if (position == PositionKind::rotary && head_dim % 2 != 0) {
    wrong("head_dim", fmt::format("rotary positions need an even width of a head, found {}", head_dim));
  }
  if (position == PositionKind::relative_bias && relative_buckets < 4) {
    wrong("relative_buckets", fmt::format("expected at least 4, found {}", relative_buckets));
  }
  bounded("max_positions", max_positions, 1, kMostRows);
  bounded("features", features, 0, kMostRows);
  bounded("position_offset", position_offset, 0, kMostRows);
  bounded("relative_buckets", relative_buckets, 1, kMostWidth);
  bounded("token_types", token_types, 0, kMostRows);
  bounded("classes", classes, 0, kMostRows);
  bounded("tags", tags, 0, kMostRows);
  if (dropout < 0 || dropout >= 1) wrong("dropout", fmt::format("expected a rate in [0, 1), found {}", dropout));
  if (attention_dropout < 0 || attention_dropout >= 1) {
    wrong("attention_dropout", fmt::format("expected a rate in [0, 1), found {}", attention_dropout));
  }
  if (!has_encoder() && !has_decoder()) wrong("decoder.layers", "expected at least one stack with layers");
  const bool both = has_encoder() && has_decoder();
  if (both != (family == Family::encoder_decoder)) {
    wrong("family", "an encoder and a decoder stack go together in family encoder_decoder, and only there");
  }
  if (family == Family::encoder && !has_encoder()) wrong("encoder.layers", "family encoder needs an encoder stack");
  if (share_stacks && (!both || encoder.layers != decoder.layers)) {
    wrong("share_stacks", "needs an encoder-decoder with equally many layers in both stacks");
  }
  for (const StackSpec* s : {&encoder, &decoder}) {
    bounded(s == &encoder ? "encoder.layers" : "decoder.layers", s->layers, 0, kMostLayers);
    if (s->layers > 0 && s->visibility == Visibility::forward_backward && !s->alternate && heads % 2 != 0) {
      wrong("heads", fmt::format("forward-backward visibility by heads needs an even number, found {}", heads));
    }
  }
  if (has_decoder() && (decoder.visibility == Visibility::full || decoder.visibility == Visibility::backward)) {
    wrong("decoder.visibility",
          "a decoder that predicts from left to right must not see what it predicts; "
          "take causal, prefix, turn_prefix or forward_backward (inside a prefix)");
  }
}

namespace {

int64_t rounded(double x, int64_t to) { return std::max<int64_t>(to, int64_t(std::llround(x / double(to))) * to); }

// Heads of about 16, 32 or 64, by the width; of an even width, and together as wide as the model where that can be.
int64_t heads_of(int64_t width) {
  const double wanted = double(width) / (width <= 64 ? 16 : width <= 192 ? 32 : 64);
  int64_t best = 1;
  for (int64_t n = 1; n <= width / 2; ++n) {
    if (width % (2 * n) == 0 && std::abs(double(n) - wanted) < std::abs(double(best) - wanted)) best = n;
  }
  return best;
}

}  // namespace

ModelSpec preset(const std::string& name, Family family, int64_t width, int64_t layers) {
  if (width < 1 || width > kMostWidth) {
    fail(ExitCode::usage, "model.width: expected 1 to {}, found {}", kMostWidth, width);
  }
  ModelSpec s;
  s.preset = name;
  s.family = family;
  s.width = width;
  s.heads = heads_of(width);
  s.head_dim = width / s.heads;
  s.kv_heads = s.heads;
  s.mlp_width = 4 * width;
  switch (family) {
    case Family::encoder:
      s.encoder = {layers, Visibility::full};
      break;
    case Family::causal:
    case Family::permutation:
      s.decoder = {layers, Visibility::causal};
      break;
    case Family::prefix:
      s.decoder = {layers, Visibility::prefix};
      break;
    case Family::encoder_decoder:
      s.encoder = {layers, Visibility::full};
      s.decoder = {layers, Visibility::causal};
      break;
  }
  if (family == Family::permutation) s.decoder.visibility = Visibility::prefix;

  const auto classic = [&] {  // what the models of 2018-2020 share
    s.norm = NormKind::layer;
    s.norm_bias = true;
    s.gated = false;
    s.biases = true;
    s.init_std = 0.02;
    s.position = PositionKind::learned;
  };
  if (name == "llama") {  // Touvron et al. 2023
    s.mlp_width = rounded(8.0 / 3 * double(width), 32);
  } else if (name == "world") {  // the built-in world's recipe
    s.gated = false;
    s.activation = Activation::gelu;
    s.rotary_base = 1000;
  } else if (name == "gpt2") {  // Radford et al. 2019
    classic();
    s.activation = Activation::gelu_tanh;
  } else if (name == "bert") {  // Devlin et al. 2019
    classic();
    s.norm_place = NormPlace::post;
    s.norm_eps = 1e-12;
    s.embedding_norm = true;
    s.activation = Activation::gelu;
    s.head_bias = true;
    s.head_transform = true;
    s.token_types = 2;
    s.pooling = Pooling::first;
    s.pooler = true;
  } else if (name == "t5") {  // Raffel et al. 2020, v1.0
    s.norm_eps = 1e-6;
    s.gated = false;
    s.activation = Activation::relu;
    s.position = PositionKind::relative_bias;
    s.attention_scale = 1;
    s.logit_scale = 1 / std::sqrt(double(width));
  } else if (name == "bart") {  // Lewis et al. 2020
    classic();
    s.norm_place = NormPlace::post;
    s.embedding_norm = true;
    s.activation = Activation::gelu;
    s.head_bias = true;
  } else if (name == "xlnet") {  // Yang et al. 2019
    classic();
    s.norm_place = NormPlace::post;
    s.norm_eps = 1e-12;
    s.activation = Activation::gelu;
    s.position = PositionKind::relative_term;
    s.head_bias = true;
    s.pooling = Pooling::last;
  } else {
    fail(ExitCode::usage, "preset: expected {}, found '{}'", listed(preset_names(), "or"), name);
  }
  return s;
}

std::vector<std::string> preset_names() { return {"gpt2", "llama", "bert", "t5", "bart", "xlnet", "world"}; }

const std::vector<Size>& sizes() {
  static const std::vector<Size> table = {{"tiny", 64, 2},    {"mini", 128, 4},  {"small", 256, 6},
                                          {"medium", 512, 8}, {"base", 768, 12}, {"large", 1024, 24}};
  return table;
}

}  // namespace triarch
