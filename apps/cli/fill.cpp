// triarch fill: the missing pieces of a text.
#include <fmt/format.h>

#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/human.h"
#include "triarch/inference/fill.h"

namespace triarch::cli {
namespace {

struct FillFlags {
  ModelFlags model;
  FillOptions fill;
  int64_t max_tokens = 128;
  SamplingOptions sampling;
};

using Json = nlohmann::ordered_json;

ExitCode masks(const FillFlags& o, const Loaded& m, const std::vector<std::string>& texts) {
  const std::vector<FillResult> results = fill_masks(*m.model, m.tokenizer, texts, o.fill);
  for (size_t i = 0; i < texts.size(); ++i) {
    const FillResult& r = results[i];
    if (o.model.json) {
      Json line = {{"text", texts[i]}, {"filled", r.text}, {"masks", Json::array()}};
      for (const auto& mask : r.masks) {
        Json candidates = Json::array();
        for (const Filled& f : mask) {
          candidates.push_back(
              {{"score", f.score}, {"token", f.token}, {"token_str", f.token_str}, {"sequence", f.sequence}});
        }
        line["masks"].push_back(candidates);
      }
      print_json(line);
      continue;
    }
    std::cout << r.text << "\n";
    for (size_t k = 0; k < r.masks.size(); ++k) {
      std::cout << fmt::format("  mask {}", k + 1);
      for (const Filled& f : r.masks[k]) std::cout << fmt::format("  {:.3f} '{}'", f.score, visible(f.token_str));
      std::cout << "\n";
    }
  }
  return ExitCode::ok;
}

void print_spans(const FillFlags& o, const std::string& text, const std::string& filled,
                 const std::vector<std::string>& spans) {
  if (o.model.json) {
    print_json({{"text", text}, {"filled", filled}, {"spans", spans}});
    return;
  }
  std::cout << filled << "\n";
  for (size_t k = 0; k < spans.size(); ++k) std::cout << fmt::format("  span {}  '{}'\n", k + 1, visible(spans[k]));
}

ExitCode spans(const FillFlags& o, const Loaded& m, const std::vector<std::string>& texts) {
  Session session(*m.model, m.specials());
  InfillOptions options;
  options.generate.sampling = o.sampling;
  options.generate.max_tokens = o.max_tokens;
  for (const ObjectiveSpec& spec : m.objectives) {
    if (spec.kind == ObjectiveKind::ul2 && spec.mode_tokens) options.mode = m.specials().mode_regular;
  }
  const std::vector<InfillResult> results = infill(session, m.tokenizer, texts, options);
  for (size_t i = 0; i < texts.size(); ++i) {
    print_spans(o, texts[i], results[i].text, results[i].spans);
    if (!results[i].complete) say("cut", fmt::format("{} tokens were too few; take more with -n", o.max_tokens));
  }
  return ExitCode::ok;
}

// BART writes the whole text anew.
ExitCode rewrites(const FillFlags& o, const Loaded& m, const std::vector<std::string>& texts) {
  std::vector<Request> requests;
  for (const std::string& text : texts) {
    Request r;
    r.source = m.tokenizer.encode(text, SpecialText::parse);
    if (std::ranges::count(r.source, m.specials().mask) == 0) {
      fail(ExitCode::usage, "fill: expected a text with at least one <mask>, found '{}'", shortened(text));
    }
    r.options.sampling = o.sampling;
    r.options.max_tokens = std::max<int64_t>(o.max_tokens, int64_t(2 * r.source.size()));
    requests.push_back(std::move(r));
  }
  Session session(*m.model, m.specials());
  const auto answers = generate(session, m.tokenizer, std::move(requests));
  for (size_t i = 0; i < texts.size(); ++i) print_spans(o, texts[i], answers[i][0].text, {});
  return ExitCode::ok;
}

ExitCode run_fill(const FillFlags& o) {
  const std::vector<std::string> texts = o.model.plain_texts();
  const Loaded m = load(o.model);
  using enum ObjectiveKind;
  refuse_labeller(m, "fill");
  if (m.spec().family == Family::encoder) return masks(o, m, texts);
  if (m.objectives.empty() || learns(m.objectives, span_corruption) || learns(m.objectives, ul2)) {
    return spans(o, m, texts);
  }
  if (learns(m.objectives, bart)) return rewrites(o, m, texts);
  fail(ExitCode::usage,
       "fill: '{}' learnt {}, so it goes on with a text and fills no gaps; use `triarch generate {} \"a prompt\"`, or "
       "train an encoder, or a model with --objective span_corruption",
       m.folder.string(), enum_name(m.objectives.front().kind), m.folder.string());
}

}  // namespace

Action declare_fill(Arguments& app) {
  auto o = std::make_shared<FillFlags>();
  o->sampling.temperature = 0;
  o->model.declare(app, "TEXT");
  app.add_option("--top-k", o->fill.top_k, "encoders: candidates per mask").capture_default_str();
  app.add_option("-n,--n-predict,--max-tokens", o->max_tokens, "span models: most tokens to generate")
      .capture_default_str();
  app.add_option("--temp,--temperature", o->sampling.temperature, "span models: 0 takes the most likely tokens")
      .capture_default_str();
  app.add_option("-s,--seed", o->sampling.seed, "span models: the same seed gives the same text").capture_default_str();
  app.footer(
      "Encoders put one token for each <mask>; models that learnt span corruption put a span for each <extra_id_0>,\n"
      "<extra_id_1> ... (or <mask>); BART writes the text anew.\n"
      "Examples:\n"
      "  triarch fill runs/emma-encoder-0001 \"She was a <mask> woman.\"\n"
      "  triarch fill runs/emma-encoder_decoder-0001 \"She was <extra_id_0> of her father.\"");
  return [o] { return run_fill(*o); };
}

}  // namespace triarch::cli
