#include "triarch/study/contender.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "triarch/base/error.h"

namespace triarch {
namespace {

ObjectiveSpec objective_of(ObjectiveKind kind) {
  ObjectiveSpec o;
  o.kind = kind;
  // Small budgets need many targets per step; T5's and BERT's 15 % leaves 40 in a step of 256 tokens.
  o.noise_density = 0.3;
  o.mlm_probability = 0.3;
  return o;
}

// What families have it.
bool fits(Variant variant, Family family) {
  const bool encoder = family == Family::encoder, both = family == Family::encoder_decoder;
  switch (variant) {
    case Variant::plain:
      return true;
    case Variant::shared:
    case Variant::half:
      return both;
    case Variant::forward_backward:
    case Variant::forward_backward_layers:
      return encoder || both || family == Family::prefix;
    case Variant::causal:
      return encoder || both;
  }
  return false;
}

Contender contender(Family family, const std::vector<ObjectiveKind>& kinds, Variant variant = Variant::plain) {
  if (!fits(variant, family)) {
    std::vector<std::string> known;
    for (const auto& [value, name] : EnumNames<Variant>::table) {
      if (fits(value, family)) known.emplace_back(name);
    }
    fail(ExitCode::usage, "contenders: expected of {} one of {}, found {}", enum_name(family), fmt::join(known, ", "),
         enum_name(variant));
  }
  Contender c;
  c.family = family;
  c.variant = variant;
  c.name = enum_name(family);
  if (variant != Variant::plain) c.name += fmt::format("_{}", enum_name(variant));
  for (size_t i = 0; i < kinds.size(); ++i) {
    check_pairing(family, kinds[i]);
    c.objectives.push_back(objective_of(kinds[i]));
    c.name += (i == 0 ? "-" : "+") + std::string(enum_name(kinds[i]));
  }
  return c;
}

std::vector<ObjectiveKind> usual_objectives(Family family) {
  switch (family) {
    case Family::encoder:
      return {ObjectiveKind::masked_lm};
    case Family::causal:
      return {ObjectiveKind::next_token};
    case Family::prefix:
      return {ObjectiveKind::prefix_lm};
    case Family::encoder_decoder:
      return {ObjectiveKind::span_corruption, ObjectiveKind::prefix_lm};
    case Family::permutation:
      return {ObjectiveKind::permutation_lm};
  }
  return {};
}

template <class E>
E named(std::string_view what, std::string_view word) {
  if (const auto value = enum_value<E>(word)) return *value;
  std::vector<std::string> names;
  for (const auto& [value, name] : EnumNames<E>::table) names.emplace_back(name);
  fail(ExitCode::usage, "contenders: expected {}, one of {}, found '{}'{}", what, fmt::join(names, ", "), word,
       did_you_mean(word, names));
}

bool learns_as_usual(const Contender& contender) {
  std::vector<ObjectiveKind> kinds;
  for (const ObjectiveSpec& o : contender.objectives) kinds.push_back(o.kind);
  return kinds == usual_objectives(contender.family);
}

}  // namespace

std::string title_of(ObjectiveKind kind) {
  std::string s = enum_name(kind);
  for (char& c : s) c = c == '_' ? ' ' : c;
  if (s.size() > 3 && s.ends_with(" lm")) s.replace(s.size() - 2, 2, "LM");
  return kind == ObjectiveKind::bart ? "BART denoising" : kind == ObjectiveKind::ul2 ? "UL2" : s;
}

std::string title_of(Family family) {
  switch (family) {
    case Family::encoder:
      return "encoder";
    case Family::causal:
      return "causal decoder";
    case Family::prefix:
      return "prefix decoder";
    case Family::encoder_decoder:
      return "encoder-decoder";
    case Family::permutation:
      return "permutation LM";
  }
  return "?";
}

std::string Contender::title() const {
  std::string s = title_of(family);
  if (variant == Variant::shared) s = "shared " + s;
  if (variant == Variant::half) s = "half-depth " + s;
  const std::string look = variant == Variant::causal                    ? "causal"
                           : variant == Variant::forward_backward        ? "forward-backward"
                           : variant == Variant::forward_backward_layers ? "layerwise forward-backward"
                                                                         : "";
  if (!look.empty()) s = family == Family::encoder_decoder ? fmt::format("{}, {} encoder", s, look) : look + " " + s;
  s += " (";
  for (size_t i = 0; i < objectives.size(); ++i) s += (i == 0 ? "" : " + ") + title_of(objectives[i].kind);
  return s + ")";
}

bool was_swept(const Contender& contender) {
  return contender.variant == Variant::plain && contender.family != Family::permutation && learns_as_usual(contender);
}

double swept_rate(const Contender& contender, int64_t width) {
  struct Row {
    Family family;
    double rates[std::size(kSweptWidths)];
  };
  static constexpr Row rows[] = {{Family::causal, {1, 1, 0.36}},
                                 {Family::prefix, {1, 0.6, 0.36}},
                                 {Family::encoder_decoder, {1, 1, 0.6}},
                                 {Family::encoder, {1.67, 1, 1}}};
  const auto row = std::ranges::find(rows, contender.family, &Row::family);
  if (row == std::end(rows) || !learns_as_usual(contender)) return 1;
  // The nearest width, in the logarithm.
  const auto nearest = std::ranges::min_element(
      kSweptWidths, {}, [&](int64_t w) { return std::abs(std::log(double(w) / double(std::max<int64_t>(1, width)))); });
  return row->rates[nearest - std::begin(kSweptWidths)];
}

std::string Contender::text() const {
  std::string s = enum_name(family);
  if (variant != Variant::plain) s += fmt::format("/{}", enum_name(variant));
  for (size_t i = 0; i < objectives.size(); ++i) s += (i == 0 ? ":" : "+") + std::string(enum_name(objectives[i].kind));
  return rate > 0 ? s + fmt::format("@{}", rate) : s;
}

std::vector<Contender> default_contenders() {
  std::vector<Contender> all;
  for (Family f : {Family::causal, Family::prefix, Family::encoder_decoder, Family::encoder}) {
    all.push_back(contender(f, usual_objectives(f)));
  }
  return all;
}

std::vector<Contender> wang_contenders() {
  std::vector<Contender> all;
  for (Family f : {Family::causal, Family::prefix, Family::encoder_decoder}) {
    all.push_back(contender(f, {f == Family::causal ? ObjectiveKind::next_token : ObjectiveKind::prefix_lm}));
    all.push_back(contender(f, {ObjectiveKind::span_corruption}));
  }
  return all;
}

std::vector<Contender> all_contenders() {
  std::vector<Contender> all = default_contenders();
  std::vector<Contender> more = wang_contenders();
  for (Variant v : {Variant::shared, Variant::half}) {
    more.push_back(contender(Family::encoder_decoder, usual_objectives(Family::encoder_decoder), v));
  }
  more.push_back(contender(Family::encoder, usual_objectives(Family::encoder), Variant::forward_backward));
  more.push_back(contender(Family::permutation, usual_objectives(Family::permutation)));
  for (const Contender& c : more) {
    if (std::ranges::find(all, c.name, &Contender::name) == all.end()) all.push_back(c);
  }
  return all;
}

std::vector<Contender> pair_contenders() {
  std::vector<Contender> all;
  for (Family f : {Family::causal, Family::prefix, Family::encoder_decoder}) {
    all.push_back(contender(f, {ObjectiveKind::seq2seq}));
  }
  return all;
}

Contender parse_contender(std::string_view text) {
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    Contender c = parse_contender(text.substr(0, at));
    const std::string_view share = text.substr(at + 1);
    const auto [end, error] = std::from_chars(share.data(), share.data() + share.size(), c.rate);
    if (error != std::errc() || end != share.data() + share.size() || !(c.rate > 0 && c.rate <= 100)) {
      fail(ExitCode::usage,
           "contenders: expected a share of the learning rates behind '@', above 0, at most 100, found '{}'", share);
    }
    return c;
  }
  const size_t colon = text.find(':'), slash = text.substr(0, colon).find('/');
  const Family family = named<Family>("a family", text.substr(0, std::min(colon, slash)));
  const Variant variant =
      slash == std::string_view::npos
          ? Variant::plain
          : named<Variant>("a variant", text.substr(slash + 1, std::min(colon, text.size()) - slash - 1));
  if (colon == std::string_view::npos) return contender(family, usual_objectives(family), variant);
  std::vector<ObjectiveKind> kinds;
  for (std::string_view rest = text.substr(colon + 1);;) {
    const size_t plus = rest.find('+');
    kinds.push_back(named<ObjectiveKind>("an objective", rest.substr(0, plus)));
    if (plus == std::string_view::npos) break;
    rest.remove_prefix(plus + 1);
  }
  return contender(family, kinds, variant);
}

ModelSpec model_of(const Contender& contender, const std::string& preset_name, int64_t width, int64_t layers,
                   int64_t vocabulary, int64_t context) {
  const bool half = contender.variant == Variant::half;
  if (contender.width > 0) width = contender.width;
  ModelSpec spec = preset(preset_name, contender.family, width, half ? std::max<int64_t>(1, layers / 2) : layers);
  spec.share_stacks = contender.variant == Variant::shared;
  StackSpec& source = spec.has_encoder() ? spec.encoder : spec.decoder;  // the stack that reads what is given
  source.alternate = contender.variant == Variant::forward_backward_layers;
  if (source.alternate || contender.variant == Variant::forward_backward) {
    source.visibility = Visibility::forward_backward;
  }
  if (contender.variant == Variant::causal) source.visibility = Visibility::causal;
  spec.vocabulary = vocabulary;
  // A reconstruction asked for a suffix is the longest sequence: start, first half and second half.
  spec.max_positions = 2 * context + 16;
  spec.check();
  return spec;
}

}  // namespace triarch
