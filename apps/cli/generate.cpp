// triarch generate: texts that go on, by any family that generates.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/clock.h"
#include "triarch/inference/beam.h"

namespace triarch::cli {
namespace {

struct GenerateFlags {
  ModelFlags model;
  std::string prompt;
  GenerateOptions generate;
  BeamOptions beams;
  int64_t context = 0;
  bool no_echo = false;
};

constexpr int64_t kSlots = 8;  // sequences at a time

void require_generator(const Loaded& m) {
  refuse_labeller(m, "generate");
  if (m.spec().has_decoder()) return;
  fail(ExitCode::usage,
       "generate: '{}' is an encoder, which predicts missing tokens, not the next one; use `triarch fill {} \"a text "
       "with "
       "<mask>\"`, or `triarch embed`",
       m.folder.string(), m.folder.string());
}

void print_remark(int64_t tokens, double seconds) {
  say("generated", fmt::format("{} tokens in {:.2f} s, {:.0f} per second", tokens, seconds, double(tokens) / seconds));
}

// Prints answers, one behind the other: with --json a line each, else with an empty line between them.
class Printer {
 public:
  // `echo`: the prompt is the answer's beginning.
  Printer(bool json, bool echo) : json_(json), echo_(echo) {}
  void operator()(const std::string& prompt, const std::string& text, const nlohmann::ordered_json& more) {
    if (json_) {
      nlohmann::ordered_json line = {{"prompt", prompt}, {"text", text}};
      line.update(more);
      print_json(line);
    } else {
      std::cout << (first_ ? "" : "\n") << (echo_ ? prompt : "") << text << "\n";
    }
    first_ = false;
  }

 private:
  bool json_, echo_, first_ = true;
};

ExitCode by_beams(const GenerateFlags& o, const Loaded& m, SuffixFormat manner, bool echo,
                  const std::vector<std::string>& prompts) {
  BeamOptions beams = o.beams;
  beams.n = o.generate.n;
  beams.max_tokens = o.generate.max_tokens;
  beams.check();
  std::vector<Request> requests;
  std::vector<Prompt> asked;
  for (const std::string& p : prompts) {
    requests.push_back(continuation(manner, m.specials(), m.tokenizer.encode(p), {}));
  }
  for (const Request& r : requests) asked.push_back(r.prompt());
  SessionOptions session_options;
  session_options.slots = beams.beams * std::min<int64_t>(int64_t(prompts.size()), 2);
  session_options.rows = o.context;
  Session session(*m.model, m.specials(), session_options);
  Printer print(o.model.json, echo);
  Stopwatch watch;
  const auto found = beam_search(session, m.specials(), asked, beams);
  int64_t tokens = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (const Beam& b : found[i]) {
      tokens += int64_t(b.ids.size());
      print(prompts[i], m.tokenizer.decode(b.ids),
            {{"finish_reason", b.ended ? "stop" : "length"},
             {"tokens", b.ids.size()},
             {"log_probability", b.log_probability},
             {"score", b.score}});
    }
  }
  print_remark(tokens, watch.seconds());
  return ExitCode::ok;
}

ExitCode run_generate(GenerateFlags o) {
  std::vector<std::string> prompts;
  if (!o.prompt.empty()) {
    prompts = {o.prompt};
  } else {
    prompts = o.model.plain_texts();
    if (prompts.empty()) prompts = {""};  // from the beginning of a text
  }
  if (o.generate.max_tokens < 0) o.generate.max_tokens = INT32_MAX;
  o.generate.check();
  if (o.beams.beams < 1) fail(ExitCode::usage, "--beams: expected at least 1, found {}", o.beams.beams);
  const Loaded m = load(o.model);
  require_generator(m);
  const SuffixFormat manner = manner_of(m.spec().family, m.objectives);
  // An encoder-decoder that learnt pairs answers; all else goes on where the prompt ends.
  const bool echo = !o.no_echo && !o.model.json && !learns(m.objectives, ObjectiveKind::seq2seq);
  if (o.beams.beams > 1) return by_beams(o, m, manner, echo, prompts);

  SessionOptions session_options;
  session_options.slots = std::min<int64_t>(kSlots, int64_t(prompts.size()) * o.generate.n);
  session_options.rows = o.context;
  Session session(*m.model, m.specials(), session_options);
  const bool streams = prompts.size() == 1 && o.generate.n == 1 && !o.model.json;
  std::vector<Request> requests;
  for (const std::string& p : prompts) {
    requests.push_back(continuation(manner, m.specials(), m.tokenizer.encode(p), o.generate));
    session.check({requests.back().source, requests.back().start});
  }
  if (streams) {
    if (echo) std::cout << prompts[0] << std::flush;
    requests[0].on_text = [](int64_t, std::string_view text) {
      std::cout << text << std::flush;
      return bool(std::cout);
    };
  }
  Stopwatch watch;
  const auto answers = generate(session, m.tokenizer, std::move(requests));
  const double seconds = watch.seconds();
  if (streams) std::cout << std::endl;
  Printer print(o.model.json, echo);
  int64_t tokens = 0;
  bool full = false;
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (const Generation& g : answers[i]) {
      tokens += int64_t(g.ids.size());
      full = full || (g.finish == Finish::length && int64_t(g.ids.size()) < o.generate.max_tokens);
      if (streams) continue;
      print(
          prompts[i], g.text,
          {{"finish_reason", finish_name(g.finish)}, {"tokens", g.ids.size()}, {"log_probability", g.log_probability}});
    }
  }
  print_remark(tokens, seconds);
  if (full) say("full", fmt::format("the model's context of {} tokens ended the text", session.rows()));
  return ExitCode::ok;
}

}  // namespace

