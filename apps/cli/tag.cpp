// triarch tag: a tag for every word.
#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/data/labels.h"
#include "triarch/inference/classify.h"
#include "triarch/text/words.h"

namespace triarch::cli {
namespace {

using Json = nlohmann::ordered_json;

ExitCode run_tag(const ModelFlags& flags) {
  const std::vector<Document> texts = flags.texts();
  std::vector<std::vector<std::string>> expected;  // [texts][words], empty: not told
  for (const Document& t : texts) expected.push_back(t.pair ? labels_of(t, true) : std::vector<std::string>());
  const Loaded m = load(flags);
  const std::vector<std::string>& labels = m.spec().labels;
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::vector<Word>> words;
  std::vector<std::vector<int64_t>> places;
  for (const auto& t : texts) {
    ids.push_back(m.tokenizer.encode(t.text));
    words.push_back(words_of(t.text));
    places.push_back(tokens_of_words(m.tokenizer, ids.back(), words.back()));
  }
  int64_t untagged = 0, labelled = 0, correct = 0;
  Unknown unknown;
  const auto show = [&](size_t i, const std::vector<std::vector<double>>& probabilities) {
    Json line = {{"text", texts[i].text}, {"words", Json::array()}, {"tags", Json::array()}, {"scores", Json::array()}};
    for (size_t w = 0; w < words[i].size(); ++w) {
      const std::string word = texts[i].text.substr(words[i][w].begin, words[i][w].end - words[i][w].begin);
      const std::vector<double>& p = probabilities[w];
      std::string name = "-";
      double best = 0;
      if (p.empty()) {
        ++untagged;
      } else {
        const size_t number = size_t(std::ranges::max_element(p) - p.begin());
        name = number < labels.size() ? labels[number] : std::to_string(number);
        best = p[number];
      }
      if (texts[i].pair) {
        const std::string& wanted = expected[i][w];
        ++labelled;
        correct += wanted == name;
        if (!labels.empty() && std::ranges::find(labels, wanted) == labels.end()) unknown.add(wanted);
      }
      if (flags.json) {
        line["words"].push_back(word);
        line["tags"].push_back(p.empty() ? Json() : Json(name));
        line["scores"].push_back(best);
      } else {
        fmt::print("{}\t{}\t{:.3f}\n", word, name, best);
      }
    }
    if (flags.json) {
      print_json(line);
    } else if (i + 1 < texts.size()) {
      fmt::print("\n");
    }
  };
  in_parts(ids, [&](size_t first, size_t count) {
    const auto probabilities =
        tag(*m.model, m.specials(), std::span(ids).subspan(first, count), std::span(places).subspan(first, count));
    for (size_t k = 0; k < count; ++k) show(first + k, probabilities[k]);
  });
  if (untagged > 0) {
    say("untagged",
        fmt::format("{} words, behind the {} tokens that the model reads or inside a token with another word", untagged,
                    longest_text(m.spec())));
  }
  unknown.say_of("words");
  if (labelled > 0) {
    say("accuracy", fmt::format("{:.4f} ({} of {} words)", double(correct) / double(labelled), correct, labelled));
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_tag(Arguments& app) {
  auto flags = std::make_shared<ModelFlags>();
  flags->declare(app, "TEXT");
  app.footer(
      "Words are what whitespace separates. One line per word: word, tag, probability; with --json one line per text.\n"
      "The model has learnt its tags from pairs of text and as many tags (.tsv or .jsonl). Examples:\n"
      "  triarch train --family encoder --objective tagging tagged.tsv\n"
      "  triarch tag runs/tagged-encoder-0001 \"Mr. Weston lives in Highbury .\"");
  return [flags] { return run_tag(*flags); };
}

}  // namespace triarch::cli
