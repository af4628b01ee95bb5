#include "triarch/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "triarch/train/ranges.h"

namespace triarch {

void Schedule::check() const {
  check_setting(warmup >= 0, "schedule.warmup", "at least 0", warmup);
  check_setting(floor >= 0 && floor <= 1, "schedule.floor", "from 0 to 1", floor);
  check_setting(decay >= 0 && decay <= 1, "schedule.decay", "from 0 to 1", decay);
}

double Schedule::factor(int64_t step, int64_t total) const {
  const double n = double(std::max<int64_t>(1, total));
  const double warm = warmup < 1 ? std::floor(warmup * n) : warmup;
  if (double(step) < warm) return double(step + 1) / warm;
  // From 0 right after the warm-up towards 1 at the end.
  const double progress = std::clamp((double(step) - warm) / std::max(1.0, n - warm), 0.0, 1.0);
  switch (kind) {
    case ScheduleKind::cosine:
      return floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
    case ScheduleKind::linear:
      return floor + (1 - floor) * (1 - progress);
    case ScheduleKind::wsd: {
      const double start = n * (1 - decay);
      if (double(step) < start) return 1;
      return floor + (1 - floor) * std::clamp(1 - (double(step) - start) / std::max(1.0, n - start), 0.0, 1.0);
    }
    case ScheduleKind::constant:
      return 1;
  }
  return 1;
}

}  // namespace triarch
