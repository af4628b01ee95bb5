// A family is data: which stacks there are and what their rows may look at.
//
//   encoder-only     encoder(full)
//   causal decoder   decoder(causal)
//   prefix decoder   decoder(prefix)
//   encoder-decoder  encoder(full) + decoder(causal, cross)
//   permutation LM   decoder(causal) over permuted rows, with a query stream
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triarch/data/batch.h"
#include "triarch/kernels/activation.h"
#include "triarch/kernels/norm.h"

namespace triarch {

using kernels::Activation;
using kernels::NormKind;

// What row i of a segment of n positions may look at; see visibility.h for the intervals.
enum class Visibility : uint8_t {
  causal,            // [0, i+1)
  full,              // [0, n)
  prefix,            // [0, max(p, i+1))
  backward,          // [i, n)
  forward_backward,  // half of the heads causal, half backward; inside a prefix only, if there is one
  turn_prefix,       // [0, end of the turn that holds i)
};

enum class Family : uint8_t { encoder, causal, prefix, encoder_decoder, permutation };
// How a family's rows are laid out.
Layout layout_of(Family family);

enum class PositionKind : uint8_t {
  none,
  learned,        // a table added to the embedding
  sinusoidal,     // Vaswani et al. 2017, section 3.5
  rotary,         // Su et al. 2021
  relative_bias,  // T5: a table by bucketed distance (Raffel et al. 2020, section 2.1)
  relative_term,  // XLNet: Dai et al. 2019, section 3.3
};

enum class NormPlace : uint8_t { pre, post };
enum class Pooling : uint8_t { mean, first, last };

struct StackSpec {
  int64_t layers = 0;  // 0: there is no such stack
  Visibility visibility = Visibility::causal;
  int64_t window = 0;  // > 0: at most this many positions to the left (causal) or to either side (full)
  // Forward-backward by layers instead of by heads: even layers causal, odd layers backward.
  bool alternate = false;

  template <class V>
  void fields(V& v) {
    v("layers", layers, "number of blocks; 0: no such stack");
    v("visibility", visibility,
      "what a row may look at: causal, full, prefix, backward, forward_backward or turn_prefix");
    v("window", window, "if above 0, the reach of attention in positions");
    v("alternate", alternate, "causal and backward layers in turn (forward-backward by layers)");
  }
};

struct ModelSpec {
  Family family = Family::causal;
  std::string preset = "llama";  // what the options below follow
  StackSpec encoder, decoder;
  bool share_stacks = false;  // encoder and decoder blocks use the same weights (cross attention apart)

  int64_t vocabulary = 0;
  int64_t width = 128;
  int64_t heads = 4;
  int64_t kv_heads = 4;
  int64_t head_dim = 32;
  int64_t mlp_width = 512;

  NormKind norm = NormKind::rms;
  NormPlace norm_place = NormPlace::pre;
  double norm_eps = 1e-5;
  bool norm_bias = false;
  bool embedding_norm = false;  // a norm right after the embedding (BERT, BART)
  Activation activation = Activation::silu;
  bool gated = true;    // SwiGLU, GEGLU, ReGLU by the activation
  bool biases = false;  // of the linear layers

  PositionKind position = PositionKind::rotary;
  int64_t max_positions = 1024;
  double rotary_base = 10000;
  int64_t relative_buckets = 32;
  int64_t relative_max_distance = 128;
  int64_t position_offset = 0;  // BART's learned table starts at row 2
  int64_t token_types = 0;      // BERT: 2
  int64_t features = 0;  // > 0: rows may be feature vectors of so many numbers (data/batch.h), embedded by a layer

  double attention_scale = 0;  // 0: 1 / sqrt(head_dim); T5: 1
  double embedding_scale = 1;
  double logit_scale = 1;  // T5 v1.0, tied: width^-1/2
  bool tied = true;        // the head's matrix is the embedding table
  bool head_bias = false;
  bool head_transform = false;  // BERT: dense + activation + norm before the vocabulary

