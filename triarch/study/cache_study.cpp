#include "triarch/study/cache_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "triarch/base/human.h"
#include "triarch/base/threads.h"
#include "triarch/evaluate/serving.h"
#include "triarch/inference/sampling.h"
#include "triarch/inference/session.h"
#include "triarch/kernels/isa.h"
#include "triarch/study/contender.h"

namespace triarch {
namespace {

constexpr Family kGenerators[] = {Family::causal, Family::prefix, Family::encoder_decoder, Family::permutation};

ModelSpec spec_of(const CacheOptions& o, Family family, int64_t positions) {
  ModelSpec s = preset(o.preset, family, o.width, o.layers);
  s.vocabulary = Tokenizer().vocabulary();
  s.max_positions = positions;
  s.check();
  return s;
}

// The largest difference of logits between a session that goes on and one that reads everything anew, over `steps`
// greedy tokens.
double largest_difference(const CacheOptions& o, Family family, Precision precision, int64_t steps) {
  const Tokenizer bytes;
  CacheOptions small = o;
  small.width = 64;
  small.layers = 2;
  Model model(spec_of(small, family, 128), precision, false);
  model.parameters().initialise(1);
  const std::vector<int32_t> source = bytes.encode("what has been read once need not be read again");
  Session cached(model, bytes.specials()), fresh(model, bytes.specials());
  std::vector<int32_t> start;
  Logits a = cached.prefill(0, source);
  double most = 0;
  for (int64_t i = 0; i < steps; ++i) {
    fresh.clear();
    const Logits b = fresh.prefill(0, source, start);
    for (size_t k = 0; k < a.values.size(); ++k) most = std::max(most, std::abs(a.values[k] - b.values[k]));
    const Session::Next next{0, int32_t(argmax(a.row(0)))};
    start.push_back(next.id);
    a = cached.step({&next, 1});
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

StudyReport cache_study(const CacheOptions& o) {
  const Tokenizer tokenizer;
  StudyReport r;
  r.name = "cache";
  r.title = "What a cache saves";
  r.question = "Does generating with a cache give the same, and what does a token cost, by family and length?";
  r.source = "Shazeer 2019 (arXiv 1911.02150: one key head); Ainslie et al. 2023 (grouped heads); inference/session.h.";

  StudyTable same{"The same answers: largest difference of logits with and without the cache, 24 greedy tokens",
                  {"family", "float64", "float32"},
                  {}};
  double worst = 0;
  for (Family f : kGenerators) {
    const double exact = largest_difference(o, f, Precision::float64(), 24);
    worst = std::max(worst, exact);
    same.rows.push_back({title_of(f), fmt::format("{:.1e}", exact),
                         fmt::format("{:.1e}", largest_difference(o, f, Precision::float32(), 24))});
  }

  StudyTable cost{
      fmt::format("A token more: {}, width {}, {} layers, float32, {} thread{}, {}", o.preset, o.width, o.layers,
                  thread_count(), thread_count() == 1 ? "" : "s", kernels::name_of(kernels::active_isa())),
      {"family", "context", "ms with cache", "ms without", "times", "MFLOP", "MFLOP by formula", "keys kept"},
      {}};
  StudyChart with{"Milliseconds for a token more, with the cache", "tokens of context", "ms", true};
  StudyChart without{"The same without: everything is read again", "tokens of context", "ms", true};
  StudyTable turns{"A conversation of 4 turns, 16 tokens said and 8 answered in each: rows computed",
                   {"family", "turn 1", "turn 2", "turn 3", "turn 4", "all", "ms"},
                   {}};
  const int64_t longest = *std::ranges::max_element(o.lengths);
  double saved = 0;
  for (Family f : kGenerators) {
    Model model(spec_of(o, f, 2 * (longest + o.generated + 8)), Precision::float32(), false);
    model.parameters().initialise(1);
    StudySeries fast, slow;
    fast.label = slow.label = title_of(f);
    for (int64_t length : o.lengths) {
      ServingOptions s;
      s.prompt = length;
      s.generated = o.generated;
      s.turns = length == o.lengths.front() ? 4 : 0;
      s.repeats = o.repeats;
      const ServingCost c = serving_cost(model, tokenizer, s);
      const bool apart = f == Family::encoder_decoder;
      cost.rows.push_back({title_of(f), std::to_string(length), fmt::format("{:.3f}", *c.ms_per_token),
                           fmt::format("{:.2f}", c.ms_per_prompt),
                           fmt::format("{:.0f}", c.ms_per_prompt / *c.ms_per_token),
                           fmt::format("{:.2f}", measured_flops(model, tokenizer, length) / 1e6),
                           fmt::format("{:.2f}", formula(model, apart ? 3 : length + 3, apart ? length + 1 : 0) / 1e6),
                           human_bytes(double(apart ? c.cross_cache_bytes : c.cache_bytes_per_token * length))});
      fast.x.push_back(double(length));
      fast.y.push_back(*c.ms_per_token);
      slow.x.push_back(double(length));
      slow.y.push_back(c.ms_per_prompt);
      saved = std::max(saved, c.ms_per_prompt / *c.ms_per_token);
      if (s.turns == 0) continue;
      std::vector<std::string> row = {title_of(f)};
      for (const TurnCost& t : c.turns) row.push_back(std::to_string(t.rows));
      row.push_back(std::to_string(c.turn_rows));
      row.push_back(fmt::format("{:.1f}", c.turn_ms));
      turns.rows.push_back(row);
    }
    with.series.push_back(fast);
    without.series.push_back(slow);
  }

  StudyTable heads{"What a token of context keeps, by key heads (causal)",
                   {"attention", "key heads", "bytes", "2 layers kv_heads head_dim 4"},
                   {}};
  ModelSpec base = spec_of(o, Family::causal, 64);
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
      fmt::format("At {} tokens of context a token costs up to {:.0f} times less with a cache.", longest, saved),
      "A causal decoder (and a turn-blocked prefix) never reads a conversation again; a prefix decoder, an "
      "encoder-decoder "
      "and a permutation LM read all of it in every turn, since what is new changes what the old is seen as."};
  r.tables = {same, cost, turns, heads};
  r.charts = {with, without};
  r.method = {
      "Random weights: cost does not depend on them. One sequence; medians. \"Without\" is reading the whole context "
      "for one "
      "token.",
      "Formula: 2 operations for every weight of the decoder and the head, and 4 layers heads head_dim for each "
      "position "
      "that is seen; a permutation LM computes a query row beside. An encoder-decoder's context is its source, read "
      "once by "
      "the encoder and seen by cross attention; norms, rotations and sampling are not in the formula."};
  r.limits = {
      "Times are of this machine, now, with one sequence: batches share the reading of weights and look different.",
      "Small models: at larger ones reading the weights outweighs attention for longer."};
  r.command = "triarch study cache";
  return r;
}

}  // namespace triarch
