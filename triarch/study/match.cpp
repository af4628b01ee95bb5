#include "triarch/study/match.h"

#include <cmath>

#include "triarch/model/model.h"

namespace triarch {
void share_tokens(Match match, std::vector<Contender>& contenders, std::span<const TrialCost> costs) {
  const auto cost = [&](size_t i) {
    return match == Match::time ? costs[i].seconds_per_token : costs[i].flops_per_token;
  };
  double mean = 0;
  for (size_t i = 0; i < contenders.size(); ++i) mean += cost(i) / double(contenders.size());
  // Three digits: the number is kept, and people read it.
  for (size_t i = 0; i < contenders.size(); ++i) contenders[i].token_share = std::round(1000 * mean / cost(i)) / 1000;
}

void match_parameters(std::vector<Contender>& contenders, const std::string& preset, int64_t width, int64_t layers,
                      int64_t vocabulary, int64_t context) {
  constexpr int64_t step = 8;
  const auto spec_of = [&](Contender c, int64_t w) {
    c.width = w;
    return model_of(c, preset, width, layers, vocabulary, context);
  };
  const int64_t wanted = Model::measure(spec_of(contenders.front(), width)).parameters;
  for (size_t i = 1; i < contenders.size(); ++i) {
    // More width, more weights: up or down from the common one, until they are passed.
    const int64_t common = Model::measure(spec_of(contenders[i], width)).parameters;
    const bool up = common < wanted;
    int64_t best = width, off = std::abs(common - wanted);
    for (int64_t w = width / step * step + (up ? step : 0); w >= step && w <= 4 * width; w += up ? step : -step) {
      const int64_t n = Model::measure(spec_of(contenders[i], w)).parameters;
      if (std::abs(n - wanted) < off) {
        off = std::abs(n - wanted);
        best = w;
      }
      if (up == (n > wanted)) break;
    }
    contenders[i].width = best == width ? 0 : best;
  }
}

}  // namespace triarch
