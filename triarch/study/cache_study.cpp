#include "triarch/study/cache_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "triarch/base/clock.h"
#include "triarch/base/human.h"
#include "triarch/base/signals.h"
#include "triarch/base/threads.h"
#include "triarch/evaluate/serving.h"
#include "triarch/inference/sampling.h"
#include "triarch/inference/session.h"
#include "triarch/kernels/isa.h"
#include "triarch/study/contender.h"

namespace triarch {
namespace {

struct Kind {
  const char* title;
  Family family;
  Visibility visibility;  // of the decoder's rows
  bool reads_again;       // all that was said, in every turn
  const char* rows;       // of a conversation of K turns of u and a tokens
  double (*count)(double k, double u, double a);
};
const Kind kKinds[] = {
    {"causal decoder", Family::causal, Visibility::causal, false, "K (u + a)",
     [](double k, double u, double a) { return k * (u + a); }},
    {"prefix decoder, by turns", Family::prefix, Visibility::turn_prefix, false, "K (u + a)",
     [](double k, double u, double a) { return k * (u + a); }},
    {"prefix decoder", Family::prefix, Visibility::prefix, true, "K (K + 1) / 2 (u + a)",
     [](double k, double u, double a) { return k * (k + 1) / 2 * (u + a); }},
    {"encoder-decoder", Family::encoder_decoder, Visibility::causal, true, "K (K + 1) / 2 (u + a) + K",
     [](double k, double u, double a) { return k * (k + 1) / 2 * (u + a) + k; }},
    {"permutation LM", Family::permutation, Visibility::prefix, true, "K (K + 1) / 2 (u + a) + K a",
     [](double k, double u, double a) { return k * (k + 1) / 2 * (u + a) + k * a; }}};

ModelSpec spec_of(const CacheOptions& o, const Kind& kind, int64_t positions) {
  ModelSpec s = preset(o.preset, kind.family, o.width, o.layers);
  s.decoder.visibility = kind.visibility;
  s.vocabulary = Tokenizer().vocabulary();
  s.max_positions = positions;
  s.check();
  return s;
}

// The largest difference of logits between a session that goes on and one that reads everything anew, over turns of a
// conversation with `answer` greedy tokens in each.
double largest_difference(const CacheOptions& o, const Kind& kind, Precision precision, int64_t turns, int64_t answer) {
  const Tokenizer bytes;
  CacheOptions small = o;
  small.width = 64;
  small.layers = 2;
  Model model(spec_of(small, kind, 320), precision, false);
  model.parameters().initialise(1);
  const std::vector<int32_t> said = bytes.encode("what has been read once need not be read again");
  Session cached(model, bytes.specials()), fresh(model, bytes.specials());
  std::vector<int32_t> talk;
  std::vector<std::pair<int32_t, int32_t>> asked;
  double most = 0;
  for (int64_t t = 0; t < turns; ++t) {
    asked.emplace_back(int32_t(talk.size()), int32_t(talk.size() + said.size()));
    talk.insert(talk.end(), said.begin(), said.end());
    std::vector<int32_t> start;
    Logits a = cached.prefill(0, Prompt{talk, {}, asked});
    for (int64_t i = 0; i < answer; ++i) {
      fresh.clear();
      const Logits b = fresh.prefill(0, Prompt{talk, start, asked});
      for (int64_t k = 0; k < a.vocabulary; ++k) most = std::max(most, std::abs(a.values[k] - b.values[k]));
      const Session::Next next{0, int32_t(argmax(a.row(0)))};
      start.push_back(next.id);
      a = cached.step({&next, 1});
    }
    talk.insert(talk.end(), start.begin(), start.end());
  }
  return most;
}

// Operations of one row more behind t tokens: every weight of the stack and the head once, scores and values of each
// layer over what is seen.
double formula(const Model& model, int64_t t, int64_t source) {
  const ModelSpec& s = model.spec();
  double weights = 0;  // of the decoder's layers
  for (const Parameter& p : model.parameters().all()) {
    const bool decoder = p.name.rfind("decoder", 0) == 0;
    // Cross attention's keys are computed once, with the source.
    if (decoder && p.kind == ParameterKind::matrix && p.name.find("cross.kv") == std::string::npos) {
      weights += double(p.count());
    }
  }
  const double rows = s.family == Family::permutation ? 2 : 1;  // the query row, too
  const double seen = double(t) + double(source);
  const double head = double(s.vocabulary * s.width);  // tied or not
  return 2 * (rows * weights + head) + rows * 4 * double(s.decoder.layers * s.heads * s.head_dim) * seen;
}

double measured_flops(const Model& model, const Tokenizer& tokenizer, int64_t length) {
  SessionOptions rows;
  rows.rows = length + 8;
  rows.memory_rows = length + 8;
  Session session(model, tokenizer.specials(), rows);
  std::vector<int32_t> source(size_t(length), tokenizer.specials().size());
  session.prefill(0, source);
  const Session::Next next{0, tokenizer.specials().size()};
  session.step({&next, 1});
  const double before = session.flops();
  session.step({&next, 1});
  return session.flops() - before;
}

}  // namespace

std::optional<StudyReport> cache_study(const CacheOptions& o) {
  const Tokenizer tokenizer;
  StudyReport r;
  r.name = "cache";
  r.title = "What a cache saves";
  r.question = "Does generating with a cache give the same, and what does a token cost, by family and length?";
  r.source = "Shazeer 2019 (arXiv 1911.02150: one key head); Ainslie et al. 2023 (grouped heads); inference/session.h.";

  StudyTable same{"The same answers: largest difference of logits with and without the cache",
                  {"family", "24 tokens, float64", "float32", "4 turns of 4 tokens, float64", "float32"},
                  {}};
  double worst = 0;
  for (const Kind& kind : kKinds) {
    same.rows.push_back({kind.title});
    for (const auto& [turns, answer] : {std::pair{1, 24}, std::pair{4, 4}}) {
      for (const Precision& p : {Precision::float64(), Precision::float32()}) {
        const double d = largest_difference(o, kind, p, turns, answer);
        if (p == Precision::float64()) worst = std::max(worst, d);
        same.rows.back().push_back(fmt::format("{:.1e}", d));
      }
    }
  }

  StudyTable cost{
      fmt::format("A token more: {}, width {}, {} layers, float32, {} thread{}, {}", o.preset, o.width, o.layers,
                  thread_count(), thread_count() == 1 ? "" : "s", kernels::name_of(kernels::active_isa())),
      {"family", "context", "ms with cache", "ms without", "times", "MFLOP", "MFLOP by formula", "keys kept"},
      {}};
  StudyChart with{"Milliseconds for a token more, with the cache", "tokens of context", "ms", true, true};
  StudyChart without{"The same without: everything is read again", "tokens of context", "ms", true, true};
  StudyTable turns{
      fmt::format("A conversation of K = {} turns, u = {} tokens said and a = {} answered in each", o.turns, o.user,
                  o.answer),
      {"family", "rows by formula", "rows", "computed", "times causal", "MFLOP", "times causal", "ms", "times causal"},
      {}};
  StudyChart talk{"A conversation: milliseconds of all turns so far", "turns", "ms"};
  StudyChart again{"A conversation: operations, as a multiple of a causal decoder's", "turns", "times causal"};
  const int64_t longest = *std::ranges::max_element(o.lengths);
  double saved = 0;
  struct Talk {
    double rows = 0, flops = 0, ms = 0;
  };
  std::vector<Talk> causal;  // of all turns up to each
  double rows_again = 0, flops_again = 0;
  for (const Kind& kind : kKinds) {
    Model model(spec_of(o, kind, 2 * (longest + o.generated + o.turns * (o.user + o.answer) + 8)), Precision::float32(),
                false);
    model.parameters().initialise(1);
    StudySeries fast, slow;
    fast.label = slow.label = kind.title;
    for (int64_t length : o.lengths) {
      if (stop_signal() != 0) return std::nullopt;
      ServingOptions s;
      s.prompt = length;
      s.generated = o.generated;
      s.turns = length == o.lengths.front() ? o.turns : 0;
      s.user = o.user;
      s.answer = o.answer;
      s.repeats = o.repeats;
      const ServingCost c = serving_cost(model, tokenizer, s);
      const bool apart = kind.family == Family::encoder_decoder;
      cost.rows.push_back({kind.title, std::to_string(length), fmt::format("{:.3f}", *c.ms_per_token),
                           fmt::format("{:.2f}", c.ms_per_prompt),
                           fmt::format("{:.0f}", c.ms_per_prompt / *c.ms_per_token),
                           fmt::format("{:.2f}", measured_flops(model, tokenizer, length) / 1e6),
                           fmt::format("{:.2f}", formula(model, apart ? 3 : length + 3, apart ? length + 1 : 0) / 1e6),
                           human_bytes(double(apart ? c.cross_cache_bytes : c.cache_bytes_per_token * length))});
      fast.x.push_back(double(length));
      fast.y.push_back(*c.ms_per_token);
      slow.x.push_back(double(length));
      slow.y.push_back(c.ms_per_prompt);
      if (length == longest) saved = std::max(saved, c.ms_per_prompt / *c.ms_per_token);
      if (s.turns == 0) continue;
      std::vector<Talk> so_far;
      StudySeries time, times;
      time.label = times.label = kind.title;
      for (const TurnCost& t : c.turns) {
        const Talk before = so_far.empty() ? Talk{} : so_far.back();
        so_far.push_back({before.rows + double(t.rows), before.flops + t.flops, before.ms + t.ms});
        if (kind.family == Family::causal) causal = so_far;
        time.x.push_back(double(so_far.size()));
        time.y.push_back(so_far.back().ms);
        times.x.push_back(time.x.back());
        times.y.push_back(so_far.back().flops / causal[so_far.size() - 1].flops);
      }
      const Talk &all = so_far.back(), &least = causal.back();
      turns.rows.push_back({kind.title, kind.rows,
                            fmt::format("{:.0f}", kind.count(double(o.turns), double(o.user), double(o.answer))),
                            fmt::format("{:.0f}", all.rows), fmt::format("{:.1f}", all.rows / least.rows),
                            fmt::format("{:.1f}", all.flops / 1e6), fmt::format("{:.1f}", all.flops / least.flops),
                            fmt::format("{:.1f}", all.ms), fmt::format("{:.1f}", all.ms / least.ms)});
      if (kind.reads_again) rows_again = std::max(rows_again, all.rows / least.rows);
      if (kind.visibility == Visibility::turn_prefix) flops_again = all.flops / least.flops;
      talk.series.push_back(time);
      again.series.push_back(times);
    }
    with.series.push_back(fast);
    without.series.push_back(slow);
  }
  StudySeries halves;
  halves.label = "(K + 1) / 2";
  for (int64_t k = 1; k <= o.turns; ++k) {
    halves.x.push_back(double(k));
    halves.y.push_back(double(k + 1) / 2);
  }
  again.series.push_back(halves);

  StudyTable heads{"What a token of context keeps, by key heads (causal)",
                   {"attention", "key heads", "bytes", "2 layers kv_heads head_dim 4"},
                   {}};
  ModelSpec base = spec_of(o, kKinds[0], 64);
  for (int64_t kv : {base.heads, std::max<int64_t>(1, base.heads / 2), int64_t(1)}) {
    ModelSpec s = base;
    s.kv_heads = kv;
    Model model(s, Precision::float32(), false);
    heads.rows.push_back({kv == base.heads ? "multi-head"
                          : kv == 1        ? "multi-query"
                                           : "grouped-query",
                          std::to_string(kv), std::to_string(Session(model, tokenizer.specials()).bytes_per_token()),
                          std::to_string(2 * s.decoder.layers * kv * s.head_dim * 4)});
  }

  r.findings = {
      worst == 0
          ? std::string("Logits with and without a cache are the same bits in float64.")
          : fmt::format("Logits with and without a cache differ by at most {:.0e} in float64: by the order of sums.",
                        worst),
      fmt::format("At {} tokens of context a token costs up to {:.0f} times less with a cache, by family.", longest,
                  saved),
      fmt::format(
          "In a conversation of {} turns, families that see what was said anew in every turn compute up to {:.1f} "
          "times the rows of a causal decoder ((K + 1) / 2 = {:.1f}); a prefix decoder whose rows see both ways "
          "inside of a turn only computes {:.2f} times a causal decoder's operations.",
          o.turns, rows_again, double(o.turns + 1) / 2, flops_again)};
  r.evidence = {
      {"cache", rows_again > 1 ? Verdict::supported : Verdict::contradicted,
       fmt::format("In {} turns a prefix decoder, an encoder-decoder and a permutation LM compute up to {:.1f} "
                   "times the rows of a causal decoder (counted); but a prefix decoder that sees both ways "
                   "inside of each turn only needs {:.2f} times its operations.",
                   o.turns, rows_again, flops_again)}};
  r.tables = {same, cost, turns, heads};
  r.charts = {with, without, talk, again};
  r.method = {
      "Random weights: cost does not depend on them. One sequence; medians. \"Without\" is reading the whole context "
      "for one token.",
      "Formula: 2 operations for every weight of the decoder and the head, and 4 layers heads head_dim for each "
      "position that is seen; a permutation LM computes a query row beside. An encoder-decoder's context is its "
      "source, read once by the encoder and seen by cross attention; norms, rotations and sampling are not in the "
      "formula.",
      "Conversations: in every turn a model is given all that was said; what its cache has and may keep is not "
      "computed again. By turns: what is said in a turn is seen both ways, answers and earlier turns from the left "
      "(visibility turn_prefix), so that what came before never changes."};
  r.limits = {
      "Times are of this machine, now, with one sequence: batches share the reading of weights and look different.",
      "Small models: at larger ones reading the weights outweighs attention for longer."};
  return r;
}

double cache_seconds(const CacheOptions& o) {
  const Tokenizer bytes;
  const int64_t n = o.lengths.front();
  Model model(spec_of(o, kKinds[0], n + 8), Precision::float32(), false);
  model.parameters().initialise(1);
  Session session(model, bytes.specials());
  const std::vector<int32_t> text(size_t(n), bytes.specials().size());
  session.prefill(0, text);  // takes the memory
  session.forget(0);
  const Stopwatch watch;
  session.prefill(0, text);
  double tokens = 0;  // read by each kind; those generated cost about as much as a tenth of that
  for (int64_t length : o.lengths) tokens += 1.1 * double(length) * double(o.repeats + 1);
  tokens += double(o.turns * (o.turns + 1) / 2 * (o.user + o.answer) * (o.repeats + 1));
  return watch.seconds() / double(n) * tokens * double(std::size(kKinds));
}

}  // namespace triarch
