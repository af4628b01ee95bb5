#include "triarch/study/sweep.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>

#include "triarch/study/workers.h"

namespace triarch {
namespace {

constexpr uint64_t kFirstSeed = 1'000'001;

}  // namespace

std::vector<SweepPoint> sweep(std::vector<Contender>& contenders, const TrialInputs& inputs, int64_t seeds, int jobs,
                              const std::function<bool(double share)>& progress) {
  TrialInputs in = inputs;
  in.tasks = {};
  in.instructions = nullptr;
  in.heads = {};
  in.translations = 0;
  in.points = 1;
  constexpr int64_t rates = std::size(kSweptRates);
  std::vector<SweepPoint> points;
  for (const Contender& c : contenders) {
    for (double rate : kSweptRates) points.push_back({c.name, rate, 0});
  }
  const int64_t runs = int64_t(points.size()) * seeds;
  std::vector<double> losses(size_t(runs), std::numeric_limits<double>::quiet_NaN());
  std::mutex mutex;
  int64_t done = 0;
  std::atomic<bool> stopped = false;
  each_on_a_thread(jobs, runs, [&](int64_t run) {
    const size_t point = size_t(run) % points.size();
    Contender c = contenders[point / rates];
    c.rate = points[point].rate;
    TrialEvents events;
    events.progress = [&](double, int64_t) {
      const std::lock_guard lock(mutex);
      stopped = stopped || (progress && !progress(double(done) / double(runs)));
      return !stopped;
    };
    const auto result = run_trial(c, kFirstSeed + uint64_t(run) / points.size(), in, events);
    const std::lock_guard lock(mutex);
    ++done;
    if (result && result->failure.empty()) losses[size_t(run)] = result->own_loss;
  });
  if (stopped) return {};
  for (size_t i = 0; i < losses.size(); ++i) points[i % points.size()].loss += losses[i] / double(seeds);
  for (size_t c = 0; c < contenders.size(); ++c) {
    double best = std::numeric_limits<double>::infinity();
    for (size_t p = c * rates; p < (c + 1) * rates; ++p) {
      if (!(points[p].loss < best)) continue;
      best = points[p].loss;
      contenders[c].rate = points[p].rate;
    }
  }
  return points;
}

}  // namespace triarch
