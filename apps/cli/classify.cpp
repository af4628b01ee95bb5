// triarch classify: texts to classes.
#include "triarch/inference/classify.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/data/labels.h"

namespace triarch::cli {
namespace {

struct ClassifyFlags {
  ModelFlags model;
  int64_t top_k = 1;
};

using Json = nlohmann::ordered_json;

ExitCode run_classify(const ClassifyFlags& o) {
  const std::vector<Document> texts = o.model.texts();
  const Loaded m = load(o.model);
  const auto name = [&](size_t number) {
    return number < m.spec().labels.size() ? m.spec().labels[number] : std::to_string(number);
  };
  std::vector<std::vector<int32_t>> ids;
  int64_t cut = 0;
  for (const auto& t : texts) {
    ids.push_back(m.tokenizer.encode(t.text));
    cut += int64_t(ids.back().size()) > longest_text(m.spec());
  }
  int64_t labelled = 0, correct = 0;
  Unknown unknown;
  const auto show = [&](size_t i, const std::vector<double>& p) {
    std::vector<size_t> order(p.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return p[a] > p[b]; });
    std::string expected;
    if (texts[i].pair) {
      expected = labels_of(texts[i], false)[0];
      ++labelled;
      correct += expected == name(order[0]);
      if (std::ranges::none_of(order, [&](size_t k) { return expected == name(k); })) unknown.add(expected);
    }
    if (o.model.json) {
      Json line = {
          {"text", texts[i].text}, {"label", name(order[0])}, {"score", p[order[0]]}, {"scores", Json::object()}};
      if (texts[i].pair) line["expected"] = expected;
      for (size_t k : order) line["scores"][name(k)] = p[k];
      print_json(line);
      return;
    }
    std::string out;
    for (size_t k = 0; k < std::min(order.size(), size_t(std::max<int64_t>(1, o.top_k))); ++k) {
      out += fmt::format("{}{} {:.3f}", k ? "  " : "", name(order[k]), p[order[k]]);
    }
    fmt::print("{}\t{}\n", out, shortened(texts[i].text));
  };
  in_parts(ids, [&](size_t first, size_t count) {
    const auto probabilities = classify(*m.model, m.specials(), std::span(ids).subspan(first, count));
    for (size_t k = 0; k < count; ++k) show(first + k, probabilities[k]);
  });
  if (cut > 0) say("cut", fmt::format("{} texts to the {} tokens that the model reads", cut, longest_text(m.spec())));
  unknown.say_of("texts");
  if (labelled > 0) {
    say("accuracy", fmt::format("{:.4f} ({} of {} labels)", double(correct) / double(labelled), correct, labelled));
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_classify(Arguments& app) {
  auto o = std::make_shared<ClassifyFlags>();
  o->model.declare(app, "TEXT");
  app.add_option("--top-k", o->top_k, "classes to print per text").capture_default_str();
  app.footer(
      "The model has learnt its classes from pairs of text and label (.tsv, or .jsonl with --input-field and\n"
      "--target-field). A file of such pairs is classified, and the share of right answers printed. Examples:\n"
      "  triarch train --family encoder --objective classification reviews.tsv\n"
      "  triarch classify runs/reviews-encoder-0001 \"a warm and funny film\"\n"
      "  triarch classify runs/reviews-encoder-0001 --file held_out.tsv --json");
  return [o] { return run_classify(*o); };
}

}  // namespace triarch::cli
