#include "triarch/study/sorting.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "triarch/base/clock.h"
#include "triarch/base/threads.h"
#include "triarch/evaluate/statistics.h"
#include "triarch/inference/packed.h"
#include "triarch/inference/sampling.h"
#include "triarch/study/beginning.h"
#include "triarch/study/over_seeds.h"
#include "triarch/study/paths.h"
#include "triarch/train/learner.h"
#include "triarch/train/schedule.h"

namespace triarch {
namespace {

ModelSpec spec_of(const SortingOptions& o) {
  ModelSpec s = preset("bert", Family::encoder, o.width, o.layers);
  s.heads = s.kv_heads = o.heads;
  s.head_dim = o.width / o.heads;
  s.mlp_width = o.width;
  s.vocabulary = o.symbols;
  s.max_positions = o.length;
  s.token_types = 0;
  s.tied = s.head_bias = s.head_transform = s.pooler = false;
  s.norm_eps = 1e-5;
  s.init_std = 0;  // by fan-in
  return s;
}

using Sequence = std::vector<int32_t>;

std::vector<Sequence> sequences(const SortingOptions& o, int64_t count, Draw draw) {
  std::vector<Sequence> out(static_cast<size_t>(count));
  for (Sequence& s : out) {
    for (int64_t p = 0; p < o.length; ++p) s.push_back(int32_t(draw.below(uint64_t(o.symbols))));
  }
  return out;
}

// Every place has the symbol that stands there when all are sorted as its target.
Batch batch_of(std::span<const Sequence> sequences) {
  Batch b;
  for (const Sequence& s : sequences) {
    Segment segment;
    segment.begin = segment.key_begin = int32_t(b.encoder.size());
    segment.length = int32_t(s.size());
    b.encoder.segments.push_back(segment);
    b.encoder.ids.insert(b.encoder.ids.end(), s.begin(), s.end());
    for (int32_t p = 0; p < segment.length; ++p) {
      b.encoder.positions.push_back(p);
      b.loss_rows.push_back(segment.begin + p);
    }
    b.targets.insert(b.targets.end(), s.begin(), s.end());
    std::sort(b.targets.end() - segment.length, b.targets.end());
  }
  b.tokens = b.encoder.size();
  return b;
}

// [rows][symbols]
std::vector<double> logits_of(Model& model, const Batch& batch, const Surgery& left) {
  Arena arena;
  Context ctx{arena, nullptr, model.parameters().precision()};
  model.surgery = left;
  return doubles_of(model.logits(ctx, model.forward(ctx, batch), batch));
}

double accuracy_of(const std::vector<double>& logits, const Batch& batch) {
  const size_t n = batch.targets.size(), symbols = logits.size() / n;
  int64_t right = 0;
  for (size_t i = 0; i < n; ++i) {
    right += argmax(std::span(logits).subspan(i * symbols, symbols)) == batch.targets[i];
  }
  return double(right) / double(n);
}

// The paths' outputs are normalised rows and the head is linear, so their logits are added.
double by_paths(Model& model, const SortingOptions& o, const Batch& batch, int64_t paths, int64_t length, Draw& draw) {
  std::vector<double> sum(batch.targets.size() * size_t(o.symbols), 0.0);
  for (int64_t p = 0; p < paths; ++p) {
    const std::vector<double> logits =
        logits_of(model, batch, {true, false, random_path(o.layers, o.heads, length, draw)});
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += logits[i];
  }
  return accuracy_of(sum, batch);
}

// Of always saying what stood there most often.
double by_place(const SortingOptions& o, const Batch& learnt, const Batch& asked) {
  const auto place = [&](size_t i) { return i % size_t(o.length); };
  std::vector<std::vector<double>> seen(size_t(o.length), std::vector<double>(size_t(o.symbols), 0.0));
  for (size_t i = 0; i < learnt.targets.size(); ++i) seen[place(i)][size_t(learnt.targets[i])] += 1;
  std::vector<double> said;
  for (size_t i = 0; i < asked.targets.size(); ++i) {
    said.insert(said.end(), seen[place(i)].begin(), seen[place(i)].end());
  }
  return accuracy_of(said, asked);
}

std::string percent(double x) { return fmt::format("{:.0f}", 100 * x); }

std::string shares(const std::vector<double>& seeds) { return over_seeds(seeds, "{:.0f}", 100, kShare); }

}  // namespace

std::optional<SortingResult> learn_to_sort(const SortingOptions& o, int64_t seed, const PartProgress& going) {
  const Key key(uint64_t(seed), Purpose::world);
  std::vector<Sequence> learnt = sequences(o, o.learnt, Draw(key.with(1)));
  const Batch asked = batch_of(sequences(o, o.asked, Draw(key.with(2))));
  SortingResult out;
  out.seed = seed;
  out.by_place = by_place(o, batch_of(learnt), asked);

  OptimizerConfig optimizer;
  optimizer.kind = OptimizerKind::adamw;
  optimizer.learning_rate = o.rate;
  optimizer.beta2 = 0.99;
  optimizer.weight_decay = 0;
  Learner learner(spec_of(o), Precision::float32(), optimizer);
  Model& model = learner.model();
  model.parameters().initialise(uint64_t(seed));
  const Surgery whole{true, false};
  model.surgery = whole;

  const int64_t per_pass = (o.learnt + o.batch - 1) / o.batch;
  const int64_t tokens = o.learnt * o.length;
  for (int64_t pass = 0; pass < o.passes; ++pass) {
    Draw(Key(uint64_t(seed), Purpose::data_order).with(uint64_t(pass))).shuffle(learnt.data(), learnt.size());
    Tally tally;
    for (int64_t i = 0; i < per_pass; ++i) {
      const size_t begin = size_t(i * o.batch), count = std::min(size_t(o.batch), learnt.size() - begin);
      const Batch batch = batch_of(std::span(learnt).subspan(begin, count));
      tally.add(learner.step({&batch, 1}, Schedule{}.factor(pass * per_pass + i, o.passes * per_pass)));
    }
    out.loss = tally.mean_nll();
    // The paths take about a tenth of the time.
    if (!going(0.9 * double(pass + 1) / double(o.passes), (pass + 1) * tokens)) return std::nullopt;
  }
  out.whole = accuracy_of(logits_of(model, asked, whole), asked);
  out.no_skips = accuracy_of(logits_of(model, asked, {false, false}), asked);
  Draw chance(key.with(3));
  for (int64_t paths : o.paths) {
    for (int64_t length = 0; length <= o.layers; ++length) {
      PathAccuracy& a = out.by_length.emplace_back(PathAccuracy{paths, length, {}});
      for (int64_t d = 0; d < o.draws; ++d) a.accuracy.push_back(by_paths(model, o, asked, paths, length, chance));
      if (!going(0.95, o.passes * tokens)) return std::nullopt;
    }
  }
  return out;
}

std::optional<std::vector<SortingResult>> learn_to_sort(const SortingOptions& o, const StudyWork& work) {
  std::vector<Part> parts;
  for (int64_t seed = 1; seed <= o.seeds; ++seed) {
    parts.push_back({fmt::format("sorting-{}", seed), 1, o.passes * o.learnt * o.length});
  }
  return work_on<SortingResult>(
      work, parts, [&](size_t i, const PartProgress& going) { return learn_to_sort(o, int64_t(i) + 1, going); });
}

double sorting_seconds(const SortingOptions& o, int jobs) {
  SortingOptions once = o;
  once.passes = 1;
  once.paths = {};
  const Stopwatch watch;
  set_this_thread_serial(true);
  learn_to_sort(once, 1, [](double, int64_t) { return true; });
  set_this_thread_serial(false);
  return watch.seconds() * double(o.passes) / 0.9 * double((o.seeds + jobs - 1) / jobs);
}

void add_sorting(const SortingOptions& o, const std::vector<SortingResult>& results, StudyReport& r) {
  const auto of_seeds = [&](double SortingResult::*figure) {
    std::vector<double> x;
    for (const SortingResult& s : results) x.push_back(s.*figure);
    return x;
  };
  std::map<int64_t, std::map<int64_t, std::vector<double>>> by;  // paths, length: mean over draws, of each seed
  for (const SortingResult& s : results) {
    for (const PathAccuracy& a : s.by_length) by[a.paths][a.length].push_back(mean(a.accuracy));
  }
  const std::vector<double> whole = of_seeds(&SortingResult::whole), place = of_seeds(&SortingResult::by_place);

  StudyTable table{fmt::format("Sorting {} of {} symbols, {} seeds: % of places right on unseen sequences, by paths",
                               o.length, o.symbols, results.size()),
                   {"what answers"},
                   {}};
  StudyChart chart{"Sorting by single paths: right places by path length", "layers that a path goes through",
                   "share of places right"};
  for (int64_t p : o.paths) table.head.push_back(fmt::format("{} paths", p));
  const auto same = [&](const std::string& what, const std::vector<double>& x) {
    std::vector<std::string> row(1 + o.paths.size(), "");
    row[0] = what;
    row[1] = shares(x);
    table.rows.push_back(row);
  };
  same("the whole net", whole);
  same("all heads, no skips", of_seeds(&SortingResult::no_skips));
  for (int64_t length = 0; length <= o.layers; ++length) {
    std::vector<std::string> row = {fmt::format("paths of length {}", length)};
    for (int64_t p : o.paths) row.push_back(shares(by[p][length]));
    table.rows.push_back(row);
  }
  same("the usual symbol of the place", place);
  for (int64_t p : o.paths) {
    StudySeries line;
    line.label = fmt::format("{} paths", p);
    for (const auto& [length, seeds] : by[p]) {
      line.x.push_back(double(length));
      line.y.push_back(mean(seeds));
      const Interval i = estimate_of(seeds).interval();
      line.low.push_back(i.low);
      line.high.push_back(i.high);
    }
    chart.series.push_back(line);
  }
  chart.levels = {{"the whole net", mean(whole)},
                  {"the usual symbol of each place", mean(place)},
                  {"chance", 1 / double(o.symbols)}};
  r.tables.push_back(table);
  r.charts.push_back(chart);

  const int64_t most = o.paths.back();
  const Difference lost = paired(by[most][1], by[most][o.layers]);  // from the shortest paths to the longest
  r.findings.push_back(fmt::format(
      "A net of attention and skips that sorts {} % of places right (theirs: 98) has {} % right by {} paths of one "
      "layer and {} % by paths of all {}, where the usual symbol of each place gives {} %; which of them do more of "
      "the work: {}.",
      percent(mean(whole)), percent(mean(by[most][1])), most, percent(mean(by[most][o.layers])), o.layers,
      percent(mean(place)), told(lost, "the short ones", "the long ones, against what they find")));
  r.method.push_back(fmt::format(
      "Sorting: {} layers, {} heads, width {}, norms last, no feed-forward layers; {} sequences in {} passes, AdamW at "
      "{} (theirs: Adam at 1e-5, 65 passes); {} unseen sequences. A path: one head in each of its layers, without "
      "skips, the other layers passed by; outputs of {} random paths are added, {} times. Intervals: over seeds, 95 %.",
      o.layers, o.heads, o.width, o.learnt, o.passes, o.rate, o.asked, fmt::join(o.paths, " or "), o.draws));
  r.limits.push_back(
      "Paths of a net that was trained with all of them answer outside of what it was trained for; that few of them do "
      "badly does not say that the net could not do without them.");
}

}  // namespace triarch
