// Learning rate over a run, as a factor of the peak.
#pragma once

#include <cstdint>

namespace triarch {

enum class ScheduleKind : uint8_t {
  cosine,    // warm-up, then half a cosine down to the floor
  linear,    // warm-up, then a line down to the floor
  wsd,       // warm-up, stable, then a line down to the floor over the last part (Hu et al. 2024, section 4)
  constant,  // warm-up, then flat
};

struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double warmup = 0.05;  // below 1: share of the run; else steps
  double floor = 0.0;    // the last factor
  double decay = 0.2;    // wsd: share of the run that decays

  // Usage error for what is outside its range.
  void check() const;
  // The factor for step (0-based) of total.
  double factor(int64_t step, int64_t total) const;

  template <class V>
  void fields(V& v) {
    v("kind", kind, "cosine, linear, wsd or constant");
    v("warmup", warmup, "warm-up: below 1 a share of the run, else steps");
    v("floor", floor, "the last learning rate as a share of the peak");
    v("decay", decay, "wsd: the share of the run that decays");
  }
};

}  // namespace triarch
