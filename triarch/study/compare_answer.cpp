#include "triarch/study/compare_answer.h"

#include <algorithm>
#include <span>

#include "triarch/base/human.h"

namespace triarch {

void rank(CompareReport& r, MeasureReport use, const std::vector<Estimate>& estimates, const Unit& unit,
          const Guess& guess) {
  std::vector<size_t> complete;
  for (size_t i = 0; i < estimates.size(); ++i) {
    if (!estimates[i].runs.empty() && int64_t(estimates[i].runs.size()) == r.seeds) complete.push_back(i);
  }
  for (size_t x = 0; x < complete.size(); ++x) {
    for (size_t y = x + 1; y < complete.size(); ++y) {
      const size_t a = complete[x], b = complete[y];
      const Difference d = difference(estimates[a], estimates[b]);
      DifferenceReport& out = r.differences.emplace_back();
      out.measure = use.name;
      out.a = r.contenders[a].name;
      out.b = r.contenders[b].name;
      out.mean = d.mean;
      out.low = d.interval.low;
      out.high = d.interval.high;
      out.same_direction = d.same_direction;
      // Each pair for itself: corrected for all six pairs of four contenders, three seeds would have to differ by ten
      // standard deviations of their mean.
      out.significant = d.significant();
    }
  }
  std::vector<std::string> silent, unfinished;
  for (size_t i = 0; i < estimates.size(); ++i) {
    const ContenderReport& c = r.contenders[i];
    if (c.runs + int64_t(c.failures.size()) < r.seeds) {
      unfinished.push_back(fmt::format("the {} ({} of {} seeds)", c.label, c.runs, r.seeds));
    } else if (!c.failures.empty()) {
      silent.push_back(fmt::format("the {} ({} of {} seeds failed)", c.label, c.failures.size(), r.seeds));
    } else if (estimates[i].runs.empty()) {
      silent.push_back("the " + c.label);
    }
  }
  const std::string to = "To " + use.name + (unfinished.empty() ? ": " : ", so far: ");
  const std::string rest = (silent.empty() ? "" : fmt::format(" Not ranked: {}.", listed(silent))) +
                           (unfinished.empty() ? "" : fmt::format(" Not finished: {}.", listed(unfinished)));
  if (complete.empty()) {
    use.answer = to + "no contender has a result with every seed, so there is no answer." + rest;
    r.uses.push_back(std::move(use));
    return;
  }
  std::ranges::stable_sort(complete, {},
                           [&](size_t i) { return use.lower_is_better ? estimates[i].mean() : -estimates[i].mean(); });
  const size_t best = complete.front();
  use.best = r.contenders[best].name;
  const auto significant = [&](size_t x, size_t y) {
    const std::string &a = r.contenders[x].name, &b = r.contenders[y].name;
    return std::ranges::any_of(r.differences, [&](const DifferenceReport& d) {
      return d.measure == use.name && d.significant && ((d.a == a && d.b == b) || (d.a == b && d.b == a));
    });
  };
  const int digits = unit.digits;
  // Who is not told apart from the best; who is worse than that, or than one of those that are not.
  std::vector<size_t> front = {best};
  std::vector<std::string> worse, tied;
  for (size_t i : std::span(complete).subspan(1)) {
    const std::string named = fmt::format("the {} ({:.{}f})", r.contenders[i].label, estimates[i].mean(), digits);
    const auto above = std::ranges::find_if(front, [&](size_t f) { return significant(f, i); });
    if (above == front.end()) {
      front.push_back(i);
      tied.push_back(named);
      use.ties.push_back(r.contenders[i].name);
    } else {
      worse.push_back(*above == best ? named : fmt::format("{} than the {}", named, r.contenders[*above].label));
    }
  }
  const Figure f = figure_of(estimates[best], unit.range);
  const ContenderReport& first = r.contenders[best];
  const std::string figures =
      fmt::format("{:.{}f}{} (95 % {:.{}f} to {:.{}f})", f.mean, digits, unit.name, f.low, digits, f.high, digits);
  if (complete.size() == 1) {
    use.answer = to + fmt::format("the {} is the only one measured, {}.", first.label, figures);
  } else if (tied.empty()) {
    use.answer =
        to + fmt::format("take the {}, {}, significantly better than {}.", first.label, figures, listed(worse));
  } else {
    use.answer = to + fmt::format("no significant difference between the {}, {}, and {}{}.", first.label, figures,
                                  listed(tied), r.seeds < 2 ? "; one seed cannot tell a difference from chance" : "");
    if (!worse.empty()) use.answer += fmt::format(" Significantly worse: {}.", listed(worse));
  }
  if (f.low <= guess.value && !use.lower_is_better) {
    use.answer += fmt::format(" Not even the best is clearly above {}.", guess.title);
  }
  if (first.unigram_entropy > 0 && first.own_loss >= first.unigram_entropy) {
    use.answer +=
        fmt::format(" But the {} has not learnt even how often each token occurs: give more time.", first.label);
  }
  use.answer += rest;
  r.uses.push_back(std::move(use));
}

}  // namespace triarch
