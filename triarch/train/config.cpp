#include "triarch/train/config.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/kernels/isa.h"

namespace triarch {

Precision resolve(PrecisionChoice choice) {
  switch (choice) {
    case PrecisionChoice::automatic:
      return kernels::has_avx512_bf16() ? Precision::bfloat16() : Precision::float32();
    case PrecisionChoice::float32:
      return Precision::float32();
    case PrecisionChoice::bfloat16:
      return Precision::bfloat16();
    case PrecisionChoice::float64:
      return Precision::float64();
  }
  return Precision::float32();
}

namespace {

// "masked_lm", "next_token:2+span_corruption" -> [{kind: next_token, weight: 2}, {kind: span_corruption, weight: 1}]
std::string mixture(const std::string& text) {
  std::string list;
  for (size_t i = 0; i <= text.size();) {
    const size_t end = std::min(text.find('+', i), text.size());
    const std::string part = text.substr(i, end - i);
    const size_t colon = part.find(':');
    list += fmt::format("{}{{kind: {}, weight: {}}}", list.empty() ? "" : ", ", part.substr(0, colon),
                        colon == std::string::npos ? "1" : part.substr(colon + 1));
    i = end + 1;
  }
  return list;
}

}  // namespace

void assign(TrainConfig& config, const std::vector<Assignment>& assignments) {
  // A budget replaces the one there was, of whatever kind.
  const auto is_budget = [](const Assignment& a) { return a.key.starts_with("budget."); };
  if (std::ranges::any_of(assignments, is_budget)) config.budget = {};
  // Objectives by name, from one flag or several, are one mixture.
  std::string objectives, source;
  for (const Assignment& a : assignments) {
    if (!same_key(a.key, "objectives") || a.value.find_first_of("[{") != std::string::npos) {
      set_field(config, a.key, a.value, a.source);
      continue;
    }
    objectives += (objectives.empty() ? "" : ", ") + mixture(a.value);
    source = a.source;
  }
  if (!objectives.empty()) set_field(config, "objectives", "[" + objectives + "]", source);
}

TrainConfig configure(const std::vector<std::string>& files, const std::vector<Assignment>& assignments) {
  const auto apply = [&](TrainConfig& c) {
    for (const std::string& file : files) load_yaml(file, c);
    assign(c, assignments);
  };
  // First for the dials alone: what the model follows.
  TrainConfig dials;
  dials.model.preset.clear();
  dials.model.width = 0;
  apply(dials);
  if (!dials.init_from.empty()) {
    TrainConfig config;
    config.model = read_spec(find_model(dials.init_from));
    // What has been learnt is moved by smaller steps.
    config.optimizer.scale_rates(0.2);
    apply(config);
    return config;
  }
  int64_t width = dials.model.width, layers = dials.depth;
  std::vector<std::string> names;
  bool known = false;
  for (const Size& s : sizes()) {
    names.push_back(s.name);
    if (!same_key(s.name, dials.size)) continue;
    known = true;
    if (width <= 0) width = s.width;
    if (layers <= 0) layers = s.layers;
  }
  if (!known) {
    fail(ExitCode::usage, "size: expected one of {}, found '{}'{}", fmt::join(names, ", "), dials.size,
         did_you_mean(dials.size, names));
  }
  TrainConfig config;
  // Found on texts of 1 MB at widths of 64 and 128 (docs/log.md); wider models take smaller steps. AdamW alone wants
  // less.
  const double narrow = std::min(1.0, std::sqrt(128.0 / double(width)));
  config.optimizer.learning_rate = (dials.optimizer.kind == OptimizerKind::adamw ? 3e-3 : 5e-3) * narrow;
  const std::string preset_name = dials.model.preset.empty() ? default_preset(dials.model.family) : dials.model.preset;
  config.model = preset(preset_name, dials.model.family, width, layers);
  apply(config);
  return config;
}

}  // namespace triarch
