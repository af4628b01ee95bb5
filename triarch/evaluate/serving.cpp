#include "triarch/evaluate/serving.h"

#include <algorithm>

#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/threads.h"
#include "triarch/evaluate/statistics.h"
#include "triarch/inference/embed.h"
#include "triarch/inference/sampling.h"
#include "triarch/inference/session.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

using Ids = std::vector<int32_t>;

double median(std::vector<double> x) { return quantile(std::move(x), 0.5); }

// Random text, different for every `which`.
Ids text(const Specials& specials, int64_t vocabulary, int64_t tokens, uint64_t which) {
  Draw draw(sampling_key(0, which));
  Ids ids;
  for (int64_t i = 0; i < tokens; ++i) {
    ids.push_back(specials.size() + int32_t(draw.below(uint64_t(vocabulary - specials.size()))));
  }
  return ids;
}

// The likeliest token of text: no answer ends early.
int32_t choose(const Logits& logits, const Specials& specials) {
  return specials.size() + argmax(logits.row(0).subspan(size_t(specials.size())));
}

// `count` tokens, of which `logits` gives the first; the last is not computed. They go to `out`.
void generate(Session& session, const Specials& specials, Logits logits, int64_t count, Ids& out) {
  for (int64_t i = 0;; ++i) {
    const Session::Next next{0, choose(logits, specials)};
    out.push_back(next.id);
    if (i + 1 == count) return;
    logits = session.step({&next, 1});
  }
}

void measure_prompts(Session& session, const Specials& specials, const ServingOptions& o, ServingCost& out) {
  std::vector<double> prompt_ms, token_ms;
  // The first goes before: it takes the memory.
  for (int64_t i = 0; i <= o.repeats; ++i) {
    const Ids prompt = text(specials, session.model().spec().vocabulary, o.prompt, uint64_t(i));
    Ids answer;
    session.forget(0);
    const int64_t before = session.rows_computed();
    Stopwatch watch;
    const Session::Next first{0, choose(session.prefill(0, prompt), specials)};
    const double read = watch.seconds();
    const int64_t prompt_end = session.rows_computed();
    watch.restart();
    generate(session, specials, session.step({&first, 1}), o.generated - 1, answer);
    const double written = watch.seconds();
    out.prompt_rows = prompt_end - before;
    out.token_rows = (session.rows_computed() - prompt_end) / (o.generated - 1);
    if (i == 0) continue;
    prompt_ms.push_back(1e3 * read);
    token_ms.push_back(1e3 * written / double(o.generated - 1));
  }
  out.ms_per_prompt = median(prompt_ms);
  out.ms_per_token = median(token_ms);
}

void measure_turns(Session& session, const Specials& specials, const ServingOptions& o, ServingCost& out) {
  const int64_t vocabulary = session.model().spec().vocabulary;
  std::vector<std::vector<double>> ms(size_t(o.turns));
  out.turns.resize(size_t(o.turns));
  for (int64_t i = 0; i <= o.repeats; ++i) {
    Ids talk;
    std::vector<std::pair<int32_t, int32_t>> turns;
    session.forget(0);
    for (int64_t k = 0; k < o.turns; ++k) {
      const Ids said = text(specials, vocabulary, o.user, uint64_t((i + 1) * o.turns + k));
      turns.emplace_back(int32_t(talk.size()), int32_t(talk.size() + said.size()));
      talk.insert(talk.end(), said.begin(), said.end());
      const int64_t before = session.rows_computed();
      const double counted = session.flops();
      const Stopwatch watch;
      generate(session, specials, session.prefill(0, Prompt{talk, {}, turns}), o.answer, talk);
      if (i > 0) ms[size_t(k)].push_back(1e3 * watch.seconds());
      out.turns[size_t(k)].rows = session.rows_computed() - before;
      out.turns[size_t(k)].flops = session.flops() - counted;
    }
  }
  for (size_t k = 0; k < ms.size(); ++k) {
    out.turns[k].ms = median(ms[k]);
    out.turn_rows += out.turns[k].rows;
    out.turn_ms += out.turns[k].ms;
  }
}

void measure_embedding(const Model& model, const Specials& specials, const ServingOptions& o, ServingCost& out) {
  std::vector<double> ms;
  for (int64_t i = 0; i <= o.repeats; ++i) {
    const Ids ids = text(specials, model.spec().vocabulary, o.prompt, uint64_t(i));
    const Stopwatch watch;
    embed(model, specials, {&ids, 1});
    if (i > 0) ms.push_back(1e3 * watch.seconds());
  }
  out.prompt_rows = o.prompt + 2;  // cls, the text, eos
  out.ms_per_prompt = median(ms);
}

}  // namespace

void ServingOptions::check() const {
  const auto at_least = [](const char* name, int64_t value, int64_t least) {
    if (value < least) fail(ExitCode::usage, "serving.{}: expected at least {}, found {}", name, least, value);
  };
  at_least("prompt", prompt, 1);
  at_least("generated", generated, 2);  // the first token comes with the prompt
  at_least("turns", turns, 0);
  at_least("user", user, 1);
  at_least("answer", answer, 1);
  at_least("repeats", repeats, 1);
}

ServingCost serving_cost(const Model& model, const Tokenizer& tokenizer, const ServingOptions& options) {
  options.check();
  const ModelSpec& spec = model.spec();
  const Specials& specials = tokenizer.specials();
  require(spec.vocabulary > specials.size(),
          "serving: expected a model with tokens of text, found {} ids of {} specials", spec.vocabulary,
          specials.size());
  const int64_t talk = options.turns * (options.user + options.answer);
  const bool reads_apart = spec.has_encoder();
  SessionOptions rows;
  rows.memory_rows = 1 + std::max(options.prompt, talk);
  rows.rows = 1 + (reads_apart ? std::max(options.generated, options.answer)
                               : std::max(options.prompt + options.generated, talk));
  const int64_t needed = spec.family == Family::encoder ? options.prompt + 2
                                                        : std::max(rows.rows, reads_apart ? rows.memory_rows : 0) +
                                                              (spec.family == Family::permutation ? 1 : 0);
  if (needed > spec.max_positions) {
    fail(ExitCode::usage,
         "serving: a prompt of {} tokens, {} behind it and {} turns of {} need {} positions and the model has {}; ask "
         "for less",
         options.prompt, options.generated, options.turns, options.user + options.answer, needed, spec.max_positions);
  }
  ServingCost out;
  out.threads = thread_count();
  if (!spec.has_decoder()) {
    measure_embedding(model, specials, options, out);
    return out;
  }
  Session session(model, specials, rows);
  out.cache_bytes_per_token = int64_t(session.bytes_per_token());
  // Cross attention keeps as much of a row of the encoder as self attention of one of the decoder.
  if (reads_apart) out.cross_cache_bytes = (options.prompt + 1) * out.cache_bytes_per_token;
  measure_prompts(session, specials, options, out);
  measure_turns(session, specials, options, out);
  return out;
}

}  // namespace triarch
