#include "apps/cli/sample.h"

#include <algorithm>

#include "apps/cli/loaded.h"
#include "triarch/inference/classify.h"
#include "triarch/inference/fill.h"

namespace triarch::cli {
namespace {

constexpr size_t kShown = 40;       // tokens of the text
constexpr int64_t kContinued = 40;  // tokens of an answer

using Ids = std::vector<int32_t>;

// The beginning of the first held-out document that is not too short.
int64_t shown_document(const TokenizedCorpus& corpus) {
  for (int64_t d = 0; d < corpus.documents(); ++d) {
    if (corpus.begins[size_t(d) + 1] - corpus.begins[size_t(d)] >= 8) return d;
  }
  return 0;
}

std::string one_line(const std::string& text) { return shortened(text, 400); }

std::string labelled(const Model& model, const RunData& data, const std::vector<ObjectiveSpec>& objectives) {
  const TokenizedCorpus& corpus = data.validation;
  const size_t d = size_t(shown_document(corpus));
  const Ids ids(corpus.ids.begin() + ptrdiff_t(corpus.begins[d]), corpus.ids.begin() + ptrdiff_t(corpus.begins[d + 1]));
  const auto best = [&](const std::vector<double>& p) {
    return model.spec().labels[size_t(std::ranges::max_element(p) - p.begin())];
  };
  const std::string text = shortened(data.tokenizer.decode(ids), 200);
  if (learns(objectives, ObjectiveKind::classification)) {
    const auto p = classify(model, data.tokenizer.specials(), {&ids, 1})[0];
    return fmt::format("{} -> {} (it is {})", text, best(p),
                       model.spec().labels[size_t(data.validation_labels.classes[d])]);
  }
  std::vector<int64_t> places;
  for (size_t t = 0; t < ids.size(); ++t) {
    if (data.validation_labels.tags[size_t(corpus.begins[d]) + t] >= 0) places.push_back(int64_t(t));
  }
  std::string tags;
  const auto tagged = tag(model, data.tokenizer.specials(), {&ids, 1}, {&places, 1});
  for (const auto& p : tagged[0]) {
    if (!p.empty()) tags += " " + best(p);
  }
  return fmt::format("{} ->{}", text, tags);
}

std::string filled(const Model& model, const Tokenizer& tokenizer, Ids ids) {
  std::vector<std::string> there;
  for (size_t m = 1; m <= 3; ++m) {
    int32_t& id = ids[m * ids.size() / 4];
    there.push_back(fmt::format("'{}'", one_line(tokenizer.decode({&id, 1}))));
    id = tokenizer.specials().mask;
  }
  const std::vector<std::string> texts = {tokenizer.decode(ids, true)};
  return fmt::format("{} -> {} (there stood {})", one_line(texts[0]),
                     one_line(fill_masks(model, tokenizer, texts)[0].text), fmt::join(there, ", "));
}

std::string repaired(Session& session, const Tokenizer& tokenizer, const Ids& ids, int32_t mode) {
  const auto half = ids.begin() + ptrdiff_t(ids.size() / 2);
  const auto end = half + std::min<ptrdiff_t>(3, ids.end() - half);
  Ids broken(ids.begin(), half);
  broken.push_back(tokenizer.specials().sentinel(0));
  broken.insert(broken.end(), end, ids.end());
  InfillOptions options;
  options.generate.sampling.temperature = 0;
  options.generate.max_tokens = 16;
  options.mode = mode;
  const std::vector<std::string> texts = {tokenizer.decode(broken, true)};
  const InfillResult r = infill(session, tokenizer, texts, options)[0];
  const Ids gone(half, end);
  return fmt::format("{} -> '{}' (there stood '{}')", one_line(texts[0]), one_line(r.spans[0]),
                     one_line(tokenizer.decode(gone)));
}

}  // namespace

std::function<std::string(Model&)> sampler(const Run& run) {
  return [&run](Model& model) -> std::string {
    const RunData& data = run.data();
    const Tokenizer& tokenizer = data.tokenizer;
    const std::vector<ObjectiveSpec> objectives = objectives_at(run.config(), run.phase());
    if (!data.labels.empty()) return labelled(model, data, objectives);
    const TokenizedCorpus& corpus = data.validation;
    const size_t d = size_t(shown_document(corpus));
    const auto begin = corpus.ids.begin() + ptrdiff_t(corpus.begins[d]);
    const size_t length = size_t(corpus.begins[d + 1] - corpus.begins[d]);
    const size_t room = size_t(session_rows(model.spec()) / 4);  // for it, its copy and an answer
    const Ids ids(begin, begin + ptrdiff_t(std::min({length, kShown, room})));
    const bool pairs = learns(objectives, ObjectiveKind::seq2seq);
    if (ids.size() < (pairs ? 1 : 4)) return {};
    if (!model.spec().has_decoder()) return filled(model, tokenizer, ids);

    SessionOptions options;
    options.rows = std::min(4 * int64_t(kShown) + kContinued, session_rows(model.spec()));
    Session session(model, tokenizer.specials(), options);
    if (learns(objectives, ObjectiveKind::span_corruption)) return repaired(session, tokenizer, ids, -1);
    GenerateOptions generate_options;
    generate_options.sampling.temperature = 0.8;
    generate_options.sampling.top_p = 0.95;
    generate_options.max_tokens = kContinued;
    // An input of pairs is asked as a whole, a text to its middle.
    const Ids prompt(ids.begin(), pairs ? ids.end() : ids.begin() + ptrdiff_t(ids.size() / 2));
    std::vector<Request> requests;
    requests.push_back(
        continuation(manner_of(model.spec().family, objectives), tokenizer.specials(), prompt, generate_options));
    const Generation g = std::move(generate(session, tokenizer, std::move(requests))[0][0]);
    return fmt::format("{} |> {}", one_line(tokenizer.decode(prompt)), one_line(g.text));
  };
}

}  // namespace triarch::cli
