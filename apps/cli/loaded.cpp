#include "apps/cli/loaded.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "triarch/base/error.h"
#include "triarch/base/utf8.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/data/corpus.h"
#include "triarch/inference/load.h"
#include "triarch/train/config.h"

namespace triarch::cli {

void ModelFlags::declare(Arguments& app, const std::string& texts) {
  noun_ = texts;
  app.add_option("MODEL", first_, "a trained model: a run's folder or a checkpoint").type_name("");
  if (!texts.empty())
    app.add_option(texts[0] == '[' ? texts.substr(1, texts.size() - 2) : texts, rest_,
                   "one or more; or --file, or lines on standard input")
        .type_name("");
  app.add_option("-m,--model", flag_, "the model, instead of as first argument").type_name("PATH").group("General");
  if (!texts.empty()) {
    app.add_option("-f,--file", file_,
                   "texts from a file: lines of a .txt, or .jsonl, .tsv, also .gz and .zst; - is standard input")
        .type_name("PATH");
    app.add_option("--input-field", input_field_, ".jsonl: the field with the text").type_name("NAME");
    app.add_option("--target-field", target_field_, ".jsonl: the field with the target or label").type_name("NAME");
  }
  app.add_option("--precision", precision, "float32, bfloat16, int8 (of weights only), float64 or auto")
      .type_name("")
      .default_str(precision)
      .group("General");
  app.add_flag("--json", json, "results as lines of JSON").group("General");
}

std::string ModelFlags::model() const {
  const std::string& name = flag_.empty() ? first_ : flag_;
  if (name.empty()) {
    fail(ExitCode::usage, "expected a model (the folder that training printed, say runs/emma-causal-0001), found none");
  }
  return name;
}

std::vector<ModelFlags::Text> ModelFlags::texts(bool whole_files) const {
  model();
  std::vector<Text> out;
  if (!flag_.empty() && !first_.empty()) out.push_back({first_, "", false});
  for (const std::string& t : rest_) out.push_back({t, "", false});
  if (!out.empty() && !file_.empty()) {
    fail(ExitCode::usage, "expected texts on the command line or in --file, found both");
  }
  const auto add_lines = [&](const std::string& all) {
    for (size_t begin = 0; begin < all.size();) {
      const size_t end = std::min(all.find('\n', begin), all.size());
      if (end > begin) out.push_back({all.substr(begin, end - begin), "", false});
      begin = end + 1;
    }
  };
  if (file_ == "-" || (out.empty() && file_.empty() && !isatty(0))) {
    const std::string all((std::istreambuf_iterator<char>(std::cin)), {});
    if (whole_files && !all.empty()) {
      out.push_back({all, "", false});
    } else {
      add_lines(all);
    }
  } else if (!file_.empty()) {
    ReadOptions options;
    options.breaks = whole_files ? DocumentBreak::automatic : DocumentBreak::line;
    options.input_field = input_field_;
    options.target_field = target_field_;
    for (Document& d : read_corpus({file_}, options).documents) {
      out.push_back({std::move(d.text), std::move(d.target), d.pair});
    }
  }
  if (out.empty() && noun_[0] != '[') {
    fail(ExitCode::usage, "expected a {} behind the model, in --file, or on standard input; found none", noun_);
  }
  return out;
}

std::vector<std::string> ModelFlags::plain_texts(bool whole_files) const {
  std::vector<std::string> out;
  for (Text& t : texts(whole_files)) out.push_back(std::move(t.text));
  return out;
}

Loaded load(const ModelFlags& flags) {
  const auto choice = enum_value<PrecisionChoice>(flags.precision);
  const bool int8 = flags.precision == "int8";
  if (!choice && !int8) {
    fail(ExitCode::usage, "--precision: expected float32, bfloat16, int8, float64 or auto, found '{}'",
         flags.precision);
  }
  Loaded out;
  out.folder = open_model(flags.model());
  out.model = load_model(out.folder, int8 ? Precision::int8() : resolve(*choice));
  out.tokenizer = load_tokenizer(out.folder, out.model->spec());
  if (std::filesystem::exists(out.folder / checkpoint_file::config)) {
    TrainConfig config;
    load_yaml(out.folder / checkpoint_file::config, config);
    out.objectives = config.objectives;
    for (const PhaseConfig& p : config.phases) {
      if (!p.objectives.empty()) out.objectives = p.objectives;
    }
  }
  return out;
}

bool learns(const std::vector<ObjectiveSpec>& objectives, ObjectiveKind kind) {
  return std::ranges::any_of(objectives, [&](const ObjectiveSpec& o) { return o.kind == kind; });
}

void refuse_labeller(const Loaded& m, const char* verb) {
  if (m.objectives.size() != 1) return;
  const ObjectiveKind kind = m.objectives.front().kind;
  if (kind != ObjectiveKind::classification && kind != ObjectiveKind::tagging) return;
  fail(ExitCode::usage, "{}: '{}' learnt to label texts; use `triarch {} {} \"a text\"`", verb, m.folder.string(),
       kind == ObjectiveKind::tagging ? "tag" : "classify", m.folder.string());
}

SuffixFormat manner_of(Family family, const std::vector<ObjectiveSpec>& objectives) {
  const SuffixFormat format = suffix_format(family, objectives);
  return format == SuffixFormat::none ? SuffixFormat::continuation : format;
}

Request continuation(SuffixFormat manner, const Specials& specials, std::vector<int32_t> ids, GenerateOptions options) {
  ScoreItem item = asked(manner, {std::move(ids), {}, {}}, specials);
  Request r;
  r.source = std::move(item.context);
  r.start = std::move(item.start);
  r.options = std::move(options);
  if (manner == SuffixFormat::span) {
    // The next sentinel would begin another span: the answer ends there. One without a token would be none.
    r.options.sentinels = true;
    r.adjust = [specials](std::span<double> logits, std::span<const int32_t> answer) {
      double& end = logits[size_t(specials.eos)];
      end = answer.empty() ? -HUGE_VAL : std::max(end, logits[size_t(specials.sentinel(1))]);
      for (int32_t i = 0; i < specials.sentinels; ++i) logits[size_t(specials.sentinel(i))] = -HUGE_VAL;
    };
  }
  return r;
}

void say(const std::string& label, const std::string& text) { fmt::print(stderr, "{:<10}{}\n", label, text); }

void print_json(const nlohmann::ordered_json& value) {
  std::cout << value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
}

std::string visible(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      out += c;
    }
  }
  return out;
}

std::string shortened(const std::string& text, size_t most) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t n = character_length(std::string_view(text).substr(i));
    if (out.size() + std::max<size_t>(n, 1) > most) return out + "...";
    if (text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
      out += ' ';
    } else if (n == 0) {
      out += '?';
    } else {
      out += text.substr(i, n);
    }
    i += std::max<size_t>(n, 1);
  }
  return out;
}

}  // namespace triarch::cli
