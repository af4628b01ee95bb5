// triarch study: the reasons given for one family or another, as experiments.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/files.h"
#include "triarch/base/signals.h"
#include "triarch/report/study.h"
#include "triarch/study/cache_study.h"
#include "triarch/study/collapse.h"
#include "triarch/study/compare.h"
#include "triarch/study/course.h"
#include "triarch/study/rank.h"
#include "triarch/study/workers.h"

namespace triarch::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string name, text, output;
  std::vector<std::string> models;
  int64_t tokens = 200'000, length = 48, texts = 16;
  bool heads = false, full = false, json = false;
};

constexpr const char* kStudies[] = {"rank", "attention", "collapse", "cache"};

// Small models of the usual kinds, trained on the built-in world for this, one per core; and the world that they know.
struct Trained {
  std::unique_ptr<Comparison> world;
  TrialInputs inputs;

  const std::vector<Contender>& contenders() const { return world->config().contenders; }
  std::vector<std::unique_ptr<Course>> courses;
};

bool train(const Options& o, Trained& t) {
  CompareConfig config;
  config.tokens = o.tokens;
  config.seeds = 1;
  config.task_items = 0;
  for (const char* c : {"causal", "prefix", "encoder_decoder", "encoder", "encoder/forward_backward"}) {
    config.contenders.push_back(parse_contender(c));
  }
  t.world = Comparison::create(config, {}, 1, true);
  t.inputs = t.world->inputs();
  t.inputs.points = 1;
  t.courses.resize(t.contenders().size());
  say("trains",
      fmt::format("{} small models on {} tokens of the built-in world each", t.contenders().size(), o.tokens));
  const StopSignals signals;
  std::atomic<bool> stopped = false;
  each_on_a_thread(std::min<int>(thread_count(), int(t.contenders().size())), int64_t(t.contenders().size()),
                   [&](int64_t i) {
                     auto& course = t.courses[size_t(i)];
                     course = std::make_unique<Course>(t.contenders()[size_t(i)], 1, t.inputs);
                     const Curriculum curriculum(t.inputs.stages, t.inputs.context, t.inputs.step_tokens, 1);
                     course->learn(curriculum, [&](int64_t) {
                       stopped = stopped || stop_signal() != 0;
                       return !stopped;
                     });
                   });
  return !stopped;
}

// Texts of at least half of the length, cut to it.
std::vector<std::vector<int32_t>> texts_of(const Documents& documents, int64_t length, int64_t count) {
  std::vector<std::vector<int32_t>> out;
  for (int64_t d = 0; d < documents.size() && int64_t(out.size()) < count; ++d) {
    const int64_t n = documents.begins[size_t(d + 1)] - documents.begins[size_t(d)];
    if (n < length / 2) continue;
    const std::span<const int32_t> ids = documents.passage(d, 0, std::min(n, length)).ids;
    out.emplace_back(ids.begin(), ids.end());
  }
  return out;
}

// A text in pieces of the length.
std::vector<std::vector<int32_t>> pieces_of(const std::vector<int32_t>& ids, int64_t length, int64_t count) {
  std::vector<std::vector<int32_t>> out;
  for (size_t b = 0; b < ids.size() && int64_t(out.size()) < count; b += size_t(length)) {
    const size_t e = std::min(ids.size(), b + size_t(length));
    if (b == 0 || int64_t(e - b) >= length / 2)
      out.emplace_back(ids.begin() + ptrdiff_t(b), ids.begin() + ptrdiff_t(e));
  }
  return out;
}

ExitCode publish(const Options& o, StudyReport report) {
  for (const std::string& m : o.models) report.command += " " + m;
  if (!o.text.empty()) report.command += fmt::format(" --text '{}'", o.text);
  if (o.heads) report.command += " --heads";
  if (o.full) report.command += " --full";

  fs::path folder = o.output;
  std::error_code error;
  for (int n = 1; o.output.empty() && (n == 1 || fs::exists(folder)); ++n) {
    folder = fmt::format("runs/study-{}-{:04}", o.name, n);
  }
  fs::create_directories(folder, error);
  require(!error, "study: could not make the folder '{}': {}", folder.string(), error.message());
  const std::string json = to_json(report);
  write_file(folder / "study.json", json + "\n", "study");
  write_file(folder / "study.md", report::study_markdown(json), "study");
  write_file(folder / "study.html", report::study_page(json), "study");
  std::cout << (o.json ? json + "\n" : report::study_text(json)) << std::flush;
  say("page", fs::absolute(folder / "study.html").lexically_normal().string());
  return ExitCode::ok;
}