  int64_t classes = 0;              // > 0: a classification head over pooled rows
  int64_t tags = 0;                 // > 0: a tagging head over every row
  std::vector<std::string> labels;  // names of the classes or tags, by number
  Pooling pooling = Pooling::mean;
  bool pooler = false;  // BERT: dense + tanh before the classes

  double dropout = 0;
  double attention_dropout = 0;
  double init_std = 0;  // 0: 1/sqrt(fan-in), with outputs divided by sqrt(2 layers); else GPT-2's scheme

  bool has_encoder() const { return encoder.layers > 0; }
  bool has_decoder() const { return decoder.layers > 0; }
  // The stack that predicts.
  const StackSpec& last() const { return has_decoder() ? decoder : encoder; }
  double score_scale() const;

  // Throws a usage error that says what does not fit together.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("family", family, "encoder, causal, prefix, encoder_decoder or permutation");
    v("preset", preset, "what the options follow: gpt2, llama, bert, t5, bart, xlnet");
    v.group("encoder", encoder);
    v.group("decoder", decoder);
    v("share_stacks", share_stacks, "encoder and decoder use the same weights");
    v("vocabulary", vocabulary, "number of token ids; set from the tokenizer");
    v("width", width, "width of the residual stream");
    v("heads", heads, "query heads");
    v("kv_heads", kv_heads, "key and value heads (fewer: grouped-query attention)");
    v("head_dim", head_dim, "width of a head");
    v("mlp_width", mlp_width, "inner width of the feed-forward layer");
    v("norm", norm, "layer or rms");
    v("norm_place", norm_place, "pre or post");
    v("norm_eps", norm_eps, "added to the variance");
    v("norm_bias", norm_bias, "norms have a bias");
    v("embedding_norm", embedding_norm, "a norm right after the embedding");
    v("activation", activation, "relu, gelu, gelu_tanh or silu");
    v("gated", gated, "gated feed-forward layer (SwiGLU, GEGLU)");
    v("biases", biases, "linear layers have biases");
    v("position", position, "none, learned, sinusoidal, rotary, relative_bias or relative_term");
    v("max_positions", max_positions, "largest sequence the position tables allow");
    v("rotary_base", rotary_base, "base of the rotary frequencies");
    v("relative_buckets", relative_buckets, "buckets of the relative bias");
    v("relative_max_distance", relative_max_distance, "distance from which all share a bucket");
    v("position_offset", position_offset, "first row used of a learned position table");
    v("token_types", token_types, "number of token types; 0: none");
    v("features", features, "numbers in a feature vector (frame, patch) that may stand for a token; 0: tokens only");
    v("attention_scale", attention_scale, "scale of the scores; 0: 1/sqrt(head_dim)");
    v("embedding_scale", embedding_scale, "factor on token embeddings");
    v("logit_scale", logit_scale, "factor on the logits");
    v("tied", tied, "the output matrix is the embedding table");
    v("head_bias", head_bias, "the vocabulary head has a bias");
    v("head_transform", head_transform, "dense, activation and norm before the vocabulary head");
    v("classes", classes, "classes of a sequence classification head; 0: none");
    v("tags", tags, "tags of a token tagging head; 0: none");
    v("labels", labels, "names of the classes or tags");
    v("pooling", pooling, "what the classification head reads: mean, first or last");
    v("pooler", pooler, "a dense layer with tanh before the classes");
    v("dropout", dropout, "dropout on embeddings and sublayer outputs");
    v("attention_dropout", attention_dropout, "dropout on attention weights");
    v("init_std", init_std, "standard deviation of initial matrices; 0: by fan-in");
  }
};

// The options of a preset (gpt2, llama, bert, t5, bart, xlnet, world), for a family, at a width and depth. In an
// encoder-decoder both stacks get `layers`.
ModelSpec preset(const std::string& name, Family family, int64_t width, int64_t layers);
std::vector<std::string> preset_names();
constexpr const char* kDefaultPreset = "llama";  // of every family, when none is asked for

// One dial: tiny, mini, small, medium, base or large -> width and layers.
struct Size {
  const char* name;
  int64_t width, layers;
};
const std::vector<Size>& sizes();

}  // namespace triarch
