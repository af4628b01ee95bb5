// triarch embed: texts as vectors.
#include "triarch/inference/embed.h"

#include <fmt/format.h>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/inference/classify.h"
#include "triarch/model/names.h"

namespace triarch::cli {
namespace {

struct EmbedFlags {
  ModelFlags model;
  std::string pooling = "mean";
  bool raw = false;
  bool similarity = false;
};

ExitCode run_embed(const EmbedFlags& o) {
  EmbedOptions options;
  const auto pooling = enum_value<Pooling>(o.pooling);
  if (!pooling) fail(ExitCode::usage, "--pooling: expected mean, cls (first) or last, found '{}'", o.pooling);
  options.pooling = *pooling;
  options.normalize = !o.raw;
  const std::vector<Document> texts = o.model.texts();
  if (o.similarity && texts.size() < 2) {
    fail(ExitCode::usage, "embed: expected at least two texts for --similarity, found {}", texts.size());
  }
  const Loaded m = load(o.model);
  const int64_t longest = longest_text(m.spec());
  std::vector<std::vector<int32_t>> ids;
  for (const Document& t : texts) {
    ids.push_back(m.tokenizer.encode(t.text));
    about(t, [&] {
      if (int64_t(ids.back().size()) <= longest) return;
      fail(ExitCode::usage, "embed: expected at most {} tokens, which the model reads, found {}; split the text",
           longest, ids.back().size());
    });
  }
  if (options.pooling == Pooling::first && m.spec().family == Family::causal) {
    say("remark", "the first row of a causal decoder sees nothing of the text; take --pooling mean or last");
  }
  if (o.similarity) {
    const auto vectors = embed(*m.model, m.specials(), ids, options);
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t j = i + 1; j < texts.size(); ++j) {
        double dot = 0, a = 0, b = 0;
        for (size_t k = 0; k < vectors[i].size(); ++k) {
          dot += double(vectors[i][k]) * double(vectors[j][k]);
          a += double(vectors[i][k]) * double(vectors[i][k]);
          b += double(vectors[j][k]) * double(vectors[j][k]);
        }
        const double cosine = a > 0 && b > 0 ? dot / std::sqrt(a * b) : 0;
        if (o.model.json) {
          print_json({{"a", texts[i].text}, {"b", texts[j].text}, {"cosine", cosine}});
        } else {
          fmt::print("{:.4f}\t{}\t{}\n", cosine, shortened(texts[i].text), shortened(texts[j].text));
        }
      }
    }
    return ExitCode::ok;
  }
  in_parts(ids, [&](size_t first, size_t count) {
    const auto vectors = embed(*m.model, m.specials(), std::span(ids).subspan(first, count), options);
    for (size_t k = 0; k < count; ++k) {
      // Nine digits give a float back exactly.
      nlohmann::ordered_json vector = nlohmann::ordered_json::array();
      for (float x : vectors[k]) vector.push_back(std::stod(fmt::format("{:.9g}", x)));
      print_json({{"text", texts[first + k].text}, {"tokens", ids[first + k].size()}, {"embedding", vector}});
    }
  });
  say("embedded", fmt::format("{} texts as vectors of {}, pooling {}{}", texts.size(), m.spec().width,
                              enum_name(options.pooling), options.normalize ? ", length 1" : ""));
  return ExitCode::ok;
}

}  // namespace

Action declare_embed(Arguments& app) {
  auto o = std::make_shared<EmbedFlags>();
  o->model.declare(app, "TEXT");
  app.add_option("--pooling", o->pooling, "what stands for a text: the mean of its rows, cls (the first) or last")
      .type_name("")
      .capture_default_str();
  app.add_flag("--no-normalize,--raw", o->raw, "vectors as they are, not of length 1");
  app.add_flag("--similarity", o->similarity, "print the cosine of every two texts instead of vectors");
  app.footer(
      "One line of JSON per text. Examples:\n"
      "  triarch embed runs/emma-encoder-0001 \"a ball at the inn\" \"rain all day\"\n"
      "  triarch embed runs/emma-encoder-0001 --file lines.txt > vectors.jsonl\n"
      "  triarch embed runs/emma-encoder-0001 \"a cold day\" \"a cool day\" \"my father\" --similarity");
  return [o] { return run_embed(*o); };
}

}  // namespace triarch::cli
