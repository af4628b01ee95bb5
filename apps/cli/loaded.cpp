#include "apps/cli/loaded.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/base/utf8.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/data/text_file.h"
#include "triarch/inference/fill.h"
#include "triarch/inference/load.h"
#include "triarch/train/config.h"

namespace triarch::cli {

void ModelFlags::declare(Arguments& app, const std::string& texts) {
  noun_ = texts;
  app.add_option("MODEL", first_, "a trained model: a run's folder or a checkpoint");
  if (!texts.empty())
    app.add_option(texts[0] == '[' ? texts.substr(1, texts.size() - 2) : texts, rest_,
                   "one or more; or --file, or lines on standard input");
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

ReadOptions ModelFlags::read_options(DocumentBreak breaks) const {
  return {.breaks = breaks, .input_field = input_field_, .target_field = target_field_};
}

std::vector<Document> ModelFlags::texts(bool whole_files) const {
  model();
  std::vector<Document> out;
  if (!flag_.empty() && !first_.empty()) out.push_back({first_, "", false, ""});
  for (const std::string& t : rest_) out.push_back({t, "", false, ""});
  for (size_t i = 0; i < out.size() && out.size() > 1; ++i) out[i].source = fmt::format("text {}", i + 1);
  if (!out.empty() && !file_.empty()) {
    fail(ExitCode::usage, "expected texts on the command line or in --file, found both");
  }
  const ReadOptions options = read_options(whole_files ? DocumentBreak::automatic : DocumentBreak::line);
  if (file_ == "-" || (out.empty() && file_.empty() && !isatty(0))) {
    const std::string all((std::istreambuf_iterator<char>(std::cin)), {});
    if (!is_blank(all)) out = read_documents(all, "standard input", options);
  } else if (!file_.empty()) {
    out = std::move(read_corpus({file_}, options).documents);
  }
  if (out.empty() && noun_[0] != '[') {
    fail(ExitCode::usage, "expected a {} behind the model, in --file, or on standard input; found none", noun_);
  }
  return out;
}

std::vector<std::string> ModelFlags::plain_texts(bool whole_files) const {
  std::vector<std::string> out;
  for (Document& t : texts(whole_files)) out.push_back(std::move(t.text));
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
    // A checkpoint may be from before the last phase.
    int64_t phases = int64_t(config.phases.size());
    if (const auto path = out.folder / checkpoint_file::state; std::filesystem::exists(path)) {
      const auto state = nlohmann::json::parse(read_file(path, "load model"), nullptr, false);
      if (state.is_object()) phases = state.value("phase", phases);
    }
    out.objectives = objectives_at(config, phases);
  }
  return out;
}

std::vector<ObjectiveSpec> objectives_at(const TrainConfig& config, int64_t phases) {
  std::vector<ObjectiveSpec> out = config.objectives;
  for (size_t i = 0; i < config.phases.size() && int64_t(i) < phases; ++i) {
    if (!config.phases[i].objectives.empty()) out = config.phases[i].objectives;
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

void require_generator(const Loaded& m, const char* verb) {
  refuse_labeller(m, verb);
  if (m.spec().has_decoder()) return;
  fail(ExitCode::usage,
       "{}: '{}' is an encoder, which predicts missing tokens, not the next one; use `triarch fill {} \"a text with "
       "<mask>\"`, or `triarch embed`",
       verb, m.folder.string(), m.folder.string());
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
  if (manner == SuffixFormat::span) answer_in_spans(r, specials, 1, false);
  return r;
}

void in_parts(const std::vector<std::vector<int32_t>>& texts, const std::function<void(size_t, size_t)>& f) {
  constexpr size_t kTokens = 32'768;
  for (size_t first = 0, end = 0; first < texts.size(); first = end) {
    for (size_t tokens = 0; end < texts.size() && tokens < kTokens; ++end) tokens += texts[end].size() + 1;
    f(first, end - first);
    std::cout.flush();
    std::fflush(stdout);
  }
}

void Unknown::add(const std::string& name) {
  ++count_;
  names_.insert("'" + name + "'");
}
void Unknown::say_of(const std::string& what) const {
  if (count_ == 0) return;
  say("unknown", fmt::format("{} {} have labels that the model does not know, and count as wrong: {}", count_, what,
                             shortened(fmt::format("{}", fmt::join(names_, ", ")))));
}

void say(const std::string& label, const std::string& text) { fmt::print(stderr, "{:<10}{}\n", label, text); }

void print_json(const nlohmann::ordered_json& value) {
  std::cout << value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
}

nlohmann::ordered_json candidates_json(const Tokenizer& tokenizer, const std::vector<Candidate>& candidates) {
  auto out = nlohmann::ordered_json::array();
  for (const Candidate& c : candidates) {
    out.push_back({{"token", tokenizer.decode_token(c.id)}, {"id", c.id}, {"probability", c.probability}});
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
