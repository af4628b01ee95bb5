// Inside the room: the rank of models' own attention.
#pragma once

#include <string>
#include <vector>

#include "triarch/study/rank.h"
#include "triarch/study/spectrum.h"

namespace triarch {

// Figures of many maps, of different lengths: shares of the length where they grow with it.
class SpectrumSum {
 public:
  void add(const Spectrum& s, double length);
  double effective_rank() const { return effective_ / n_; }
  double log_condition() const { return log_condition_ / n_; }  // log10 of smin / smax
  double entropy() const { return entropy_ / n_; }
  static std::vector<std::string> heads();
  std::vector<std::string> cells() const;

 private:
  double n_ = 0, rank_ = 0, effective_ = 0, log_condition_ = 0, log_determinant_ = 0, entropy_ = 0;
};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b);

// Tables and charts: by layer; by what scores are multiplied by; by length. False if a signal stopped it.
bool add_models(std::span<const StudiedModel> models, const RankOptions& options, StudyReport& report);

}  // namespace triarch
