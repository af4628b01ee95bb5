// What contenders are given equally: nothing is fair in every respect, so a comparison says which equality it holds.
//
//   tokens       every run sees the same tokens in the same steps (the default)
//   flops        every run executes as many operations
//   time         every run takes as long, by timing a moment of each on this machine
//   parameters   every model has as many weights: widths are chosen for it; tokens are equal
//
// By flops and by time the budget is shared so that the comparison as a whole costs what it would cost with equal
// tokens: a contender that costs less per token than the mean sees more of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "triarch/study/trial.h"

namespace triarch {

enum class Match : uint8_t { tokens, flops, parameters, time };
template <>
struct EnumNames<Match> {
  static constexpr std::pair<Match, const char*> table[] = {
      {Match::tokens, "tokens"}, {Match::flops, "flops"}, {Match::parameters, "parameters"}, {Match::time, "time"}};
};

// Sets `token_share` of all contenders, from their costs (by flops, or by time if they were timed).
void share_tokens(Match match, std::vector<Contender>& contenders, std::span<const TrialCost> costs);

// Sets `width` of all contenders but the first, to the one whose model comes nearest to the first's in parameters.
void match_parameters(std::vector<Contender>& contenders, const std::string& preset, int64_t width, int64_t layers,
                      int64_t vocabulary, int64_t context);

}  // namespace triarch
