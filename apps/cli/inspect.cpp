// triarch inspect: what is in a model's folder.
#include <fmt/format.h>

#include <cmath>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/model/names.h"

namespace triarch::cli {
namespace {

struct InspectFlags {
  ModelFlags model;
  bool parameters = false, spec = false;
};

using Json = nlohmann::ordered_json;

std::string shape_of(const Parameter& p) {
  return p.kind == ParameterKind::vector ? fmt::format("{}", p.cols) : fmt::format("{} x {}", p.rows, p.cols);
}

struct Moments {
  double mean = 0, deviation = 0;
};
Moments moments_of(const Parameter& p) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < p.count(); ++i) {
    const double x = double(p.value.data<float>()[i]);
    sum += x;
    squares += x * x;
  }
  const double n = double(p.count());
  return {sum / n, std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)))};
}

// The model's own options: what its preset says otherwise. Sizes are not options.
std::vector<std::string> changes(const ModelSpec& spec) {
  ModelSpec plain = preset(spec.preset, spec.family, spec.width, std::max(spec.encoder.layers, spec.decoder.layers));
  plain.vocabulary = spec.vocabulary;
  plain.labels = spec.labels;
  return differences(plain, spec);
}

// What generating a token keeps, in the operand's type.
int64_t cache_bytes(const ModelSpec& s, DType type) {
  return s.decoder.layers * 2 * s.kv_heads * s.head_dim * size_of(type);
}

ExitCode run_inspect(const InspectFlags& o) {
  ModelFlags flags = o.model;
  flags.precision = "float32";  // as stored
  const Loaded m = load(flags);
  const ModelSpec& spec = m.spec();
  const Parameters& parameters = m.model->parameters();
  Json state;
  if (std::filesystem::exists(m.folder / checkpoint_file::state)) {
    state = Json::parse(read_file(m.folder / checkpoint_file::state, "inspect"), nullptr, false);
  }
  const std::vector<std::string> changed = changes(spec);
  std::string objectives;
  for (const ObjectiveSpec& s : m.objectives) {
    objectives += (objectives.empty() ? "" : " + ") + std::string(enum_name(s.kind));
  }
  if (o.model.json) {
    Json out = {{"folder", m.folder.string()},      {"spec", Json::parse(to_json(spec))},
                {"parameters", parameters.count()}, {"tokenizer", m.tokenizer.description()},
                {"objectives", objectives},         {"other_than_preset", changed}};
    if (state.is_object()) out["state"] = state;
    out["tensors"] = Json::array();
    for (const Parameter& p : parameters.all()) {
      const Moments s = moments_of(p);
      const Json shape = p.kind == ParameterKind::vector ? Json{p.cols} : Json{p.rows, p.cols};
      out["tensors"].push_back({{"name", p.name}, {"shape", shape}, {"mean", s.mean}, {"std", s.deviation}});
    }
    print_json(out);
    return ExitCode::ok;
  }
  if (o.spec) {
    std::cout << to_yaml(spec);
    return ExitCode::ok;
  }
  const auto line = [](const std::string& label, const std::string& text) { fmt::print("{:<11}{}\n", label, text); };
  line("folder", m.folder.string());
  line("family", fmt::format("{}, after {}", enum_name(spec.family), spec.preset));
  std::string layers;
  if (spec.has_encoder()) {
    layers += fmt::format("encoder of {} layers ({}), ", spec.encoder.layers, enum_name(spec.encoder.visibility));
  }
  if (spec.has_decoder()) {
    layers += fmt::format("decoder of {} layers ({}), ", spec.decoder.layers, enum_name(spec.decoder.visibility));
  }
  line("shape", fmt::format("{}width {}, {} heads of {} ({} of keys), feed-forward {}", layers, spec.width, spec.heads,
                            spec.head_dim, spec.kv_heads, spec.mlp_width));
  line("positions", fmt::format("{}, at most {}", enum_name(spec.position), spec.max_positions));
  line("weights", fmt::format("{} parameters ({}), {} in float32", human_count(double(parameters.count())),
                              parameters.count(), human_bytes(4.0 * double(parameters.count()))));
  if (spec.has_decoder()) {
    line("cache",
         fmt::format("{} per token of a sequence in float32", human_bytes(double(cache_bytes(spec, DType::f32)))));
  }
  line("tokenizer", m.tokenizer.description());
  if (spec.classes > 0)
    line("classes",
         fmt::format("{}: {}", spec.classes, shortened(fmt::format("{}", fmt::join(spec.labels, ", ")), 90)));
  if (spec.tags > 0)
    line("tags", fmt::format("{}: {}", spec.tags, shortened(fmt::format("{}", fmt::join(spec.labels, ", ")), 90)));
  if (!objectives.empty()) line("learnt", objectives);
  if (state.is_object() && state.contains("run")) {
    const Json& r = state["run"];
    line("run", fmt::format("step {}, {} tokens, {}FLOP, {}, {} on {}", r.value("step", int64_t(0)),
                            human_count(r.value("tokens", 0.0)), human_count(r.value("flops", 0.0)),
                            human_duration(r.value("seconds", 0.0)), r.value("precision", ""),
                            r.value("instruction_set", "")));
    const double held_out = r.value("last_validation", 0.0);
    if (held_out > 0) line("held out", fmt::format("{:.4f} nats per target", held_out));
  }
  for (size_t i = 0; i < changed.size(); ++i)
    line(i == 0 ? "changed" : "", changed[i] + (i == 0 ? "  (preset and this model)" : ""));
  if (o.parameters) {
    fmt::print("\n{:<40} {:>16} {:>11} {:>10} {:>10}\n", "parameter", "shape", "count", "mean", "std");
    for (const Parameter& p : parameters.all()) {
      const Moments s = moments_of(p);
      fmt::print("{:<40} {:>16} {:>11} {:>10.5f} {:>10.5f}\n", p.name, shape_of(p), p.count(), s.mean, s.deviation);
    }
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_inspect(Arguments& app) {
  auto o = std::make_shared<InspectFlags>();
  o->model.declare(app, "");
  app.add_flag("--parameters", o->parameters, "also every parameter: shape, mean, standard deviation");
  app.add_flag("--spec", o->spec, "print the whole specification as YAML instead");
  app.footer(
      "What is read is checked against the checkpoint's manifest; of the optimizer's moments only the length. "
      "Examples:\n"
      "  triarch inspect runs/emma-causal-0001 --parameters\n"
      "  triarch inspect runs/emma-causal-0001/checkpoint-400 --json");
  return [o] { return run_inspect(*o); };
}

}  // namespace triarch::cli
