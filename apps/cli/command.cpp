#include "apps/cli/command.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

namespace triarch::cli {
namespace {

std::string dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

}  // namespace

void FieldFlags::declare(Arguments& app, const std::vector<Field>& fields,
                         const std::map<std::string, std::string>& aliases, const std::set<std::string>& usual) {
  const std::vector<Field> flat = flatten(fields);
  std::map<std::string, int> last_names;
  const auto last = [](const std::string& name) { return name.substr(name.rfind('.') + 1); };
  for (const Field& f : flat) ++last_names[last(f.name)];
  for (const std::string& name : usual) {
    require(std::ranges::find(flat, name, &Field::name) != flat.end(), "help: there is no field '{}'", name);
  }
  for (const Field& f : flat) {
    const std::string short_name = last(f.name);
    std::string names = "--" + dashed(f.name);
    if (short_name != f.name && last_names[short_name] == 1) names = "--" + dashed(short_name) + "," + names;
    for (const auto& [alias, name] : aliases) {
      if (name == f.name) names += ",--" + dashed(alias);
    }
    const std::string key = f.name, shown = names.substr(0, names.find(','));
    const auto keep = [this, key, shown](const std::string& value) { assignments_.push_back({key, value, shown}); };
    std::optional<Argument> argument;
    if (f.type().starts_with("true or false")) {  // or null
      // --recompute, or --recompute=false
      argument = app.add_flag(
          names, [keep](bool on) { keep(on ? "true" : "false"); }, std::string(f.help));
    } else {
      argument = app.add_option(
          names,
          [keep](const std::vector<std::string>& values) {
            for (const std::string& v : values) keep(v);
          },
          std::string(f.help));
      argument->one_value().type_name("");
      if (f.kind() == Field::Kind::scalar) argument->default_str(f.print());
    }
    const size_t dot = f.name.find('.');
    std::string group = dot == std::string::npos ? "Run" : f.name.substr(0, dot);
    group[0] = char(std::toupper(group[0]));
    argument->group(app.helps_all() || usual.contains(f.name) ? group : "");  // without a group help leaves it out
  }
}

const std::map<std::string, std::string>& train_aliases() {
  static const std::map<std::string, std::string> table = {
      {"arch", "model.family"},
      {"max_steps", "budget.steps"},
      {"max_tokens", "budget.tokens"},
      {"max_flops", "budget.flops"},
      {"max_seconds", "budget.seconds"},
      {"gradient_accumulation_steps", "accumulation"},
      {"gradient_checkpointing", "recompute"},
      {"warmup_steps", "schedule.warmup"},
      {"lr_scheduler_type", "schedule.kind"},
      {"lr", "optimizer.learning_rate"},
      {"optim", "optimizer.kind"},
      {"adam_beta1", "optimizer.beta1"},
      {"adam_beta2", "optimizer.beta2"},
      {"adam_epsilon", "optimizer.eps"},
      {"objective", "objectives"},
      {"block_size", "context"},
      {"max_seq_length", "context"},
      {"vocab_size", "data.vocabulary"},
      {"layers", "depth"},
      {"hidden_size", "model.width"},
      {"d_model", "model.width"},
      {"num_attention_heads", "model.heads"},
      {"intermediate_size", "model.mlp_width"},
      {"label_smoothing_factor", "loss.label_smoothing"},
  };
  return table;
}

bool colours() {
  const char* no = std::getenv("NO_COLOR");
  return isatty(2) && !(no && *no);
}

}  // namespace triarch::cli
