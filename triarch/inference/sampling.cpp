#include "triarch/inference/sampling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "triarch/base/error.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

void SamplingOptions::check() const {
  const auto in = [](const char* name, double value, double low, double high, const char* range) {
    if (!(value >= low && value <= high)) {
      fail(ExitCode::usage, "sampling.{}: expected a number {}, found {}", name, range, value);
    }
  };
  const double most = std::numeric_limits<double>::max();
  in("temperature", temperature, 0, most, "of at least 0");
  in("top_k", double(top_k), 0, most, "of at least 0");
  in("top_p", top_p, 1e-300, 1, "in (0, 1]");
  in("min_p", min_p, 0, 1, "in [0, 1]");
  in("repetition_penalty", repetition_penalty, 1e-300, most, "above 0");
}

double logsumexp(std::span<const double> logits) {
  double largest = -std::numeric_limits<double>::infinity();
  for (double x : logits) largest = std::max(largest, x);
  if (std::isinf(largest)) return largest;
  double sum = 0;
  for (double x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

std::vector<double> log_softmax(std::span<const double> logits) {
  const double lse = logsumexp(logits);
  std::vector<double> out(logits.begin(), logits.end());
  for (double& x : out) x -= lse;
  return out;
}

namespace {

// NaN counts as -infinity. Eight at a time: one comparison after the other would wait for the one before.
double largest(std::span<const double> x) {
  constexpr size_t kLanes = 8;
  std::array<double, kLanes> most;
  most.fill(-HUGE_VAL);
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
#pragma GCC unroll 8
    for (size_t lane = 0; lane < kLanes; ++lane) most[lane] = x[i + lane] > most[lane] ? x[i + lane] : most[lane];
  }
  for (; i < x.size(); ++i) most[0] = std::max(most[0], x[i]);
  return *std::ranges::max_element(most);
}

}  // namespace

int32_t argmax(std::span<const double> logits) {
  const auto found = std::ranges::find(logits, largest(logits));
  return found == logits.end() ? 0 : int32_t(found - logits.begin());
}

std::vector<int32_t> likeliest(std::span<const double> logits, int64_t count, std::span<const int32_t> never) {
  constexpr int64_t kFew = 256;  // that are kept in order while the others go by
  const auto logit = [&](int32_t id) { return logits[size_t(id)]; };
  std::vector<int32_t> best;
  if (count <= 0) return best;
  constexpr int32_t kBlock = 64;
  for (int32_t id = 0; id < int32_t(logits.size()); ++id) {
    const bool full = count <= kFew && int64_t(best.size()) == count;
    const double least = full ? logit(best.back()) : -HUGE_VAL;
    // Nearly all end here, many at a time.
    if (full && id % kBlock == 0) {
      while (id + kBlock <= int32_t(logits.size()) && !(largest(logits.subspan(size_t(id), kBlock)) > least))
        id += kBlock;
      if (id == int32_t(logits.size())) break;
    }
    const double x = logit(id);
    if (!(x > least)) continue;
    if (std::ranges::find(never, id) != never.end()) continue;
    if (full) best.pop_back();
    best.insert(count <= kFew ? std::ranges::upper_bound(best, x, std::greater(), logit) : best.end(), id);
  }
  if (count > kFew) {
    const auto end = best.begin() + ptrdiff_t(std::min(size_t(count), best.size()));
    std::partial_sort(best.begin(), end, best.end(),
                      [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
    best.erase(end, best.end());
  }
  return best;
}

namespace {

bool before(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

}  // namespace

std::vector<Candidate> candidates(std::span<const double> logits, const SamplingOptions& options,
                                  std::span<const int32_t> seen) {
  std::vector<double> copy;
  if (options.repetition_penalty != 1) {
    copy.assign(logits.begin(), logits.end());
    std::vector<int32_t> once(seen.begin(), seen.end());
    std::sort(once.begin(), once.end());
    once.erase(std::unique(once.begin(), once.end()), once.end());
    for (int32_t id : once) {
      if (id < 0 || size_t(id) >= copy.size()) continue;
      double& x = copy[size_t(id)];
      x = x > 0 ? x / options.repetition_penalty : x * options.repetition_penalty;
    }
  }
  const std::span<const double> z = copy.empty() ? logits : copy;
  for (size_t i = 0; i < z.size(); ++i) {
    require(!std::isnan(z[i]), "sampling: the logit of token {} is NaN; the model has diverged", i);
  }
  const bool greedy = options.temperature == 0;
  std::vector<Candidate> out;  // probability: first the logit
  if (greedy || options.top_k > 0) {
    for (int32_t id : likeliest(z, greedy ? 1 : options.top_k)) out.push_back({id, z[size_t(id)]});
  } else {
    out.reserve(z.size());
    for (size_t i = 0; i < z.size(); ++i) {
      if (z[i] > -std::numeric_limits<double>::infinity()) out.push_back({int32_t(i), z[i]});
    }
  }
  require(!out.empty(), "sampling: no token of {} is allowed", z.size());
  if (greedy) {
    out[0].probability = 1;
    return out;
  }
  const auto normalise = [&] {
    double sum = 0;
    for (const Candidate& c : out) sum += c.probability;
    for (Candidate& c : out) c.probability /= sum;
  };
  const double largest = std::min_element(out.begin(), out.end(), before)->probability;
  for (Candidate& c : out) c.probability = std::exp((c.probability - largest) / options.temperature);
  normalise();
  if (options.top_p < 1) {
    // The most likely are taken from a heap, until they are enough.
    const auto after = [](const Candidate& a, const Candidate& b) { return before(b, a); };
    std::make_heap(out.begin(), out.end(), after);
    auto end = out.end();
    double sum = 0;
    while (end != out.begin() && sum < options.top_p) {
      std::pop_heap(out.begin(), end--, after);
      sum += end->probability;
    }
    out.erase(out.begin(), end);
    std::reverse(out.begin(), out.end());
    normalise();
  }
  if (options.min_p > 0) {
    const double least = options.min_p * std::min_element(out.begin(), out.end(), before)->probability;
    std::erase_if(out, [least](const Candidate& c) { return c.probability < least; });
    normalise();
  }
  return out;
}

int32_t sample(std::span<const double> logits, const SamplingOptions& options, std::span<const int32_t> seen,
               double uniform) {
  return choose(candidates(logits, options, seen), uniform);
}

std::vector<Candidate> most_likely(std::span<const double> logits, double log_sum, int64_t count) {
  std::vector<Candidate> out;
  for (int32_t id : likeliest(logits, count)) out.push_back({id, std::exp(logits[size_t(id)] - log_sum)});
  return out;
}

int32_t choose(std::span<const Candidate> from, double uniform) {
  double sum = 0;
  for (const Candidate& c : from) {
    sum += c.probability;
    if (uniform < sum) return c.id;
  }
  // Rounding may leave the sum a little below 1; candidates without probability are not taken for it.
  size_t last = from.size() - 1;
  while (last > 0 && from[last].probability == 0) --last;
  return from[last].id;
}

std::vector<int32_t> suppressed(const Specials& specials, bool sentinels_wanted) {
  std::vector<int32_t> out = {specials.pad,         specials.unk, specials.bos,          specials.mask,
                              specials.sep,         specials.cls, specials.mode_regular, specials.mode_sequential,
                              specials.mode_extreme};
  for (int32_t i = 0; i < specials.sentinels && !sentinels_wanted; ++i) out.push_back(specials.first_sentinel + i);
  return out;
}

void suppress(std::span<double> logits, std::span<const int32_t> ids) {
  for (int32_t id : ids) {
    if (id >= 0 && size_t(id) < logits.size()) logits[size_t(id)] = -std::numeric_limits<double>::infinity();
  }
}

}  // namespace triarch