Action declare_generate(Arguments& app) {
  auto o = std::make_shared<GenerateFlags>();
  o->generate.sampling.temperature = 0.8;
  o->generate.sampling.top_p = 0.95;
  o->beams.beams = 1;
  o->model.declare(app, "[PROMPT]");
  SamplingOptions& s = o->generate.sampling;
  app.add_option("-p,--prompt", o->prompt, "the prompt, instead of behind the model").type_name("TEXT");
  app.add_option("-n,--n-predict,--max-tokens", o->generate.max_tokens,
                 "most tokens to generate; -1: until the context is full")
      .capture_default_str();
  app.add_option("-c,--ctx-size", o->context, "most tokens of prompt and answer; 0: what the model was made for");
  const char* sampling = "Sampling";
  app.add_option("--temp,--temperature", s.temperature, "0: always the most likely token; above 1: more varied")
      .capture_default_str()
      .group(sampling);
  app.add_option("--top-k", s.top_k, "among the k most likely tokens; 0: all").capture_default_str().group(sampling);
  app.add_option("--top-p", s.top_p, "among the fewest tokens that together have this probability; 1: all")
      .capture_default_str()
      .group(sampling);
  app.add_option("--min-p", s.min_p, "among tokens with at least this share of the largest probability; 0: all")
      .capture_default_str()
      .group(sampling);
  app.add_option("--repeat-penalty,--repetition-penalty", s.repetition_penalty,
                 "above 1: tokens seen before become less likely")
      .capture_default_str()
      .group(sampling);
  app.add_option("-s,--seed", s.seed, "the same seed gives the same text").capture_default_str().group(sampling);
  app.add_option("--count", o->generate.n, "answers per prompt").capture_default_str();
  app.add_option("--stop", o->generate.stop, "end before this text; may be given several times")
      .one_value()
      .type_name("TEXT");
  app.add_flag("--ignore-eos", o->generate.ignore_eos, "go on behind the end of a text");
  app.add_option("--beams", o->beams.beams, "beam search with this many beams, instead of sampling")
      .capture_default_str();
  app.add_option("--length-penalty", o->beams.length_penalty, "beams are ranked by log p / tokens^this")
      .capture_default_str();
  app.add_flag("--no-echo,--no-display-prompt", o->no_echo, "print the answers alone");
  app.footer(
      "Examples:\n"
      "  triarch generate runs/emma-causal-0001 \"It was \" --temp 0.7\n"
      "  triarch generate runs/emma-causal-0001 --file prompts.txt --json\n"
      "  triarch generate runs/pairs-encoder_decoder-0001 \"translate: good morning\" --beams 4");
  return [o] { return run_generate(*o); };
}

}  // namespace triarch::cli
