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

using Json = nlohmann::ordered_json;

struct GenerateFlags {
  ModelFlags model;
  FieldFlags flags;
  std::string prompt;
  GenerateOptions generate;
  BeamOptions beams;
  int64_t context = 0;
  bool no_echo = false;

  template <class V>
  void fields(V& v) {
    v.group("sampling", generate.sampling);
    v.group("beam", beams);
  }
};

constexpr int64_t kSlots = 8;  // sequences at a time

void print_remark(int64_t tokens, double seconds) {
  say("generated", fmt::format("{} tokens in {:.2f} s, {:.0f} per second", tokens, seconds, double(tokens) / seconds));
}

struct Shown {
  std::string text;
  Json more;
};

// Prints the answers to each prompt in the order of the prompts, as soon as none before them is missing: with --json a
// line each, else with an empty line between them.
class Printer {
 public:
  // `echo`: the prompt is the answer's beginning.
  Printer(const std::vector<Document>& prompts, bool json, bool echo)
      : prompts_(prompts), waiting_(prompts.size()), json_(json), echo_(echo) {}

  void operator()(size_t prompt, std::vector<Shown> answers) {
    waiting_[prompt] = std::move(answers);
    for (; next_ < waiting_.size() && !waiting_[next_].empty(); waiting_[next_++].clear()) {
      for (const Shown& a : waiting_[next_]) print(prompts_[next_].text, a);
    }
    std::cout.flush();
  }

 private:
  void print(const std::string& prompt, const Shown& answer) {
    if (json_) {
      Json line = {{"prompt", prompt}, {"text", answer.text}};
      line.update(answer.more);
      print_json(line);
    } else {
      std::cout << (first_ ? "" : "\n") << (echo_ ? prompt : "") << answer.text << "\n";
    }
    first_ = false;
  }

  const std::vector<Document>& prompts_;
  std::vector<std::vector<Shown>> waiting_;  // [prompts], empty: not there yet, or printed
  size_t next_ = 0;
  bool json_, echo_, first_ = true;
};

// As generate() says it: a text decoded by itself may lose the space before its first word.
std::string answer_text(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  Decoder decoder(tokenizer);
  std::string text;
  for (int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

size_t stop_in(const std::string& text, const std::vector<std::string>& stops) {
  size_t place = text.size();
  for (const std::string& s : stops) place = std::min(place, text.find(s));
  return place;
}

ExitCode by_beams(const GenerateFlags& o, const Loaded& m, Session& session, std::vector<Request> requests,
                  Printer print) {
  const std::vector<std::string>& stops = o.generate.stop;
  BeamOptions beams = o.beams;
  beams.n = o.generate.n;
  beams.max_tokens = o.generate.max_tokens;
  beams.ignore_eos = o.generate.ignore_eos;
  beams.vocabulary = m.tokenizer.vocabulary();
  beams.adjust = requests.front().adjust;  // which depends on the manner alone
  if (!stops.empty()) {
    // What it ended before was looked at: only the last tokens can complete a stop, and each has a byte at least.
    const size_t longest = std::ranges::max(stops, {}, &std::string::size).size() + 1;
    beams.stops = [&, longest](std::span<const int32_t> ids) {
      const std::string text = answer_text(m.tokenizer, ids.last(std::min(ids.size(), longest)));
      return stop_in(text, stops) < text.size();
    };
  }
  std::vector<Prompt> prompts;
  for (const Request& r : requests) prompts.push_back(r.prompt());
  Stopwatch watch;
  int64_t tokens = 0;
  beam_search(session, m.specials(), prompts, beams, [&](size_t prompt, const std::vector<Beam>& found) {
    std::vector<Shown> answers;
    for (const Beam& b : found) {
      tokens += int64_t(b.ids.size());
      const std::string text = answer_text(m.tokenizer, b.ids);
      answers.push_back({text.substr(0, stop_in(text, stops)),
                         {{"finish_reason", b.ended || b.stopped ? "stop" : "length"},
                          {"tokens", b.ids.size()},
                          {"log_probability", b.log_probability},
                          {"score", b.score}}});
    }
    print(prompt, std::move(answers));
  });
  print_remark(tokens, watch.seconds());
  return ExitCode::ok;
}

ExitCode by_sampling(const GenerateFlags& o, const Loaded& m, Session& session, std::vector<Request> requests,
                     Printer print, const std::string& echoed) {
  const bool streams = requests.size() == 1 && o.generate.n == 1 && !o.model.json;
  std::vector<std::vector<Shown>> answers(requests.size(), std::vector<Shown>(size_t(o.generate.n)));
  std::vector<int64_t> missing(requests.size(), o.generate.n);
  int64_t tokens = 0;
  bool full = false;
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].on_done = [&, i](int64_t choice, const Generation& g) {
      tokens += int64_t(g.ids.size());
      full = full || (g.finish == Finish::length && int64_t(g.ids.size()) < o.generate.max_tokens);
      if (streams) return;
      Json more = {
          {"finish_reason", finish_name(g.finish)}, {"tokens", g.ids.size()}, {"log_probability", g.log_probability}};
      if (o.generate.top > 0) {
        more["token_scores"] = Json::array();
        for (size_t t = 0; t < g.ids.size(); ++t) {
          more["token_scores"].push_back({{"token", m.tokenizer.decode_token(g.ids[t])},
                                          {"id", g.ids[t]},
                                          {"log_probability", g.log_probabilities[t]},
                                          {"top", candidates_json(m.tokenizer, g.top[t])}});
        }
      }
      answers[i][size_t(choice)] = {g.text, std::move(more)};
      if (--missing[i] == 0) print(i, std::move(answers[i]));
    };
  }
  if (streams) {
    std::cout << echoed << std::flush;
    requests[0].on_text = [](int64_t, std::string_view text) {
      std::cout << text << std::flush;
      return bool(std::cout);
    };
  }
  Stopwatch watch;
  generate(session, m.tokenizer, std::move(requests));
  const double seconds = watch.seconds();
  if (streams) std::cout << std::endl;
  print_remark(tokens, seconds);
  if (full) say("full", fmt::format("the model's context of {} tokens ended the text", session.rows()));
  return ExitCode::ok;
}

