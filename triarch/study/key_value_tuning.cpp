#include "triarch/study/key_value_tuning.h"

#include <cmath>

#include "triarch/base/error.h"
#include "triarch/base/random.h"

namespace triarch {

KeyValueTuning::KeyValueTuning(Learner& learner) : learner_(learner) {
  Parameters& weights = learner.model().parameters();
  require(weights.precision().stream == weights.precision().operand,
          "key-value tuning: expected a model in float32 or float64, found one in bfloat16");
  const ModelSpec& spec = learner.model().spec();
  const int64_t kv = 2 * spec.kv_heads * spec.head_dim;
  const auto has = [](const Parameter& p, const char* part) { return p.name.find(part) != std::string::npos; };
  for (Parameter& p : weights.all()) {
    p.frozen = !has(p, ".self.qkv.") && !has(p, ".cross.kv.");
    if (p.frozen) continue;
    // [q; k; v] or [k; v]; of a bias, columns.
    const int64_t outputs = p.kind == ParameterKind::matrix ? p.rows : p.cols;
    const int64_t inputs = p.count() / outputs;
    ranges_.push_back({p.offset + (outputs - kv) * inputs, kv * inputs});
  }
  dispatch(weights.precision(), [&]<class S, class T>() {
    for (const Range& r : ranges_) {
      const S* w = weights.flat_values().template data<S>() + r.begin;
      start_.insert(start_.end(), w, w + r.count);
    }
  });
}

bool KeyValueTuning::step(const Batch& batch, double rate) {
  if (!std::isfinite(learner_.gradients({&batch, 1}).loss)) return false;
  Parameters& weights = learner_.model().parameters();
  dispatch(weights.precision(), [&]<class S, class T>() {
    for (const Range& r : ranges_) {
      S* w = weights.flat_values().template data<S>() + r.begin;
      const S* g = weights.flat_gradients().template data<S>() + r.begin;
      for (int64_t i = 0; i < r.count; ++i) w[i] -= S(rate) * g[i];
    }
  });
  return true;
}

void KeyValueTuning::reset() {
  Parameters& weights = learner_.model().parameters();
  dispatch(weights.precision(), [&]<class S, class T>() {
    const double* from = start_.data();
    for (const Range& r : ranges_) {
      S* w = weights.flat_values().template data<S>() + r.begin;
      for (int64_t i = 0; i < r.count; ++i) w[i] = S(*from++);
    }
  });
}

void KeyValueTuning::randomise(uint64_t seed) {
  Draw draw(Key(seed, Purpose::test));
  Parameters& weights = learner_.model().parameters();
  dispatch(weights.precision(), [&]<class S, class T>() {
    const double* from = start_.data();
    for (const Range& r : ranges_) {
      S* w = weights.flat_values().template data<S>() + r.begin;
      std::vector<double> update(size_t(r.count), 0.0);
      double changed = 0, drawn = 0;
      for (int64_t i = 0; i < r.count; ++i) {
        const double x = draw.normal(), d = double(w[i]) - from[i];
        changed += d * d;
        drawn += x * x;
        update[size_t(i)] = x;
      }
      const double scale = std::sqrt(changed / drawn);
      for (int64_t i = 0; i < r.count; ++i) w[i] = S(from[i] + scale * update[size_t(i)]);
      from += r.count;
    }
  });
}

double KeyValueTuning::moved() const {
  const Parameters& weights = learner_.model().parameters();
  double changed = 0, norm = 0;
  dispatch(weights.precision(), [&]<class S, class T>() {
    const double* from = start_.data();
    for (const Range& r : ranges_) {
      const S* w = weights.flat_values().template data<S>() + r.begin;
      for (int64_t i = 0; i < r.count; ++i, ++from) {
        changed += (double(w[i]) - *from) * (double(w[i]) - *from);
        norm += *from * *from;
      }
    }
  });
  return std::sqrt(changed / norm);
}

}  // namespace triarch
