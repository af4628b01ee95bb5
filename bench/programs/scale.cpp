// bench_scale: what work costs as it grows. A training step of a GPT-2 shape over more sequences and over longer ones,
// a token more with the cache and without, memory beside what the plan says, and what is not a kernel. Tables, and a
// page.
//
//   bench_scale [--width 256] [--layers 6] [--vocabulary 4096] [--rounds 5] [--page runs/bench-scale.html]
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/side_by_side.h"
#include "bench/work.h"
#include "triarch/base/clock.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/inference/session.h"
#include "triarch/kernels/isa.h"
#include "triarch/report/study.h"
#include "triarch/study/study_report.h"
#include "triarch/text/tokenizer.h"
#include "triarch/train/learner.h"

namespace triarch::bench {
namespace {

struct Size {
  int64_t width = 256, layers = 6, vocabulary = 4096;
  int rounds = 5;
};

Work work_of(const Size& s, int64_t sequences, int64_t length) {
  return make_work({"", s.vocabulary, length, s.width, s.layers, std::max<int64_t>(1, s.width / 64), sequences},
                   "causal");
}

double milliseconds(const std::function<void()>& work) {
  Stopwatch watch;
  work();
  return watch.seconds() * 1e3;
}

// A step over so many sequences of such a length.
struct Step {
  int64_t sequences, length;
  double ms = 0, planned_ms = 0;  // of a step; of the same without its kernels
  double planned_bytes = 0, peak_bytes = 0;
  double flops = 0;
  std::vector<double> times = {}, planned_times = {};