// What would be ignored is refused.
void check_together(const GenerateFlags& o) {
  const bool beams = o.beams.beams > 1;
  for (const Assignment& a : o.flags.assignments()) {
    if (beams && a.key.starts_with("sampling.")) {
      fail(ExitCode::usage,
           "generate: --beams looks for the likeliest answer, and {} is for sampling; give one of them", a.source);
    }
    if (!beams && a.key.starts_with("beam.") && a.key != "beam.beams") {
      fail(ExitCode::usage, "generate: {} is for beam search; give --beams 4, too", a.source);
    }
  }
  if (o.generate.top > 0 && (beams || !o.model.json)) {
    fail(ExitCode::usage, "generate: --logprobs goes with --json, and not with --beams; {}",
         beams ? "leave one of them out" : "add --json");
  }
}

ExitCode run_generate(GenerateFlags o) {
  for (const Assignment& a : o.flags.assignments()) set_field(o, a.key, a.value, a.source);
  std::vector<Document> prompts;
  if (o.prompt.empty()) prompts = o.model.texts();
  if (prompts.empty()) prompts.push_back({o.prompt, "", false, ""});  // or from the beginning of a text
  if (o.generate.max_tokens < 0) o.generate.max_tokens = INT32_MAX;
  o.generate.check();
  o.beams.check();
  check_together(o);
  const Loaded m = load(o.model);
  require_generator(m, "generate");
  const SuffixFormat manner = manner_of(m.spec().family, m.objectives);
  // An encoder-decoder that learnt pairs answers; all else goes on where the prompt ends.
  const bool echo = !o.no_echo && !o.model.json && !learns(m.objectives, ObjectiveKind::seq2seq);
  const bool beams = o.beams.beams > 1;
  SessionOptions session_options;
  session_options.slots = beams ? o.beams.beams * std::min<int64_t>(2, int64_t(prompts.size()))
                                : std::min<int64_t>(kSlots, int64_t(prompts.size()) * o.generate.n);
  session_options.rows = o.context;
  Session session(*m.model, m.specials(), session_options);
  std::vector<Request> requests;
  for (const Document& p : prompts) {
    requests.push_back(continuation(manner, m.specials(), m.tokenizer.encode(p.text), o.generate));
    about(p, [&] { session.check(requests.back().prompt()); });
  }
  Printer print(prompts, o.model.json, echo);
  if (beams) return by_beams(o, m, session, std::move(requests), std::move(print));
  return by_sampling(o, m, session, std::move(requests), std::move(print), echo ? prompts[0].text : "");
}

}  // namespace

Action declare_generate(Arguments& app) {
  auto o = std::make_shared<GenerateFlags>();
  o->generate.sampling.temperature = 0.8;
  o->generate.sampling.top_p = 0.95;
  o->beams.beams = 1;
  o->model.declare(app, "[PROMPT]");
  app.add_option("-p,--prompt", o->prompt, "the prompt, instead of behind the model").type_name("TEXT");
  app.add_option("-n,--n-predict,--max-tokens", o->generate.max_tokens,
                 "most tokens to generate; -1: until the context is full")
      .capture_default_str();
  app.add_option("-c,--ctx-size", o->context, "most tokens of prompt and answer; 0: what the model was made for");
  app.add_option("--count", o->generate.n, "answers per prompt").capture_default_str();
  app.add_option("--stop", o->generate.stop, "end before this text; may be given several times")
      .one_value()
      .type_name("TEXT");
  app.add_flag("--ignore-eos", o->generate.ignore_eos, "go on behind the end of a text");
  app.add_flag("--no-echo,--no-display-prompt", o->no_echo, "print the answers alone");
  app.add_option("--logprobs", o->generate.top, "with --json: every token's log-probability, and so many likely ones");
  app.add_option("-s,--seed", o->generate.sampling.seed, "the same seed gives the same text")
      .capture_default_str()
      .group("Sampling");
  std::vector<Field> fields = flatten(fields_of(*o));
  std::erase_if(fields, [](const Field& f) { return f.name == "sampling.seed"; });  // it has a short name, too
  std::set<std::string> usual;
  for (const Field& f : fields) usual.insert(f.name);
  o->flags.declare(app, fields, {{"temp", "sampling.temperature"}, {"repeat_penalty", "sampling.repetition_penalty"}},
                   usual);
  app.footer(
      "Examples:\n"
      "  triarch generate runs/emma-causal-0001 \"It was \" --temp 0.7\n"
      "  triarch generate runs/emma-causal-0001 --file prompts.txt --json\n"
      "  triarch generate runs/pairs-encoder_decoder-0001 \"translate: good morning\" --beams 4");
  return [o] { return run_generate(*o); };
}

}  // namespace triarch::cli
