#include "triarch/train/config.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/kernels/isa.h"
#include "triarch/train/ranges.h"

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

void DataConfig::check() const {
  // Ids are 32 bits wide.
  check_setting(vocabulary >= 0 && vocabulary <= INT32_MAX, "data.vocabulary", "from 0 to 2147483647",
                double(vocabulary));
}

void BudgetConfig::check() const {
  for (const auto& [name, value] :
       {std::pair("budget.steps", double(steps)), std::pair("budget.tokens", double(tokens)),
        std::pair("budget.flops", flops), std::pair("budget.seconds", double(seconds))}) {
    check_setting(value >= 0, name, "more than 0", value);
  }
}

void TrainConfig::check() const {
  data.check();
  optimizer.check();
  schedule.check();
  loss.check();
  budget.check();
  check_setting(depth >= 0, "depth", "at least 0", double(depth));
  check_setting(context >= 8, "context", "at least 8 tokens", double(context));
  if (batch_rows < context || batch_rows > INT32_MAX) {
    fail(ExitCode::usage, "batch_rows: expected at least the context ({} rows) and fewer than 2^31, found {}", context,
         batch_rows);
  }
  check_setting(accumulation >= 1, "accumulation", "at least 1", double(accumulation));
}

namespace {

// The size that a person named.
const Size& size_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Size& s : sizes()) {
    if (same_key(s.name, name)) return s;
    names.push_back(s.name);
  }
  fail(ExitCode::usage, "size: expected one of {}, found '{}'{}", fmt::join(names, ", "), name,
       did_you_mean(name, names));
}

// A model that is there is finetuned as it is: dials that would make another are refused.
void check_dials(const TrainConfig& dials, const ModelSpec& model) {
  const auto refuse = [&](const char* key, const auto& found, const auto& asked) {
    fail(ExitCode::usage, "{}: '{}' has {} and goes on with it, asked was {}; leave that out, or train a new model",
         key, dials.init_from, found, asked);
  };
  const int64_t layers = std::max(model.encoder.layers, model.decoder.layers);
  if (!dials.model.preset.empty() && !same_key(dials.model.preset, model.preset)) {
    refuse("model.preset", model.preset, dials.model.preset);
  }
  if (dials.depth > 0 && dials.depth != layers) refuse("depth", layers, dials.depth);
  if (dials.size.empty()) return;
  const Size& size = size_named(dials.size);
  if (size.width != model.width || (dials.depth <= 0 && size.layers != layers)) {
    refuse("size", fmt::format("width {} and {} layers", model.width, layers), dials.size);
  }
}

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
  dials.size.clear();
  dials.model.preset.clear();
  dials.model.width = 0;
  apply(dials);
  if (!dials.init_from.empty()) {
    TrainConfig config;
    config.model = read_spec(find_model(dials.init_from));
    check_dials(dials, config.model);
    // What has been learnt is moved by smaller steps.
    config.optimizer = config.optimizer.scaled(0.2);
    config.size.clear();
    apply(config);
    return config;
  }
  TrainConfig config;
  const Size& size = size_named(dials.size.empty() ? config.size : dials.size);
  const int64_t width = dials.model.width > 0 ? dials.model.width : size.width;
  const int64_t layers = dials.depth > 0 ? dials.depth : size.layers;
  // Found on texts of 1 MB at widths of 64 and 128 (docs/log.md); wider models take smaller steps. AdamW alone wants
  // less.
  const double narrow = std::min(1.0, std::sqrt(128.0 / double(width)));
  config.optimizer.learning_rate = (dials.optimizer.kind == OptimizerKind::adamw ? 3e-3 : 5e-3) * narrow;
  const std::string preset_name = dials.model.preset.empty() ? kDefaultPreset : dials.model.preset;
  config.model = preset(preset_name, dials.model.family, width, layers);
  apply(config);
  return config;
}

}  // namespace triarch
