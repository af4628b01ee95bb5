#include "apps/cli/studied.h"

#include <fmt/format.h>

#include <atomic>
#include <filesystem>

#include "triarch/base/files.h"
#include "triarch/base/signals.h"
#include "triarch/study/workers.h"

namespace triarch::cli {
namespace {

namespace fs = std::filesystem;

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

// Small models of the usual kinds, trained on the built-in world, one per core. False if a signal stopped it.
bool train(const StudyOptions& o, Studied& s) {
  CompareConfig config;
  config.tokens = o.tokens > 0 ? o.tokens : 200'000;
  config.seeds = 1;
  config.task_items = 0;
  for (const char* c : {"causal", "prefix", "encoder_decoder", "encoder", "encoder/forward_backward"}) {
    config.contenders.push_back(parse_contender(c));
  }
  s.world = Comparison::create(config, {}, 1, true);
  s.inputs = std::make_unique<TrialInputs>(s.world->inputs());
  s.inputs->points = 1;
  const std::vector<Contender>& contenders = s.world->config().contenders;
  s.courses.resize(contenders.size());
  say("trains",
      fmt::format("{} small models on {} tokens of the built-in world each", contenders.size(), config.tokens));
  std::atomic<bool> stopped = false;
  each_on_a_thread(std::min<int>(thread_count(), int(contenders.size())), int64_t(contenders.size()), [&](int64_t i) {
    auto& course = s.courses[size_t(i)];
    course = std::make_unique<Course>(contenders[size_t(i)], 1, *s.inputs);
    const Curriculum curriculum(s.inputs->stages, s.inputs->context, s.inputs->step_tokens, 1);
    course->learn(curriculum, [&](int64_t) {
      stopped = stopped || stop_signal() != 0;
      return !stopped;
    });
  });
  return !stopped;
}

}  // namespace

std::optional<Studied> studied(const StudyOptions& o) {
  if (!o.models.empty() && o.text.empty()) {
    fail(ExitCode::usage,
         "study: expected --text, with a file that the models are shown, or the text itself, found none");
  }
  Studied s;
  for (const std::string& folder : o.models) {
    ModelFlags flags;
    flags.use(folder);
    s.loaded.push_back(load(flags));
  }
  std::error_code error;
  const bool file = fs::exists(o.text, error);
  if (!o.text.empty() && !file && o.text.find(' ') == std::string::npos) {
    say("remark", fmt::format("there is no file '{}': the models are shown these characters", o.text));
  }
  const std::string text = file ? read_file(o.text, "study") : o.text;
  for (size_t i = 0; i < s.loaded.size(); ++i) {
    const Loaded& l = s.loaded[i];
    const int64_t length = std::min(o.length, l.spec().max_positions / 2 - 4);
    s.models.push_back({fs::path(o.models[i]).filename().string(), l.model.get(), &l.tokenizer,
                        pieces_of(l.tokenizer.encode(text), length, o.texts)});
  }
  if (!s.models.empty()) return s;
  if (!train(o, s)) return std::nullopt;
  for (size_t i = 0; i < s.courses.size(); ++i) {
    s.models.push_back({s.world->config().contenders[i].title(), &s.courses[i]->model(), s.inputs->tokenizer,
                        texts_of(s.inputs->validation->view(), o.length, o.texts)});
  }
  return s;
}

}  // namespace triarch::cli