ExitCode run(const Options& o) {
  const auto known = [&](const char* n) { return o.name == n; };
  if (std::ranges::none_of(kStudies, known)) {
    fail(ExitCode::usage, "study: expected one of {}, found '{}'{}", fmt::join(kStudies, ", "), o.name,
         did_you_mean(o.name, {std::begin(kStudies), std::end(kStudies)}));
  }
  if (!o.models.empty() && o.text.empty()) {
    fail(ExitCode::usage, "study: expected --text, a file that the models are shown, or '-' and a text, found none");
  }
  if (o.name == "cache") {
    if (!o.models.empty()) {
      fail(ExitCode::usage, "study cache: expected no model, since cost does not depend on weights, found '{}'",
           o.models.front());
    }
    CacheOptions cache;
    if (o.full) cache.width = 512, cache.layers = 8, cache.lengths = {64, 256, 1024, 2048, 4096}, cache.repeats = 5;
    return publish(o, cache_study(cache));
  }
  std::vector<Loaded> loaded;
  Trained trained;
  std::vector<StudiedModel> models;
  for (const std::string& folder : o.models) {
    ModelFlags flags;
    flags.use(folder);
    loaded.push_back(load(flags));
  }
  for (size_t i = 0; i < loaded.size(); ++i) {
    const std::string text = fs::exists(o.text) ? read_file(o.text, "study") : o.text;
    const int64_t length = std::min(o.length, loaded[i].spec().max_positions / 2 - 4);
    models.push_back({fs::path(o.models[i]).filename().string(), loaded[i].model.get(), &loaded[i].tokenizer,
                      pieces_of(loaded[i].tokenizer.encode(text), length, o.texts)});
  }
  if (models.empty()) {
    if (!train(o, trained)) return stop_exit_code();
    for (size_t i = 0; i < trained.courses.size(); ++i) {
      models.push_back({trained.contenders()[i].title(), &trained.courses[i]->model(), trained.inputs.tokenizer,
                        texts_of(trained.inputs.validation->view(), o.length, o.texts)});
    }
  }
  RankOptions rank;
  if (o.full) {
    rank.lengths = {32, 64, 128, 256, 512, 1024};
    rank.draws = 16;
  }
  if (o.name == "rank") return publish(o, rank_study(models, rank));
  if (o.name == "attention") return publish(o, attention_study(models, o.heads));
  CollapseOptions collapse;
  if (o.full) collapse.width = 256, collapse.layers = 24, collapse.length = 128, collapse.seeds = 10;
  return publish(o, collapse_study(models, collapse));
}

}  // namespace

Action declare_study(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("name", o->name,
                 "rank (singular values of attention), attention (pictures of it), collapse (do rows become alike) or "
                 "cache (what it saves)")
      ->required();
  app.add_option("models", o->models, "folders of models; none: small ones are trained on the built-in world first");
  app.add_option("--text", o->text, "what models are shown: a file, or the text itself");
  app.add_option("--length", o->length, "tokens of a text, at most; default: 48");
  app.add_option("--texts", o->texts, "texts, at most; default: 16");
  app.add_option("--tokens", o->tokens, "tokens that small models learn from; default: 200000");
  app.add_flag("--heads", o->heads, "attention: a picture for every head");
  app.add_flag("--full", o->full,
               "rank: up to length 1024, 16 draws; collapse: 24 layers of width 256; cache: width 512, 8 layers, up to "
               "4096 tokens (minutes)");
  app.add_option("-o,--output-dir", o->output, "folder; default: runs/study-NAME-NNNN");
  app.add_flag("--json", o->json, "print the record as one line of JSON");
  return [o] { return run(*o); };
}

}  // namespace triarch::cli
