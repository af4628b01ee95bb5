#include "triarch/study/sweep.h"

#include <atomic>
#include <cmath>
#include <mutex>

#include "triarch/base/error.h"
#include "triarch/study/workers.h"

namespace triarch {
namespace {

constexpr uint64_t kSeed = 1'000'001;

}  // namespace

std::vector<SweepPoint> sweep(std::vector<Contender>& contenders, const TrialInputs& inputs, int jobs,
                              const std::function<bool(double share)>& progress) {
  TrialInputs in = inputs;
  in.tasks = {};
  in.instructions = nullptr;
  in.heads = {};
  in.translations = 0;
  in.points = 1;
  constexpr size_t rates = std::size(kSweptRates);
  std::vector<SweepPoint> points;
  for (const Contender& c : contenders) {
    for (double rate : kSweptRates) points.push_back({c.name, rate, {}});
  }
  std::mutex mutex;
  size_t done = 0;
  std::atomic<bool> stopped = false;
  each_on_a_thread(jobs, int64_t(points.size()), [&](int64_t run) {
    if (stopped) return;
    SweepPoint& point = points[size_t(run)];
    Contender c = contenders[size_t(run) / rates];
    c.rate = point.rate;
    TrialEvents events;
    events.progress = [&](double, int64_t) {
      const std::lock_guard lock(mutex);
      stopped = stopped || (progress && !progress(double(done) / double(points.size())));
      return !stopped;
    };
    const auto result = run_trial(c, kSeed, in, events);
    const std::lock_guard lock(mutex);
    ++done;
    if (result && result->failure.empty() && std::isfinite(result->own_loss)) point.loss = result->own_loss;
  });
  if (stopped) return {};
  for (size_t c = 0; c < contenders.size(); ++c) {
    const SweepPoint* best = nullptr;
    for (size_t p = c * rates; p < (c + 1) * rates; ++p) {
      if (points[p].loss && (!best || *points[p].loss < *best->loss)) best = &points[p];
    }
    if (!best) {
      fail(ExitCode::diverged,
           "compare: {} diverged at all learning rates of --sweep; lower --optimizer.learning-rate and "
           "--optimizer.muon-learning-rate",
           contenders[c].title());
    }
    contenders[c].rate = best->rate;
  }
  return points;
}

}  // namespace triarch
