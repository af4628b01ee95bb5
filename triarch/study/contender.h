// Contenders of a comparison: a family and what it learns from. All else (width, depth, data, order, optimizer) they
// share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "triarch/model/names.h"
#include "triarch/objective/objective.h"

namespace triarch {

// What of the shared shape a contender changes.
enum class Variant : uint8_t {
  plain,
  shared,  // an encoder-decoder whose stacks have the same weights (T5, table 2: P parameters, not 2P)
  half,    // an encoder-decoder with half of the layers in each stack (half of the operations)
  // What an encoder's rows look at, be it alone or before a decoder, or those of a prefix: half of the heads to the
  // left and half to the right; or all of them, in layers by turns (Su 2023, kexue.fm 9529); or to the left only.
  forward_backward,
  forward_backward_layers,
  causal,
};
template <>
struct EnumNames<Variant> {
  static constexpr std::pair<Variant, const char*> table[] = {
      {Variant::plain, "plain"},
      {Variant::shared, "shared"},
      {Variant::half, "half"},
      {Variant::forward_backward, "forward_backward"},
      {Variant::forward_backward_layers, "forward_backward_layers"},
      {Variant::causal, "causal"}};
};

struct Contender {
  std::string name;  // also of its files: "causal-next_token"
  Family family = Family::causal;
  Variant variant = Variant::plain;
  std::vector<ObjectiveSpec> objectives;
  double rate = 0;  // its learning rates, as a share of the comparison's; 0: what suits its kind (swept_rate)
  // Where contenders are matched by something else than tokens (study/match.h):
  double token_share = 1;  // of the comparison's tokens, what it sees in each stage
  int64_t width = 0;       // 0: the comparison's

  // As parse_contender reads it: "encoder_decoder/shared:span_corruption+prefix_lm@0.6".
  std::string text() const;
  // "encoder-decoder (span corruption + prefix LM)"
  std::string title() const;

  template <class V>
  void fields(V& v) {
    v("name", name, "name in tables and of files");
    v("family", family, "encoder, causal, prefix, encoder_decoder or permutation");
    v("variant", variant, "plain, shared, half, forward_backward, forward_backward_layers or causal");
    v("objectives", objectives, "a mixture of objectives");
    v("rate", rate, "its learning rates, as a share of the comparison's; 0: what suits its kind");
    v("token_share", token_share, "tokens it sees, as a share of the comparison's");
    v("width", width, "width of its model; 0: the comparison's");
  }
};

// "next_token" -> "next token", "prefix_lm" -> "prefix LM", "encoder_decoder" -> "encoder-decoder".
std::string title_of(ObjectiveKind kind);
std::string title_of(Family family);

// One of each way to learn from a text. The encoder-decoder learns from spans and from prefixes, half and half: from
// spans alone it never sees a continuation, and at small budgets it learns next to nothing (docs/log.md).
std::vector<Contender> default_contenders();
// The usual ones; causal, prefix and encoder-decoder with every objective of the grid of Wang et al. 2022 (next token
// or prefix LM, and span corruption); encoder-decoders of shared and of half as many layers, an encoder of forward and
// backward heads, and a permutation LM.
std::vector<Contender> all_contenders();
// The paper's own table: causal, prefix and encoder-decoder x {next token or prefix LM, span corruption}.
std::vector<Contender> wang_contenders();

// The share of the comparison's learning rates that suits a family with its usual objectives at a width: the winners of
// the sweep in docs/results/rates.md, on the built-in world. Variants take their family's; 1 for other contenders.
double swept_rate(const Contender& contender, int64_t width);
// Whether the sweep had the contender itself.
bool was_swept(const Contender& contender);
constexpr int64_t kSweptWidths[] = {32, 64, 128};

// Those that learn from pairs of an input and its target.
std::vector<Contender> pair_contenders();

// "causal" (with its usual objective), "causal:next_token", "encoder_decoder/shared:span_corruption+prefix_lm"; with a
// share of the learning rates other than the usual one "causal:next_token@0.6". Usage error for unknown names, for
// shares that are none and for pairings that make no sense.
Contender parse_contender(std::string_view text);

// The family's model of the shared shape, or of the contender's own width.
ModelSpec model_of(const Contender& contender, const std::string& preset_name, int64_t width, int64_t layers,
                   int64_t vocabulary, int64_t context);

}  // namespace triarch