  double tokens() const { return double(sequences * length); }
  double us() const { return ms / tokens() * 1e3; }
};

// All take their turns, so that slow moments of the machine meet all.
void measure(const Size& s, std::vector<Step>& steps) {
  int64_t longest = 0;
  for (const Step& x : steps) longest = std::max(longest, x.length);
  const ModelSpec spec = work_of(s, 1, longest).spec;
  OptimizerConfig optimizer;
  optimizer.kind = OptimizerKind::adamw;
  std::vector<Batch> batches;
  for (Step& x : steps) {  // memory first: an arena keeps what it has had
    Learner learner(spec, Precision::float32(), optimizer);
    learner.model().parameters().initialise(1);
    const Batch& batch = batches.emplace_back(work_of(s, x.sequences, x.length).batch);
    const Learner::Plan plan = learner.plan({&batch, 1});
    x.planned_bytes = double(plan.activation_peak);
    x.flops = plan.flops;
    learner.arena().reset_peak();
    learner.step({&batch, 1}, 1e-3);
    x.peak_bytes = double(learner.arena().peak());
  }
  Learner learner(spec, Precision::float32(), optimizer);
  learner.model().parameters().initialise(1);
  for (int round = 0; round <= s.rounds; ++round) {
    for (size_t i = 0; i < steps.size(); ++i) {
      Step& x = steps[i];
      const Batch& batch = batches[i];
      const double ms = milliseconds([&] { learner.step({&batch, 1}, 1e-3); });
      if (round > 0) x.times.push_back(ms);  // the first warms up
      x.planned_times.push_back(milliseconds([&] { learner.plan({&batch, 1}); }));
    }
  }
  for (Step& x : steps) x.ms = median(x.times), x.planned_ms = median(x.planned_times);
}

void by_sequences(const Size& s, StudyReport& r) {
  std::vector<Step> steps;
  for (int64_t n : {1, 2, 4, 8, 16, 32}) steps.push_back({n, 128});
  measure(s, steps);
  StudyTable table{"A training step over sequences of 128 tokens, float32",
                   {"sequences", "ms", "us per token", "without kernels", "activations", "as planned"},
                   {}};
  StudyChart chart{"Microseconds per token, by the number of sequences", "sequences", "us per token", true};
  StudySeries line;
  line.label = "a step";
  double most = 0;
  for (const Step& x : steps) {
    line.x.push_back(double(x.sequences));
    line.y.push_back(x.us());
    table.rows.push_back({std::to_string(x.sequences), fmt::format("{:.1f}", x.ms), fmt::format("{:.1f}", x.us()),
                          fmt::format("{:.2f} %", 100 * x.planned_ms / x.ms), human_bytes(x.peak_bytes),
                          fmt::format("{:.3f}", x.peak_bytes / x.planned_bytes)});
    if (x.sequences >= 8) most = std::max(most, x.planned_ms / x.ms);
  }
  chart.series = {line};
  const auto large = std::span(steps).subspan(2);
  const auto [low, high] = std::ranges::minmax(large, {}, &Step::us);
  r.findings.push_back(fmt::format("From 4 to 32 sequences a token costs {:.1f} to {:.1f} us: {:.2f} times.", low.us(),
                                   high.us(), high.us() / low.us()));
  r.findings.push_back(
      fmt::format("What is not a kernel takes at most {:.2f} % of a step over 1,024 tokens and more.", 100 * most));
  r.tables.push_back(table);
  r.charts.push_back(chart);
}

void by_length(const Size& s, StudyReport& r) {
  constexpr int64_t kRows = 4096;
  std::vector<Step> steps;
  for (int64_t length : {64, 128, 256, 512, 1024, 2048}) steps.push_back({kRows / length, length});
  measure(s, steps);
  // Least squares: a + b length. The products cost the same per token at every length, attention grows with it.
  double mx = 0, my = 0, xx = 0, xy = 0;
  for (const Step& x : steps) mx += double(x.length) / double(steps.size()), my += x.us() / double(steps.size());
  for (const Step& x : steps) {
    xx += (double(x.length) - mx) * (double(x.length) - mx);
    xy += (double(x.length) - mx) * (x.us() - my);
  }
  const double slope = xy / xx, base = my - slope * mx;
  StudyTable table{fmt::format("A training step over {} tokens in all, float32", kRows),
                   {"length", "ms", "us per token", "a + b length", "grows with length", "its share of operations"},
                   {}};
  StudyChart chart{"Microseconds per token, by the length of sequences", "length", "us per token"};
  StudySeries line, fit;
  line.label = "a step";
  line.points = true;
  fit.label = fmt::format("{:.1f} + {:.4f} length", base, slope);
  double worst = 0;
  for (const Step& x : steps) {
    const double expected = base + slope * double(x.length);
    worst = std::max(worst, std::abs(x.us() / expected - 1));
    line.x.push_back(double(x.length));
    line.y.push_back(x.us());
    fit.x.push_back(double(x.length));
    fit.y.push_back(expected);
    // Causal attention sees half: 6 layers d T operations per token, forward and backward.
    const double attention = 6.0 * double(s.layers * s.width * x.length) * x.tokens();
    table.rows.push_back({std::to_string(x.length), fmt::format("{:.1f}", x.ms), fmt::format("{:.1f}", x.us()),
                          fmt::format("{:.1f}", expected),
                          fmt::format("{:.0f} %", 100 * slope * double(x.length) / expected),
                          fmt::format("{:.0f} %", 100 * attention / x.flops)});
  }
  chart.series = {line, fit};
  r.findings.push_back(fmt::format("The time per token is a + b length within {:.0f} %.", 100 * worst));
  r.tables.push_back(table);
  r.charts.push_back(chart);
}

void by_context(const Size& s, StudyReport& r) {
  const std::vector<int64_t> contexts = {64, 128, 256, 512, 1024, 2048};
  Model model(work_of(s, 1, contexts.back() + 64).spec, Precision::float32(), false);
  model.parameters().initialise(1);
  Specials specials;
  Session session(model, specials, {.slots = 1, .rows = contexts.back() + 40});
  StudyTable table{"A token more, one sequence, float32", {"context", "ms with the cache", "ms without"}, {}};
  StudyChart with{"Milliseconds of a token more, with the cache", "context", "ms"};
  StudyChart without{"The same without it", "context", "ms"};
  StudySeries cached, again;
  cached.label = again.label = "causal decoder";
  for (int64_t n : contexts) {
    Draw draw(Key(2, Purpose::test));
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < n; ++i) ids.push_back(int32_t(10 + draw.below(uint64_t(s.vocabulary - 10))));
    std::vector<double> one, all;
    for (int round = 0; round < s.rounds; ++round) {
      session.clear();
      all.push_back(milliseconds([&] { session.prefill(0, ids); }));
      const Session::Next next{0, 11};
      for (int i = 0; i < 8; ++i) one.push_back(milliseconds([&] { session.step({&next, 1}); }));
    }
    const double a = median(one), b = median(all);
    cached.x.push_back(double(n));
    cached.y.push_back(a);
    again.x.push_back(double(n));
    again.y.push_back(b);
    table.rows.push_back({std::to_string(n), fmt::format("{:.3f}", a), fmt::format("{:.2f}", b)});
  }
  with.series = {cached};
  without.series = {again};
  r.findings.push_back(fmt::format(
      "At {} tokens of context a token more takes {:.2f} ms with the cache, {:.1f} times what it takes at {}; without "
      "it {:.0f} ms, {:.0f} times.",
      contexts.back(), cached.y.back(), cached.y.back() / cached.y.front(), contexts.front(), again.y.back(),
      again.y.back() / again.y.front()));
  r.tables.push_back(table);
  r.charts.push_back(with);
  r.charts.push_back(without);
}

int run(int count, char** values) {
  const auto options = options_of(count, values,
                                  {{"--width", "256"},
                                   {"--layers", "6"},
                                   {"--vocabulary", "4096"},
                                   {"--rounds", "5"},
                                   {"--page", "runs/bench-scale.html"}});
  Size s;
  s.width = std::stoll(options.at("--width"));
  s.layers = std::stoll(options.at("--layers"));
  s.vocabulary = std::stoll(options.at("--vocabulary"));
  s.rounds = std::max(3, std::stoi(options.at("--rounds")));
  StudyReport r;
  r.name = "scale";
  r.title = "What work costs as it grows";
  r.question = fmt::format("GPT-2 shape of width {}, {} layers, vocabulary {}; {} threads, kernels for {}.", s.width,
                           s.layers, s.vocabulary, thread_count(), kernels::name_of(kernels::active_isa()));
  by_sequences(s, r);
  by_length(s, r);
  by_context(s, r);
  r.method = {
      fmt::format(
          "Medians of {} rounds in which all sizes take their turn. A step is forward, backward, clip and AdamW.",
          s.rounds),
      "Without kernels: the same step run dry, which does all but compute; as a share of the step.",
      "Activations: the arena's peak in a first step, as a multiple of what a dry run plans."};
  r.command = "./dev bench scale";
  const std::string json = to_json(r);
  fmt::print("{}", report::study_text(json));
  std::filesystem::create_directories(std::filesystem::absolute(options.at("--page")).parent_path());
  write_file(options.at("--page"), report::study_page(json), "bench");
  fmt::print("page      {}\n", options.at("--page"));
  return 0;
}

}  // namespace
}  // namespace triarch::bench

int main(int count, char** values) { return triarch::bench::guarded(triarch::bench::run, count, values); }
