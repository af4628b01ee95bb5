// The sorting toy of Dong, Cordonnier and Loukas 2021 (section 4.2): a small net of attention and skips alone learns to
// sort, then answers by single paths: k of its layers, a head in each, no skip, the other layers passed by. What it
// answers right by paths of length k says which of them do the work.
//
// Theirs: 6 layers, 2 heads, width 48, norms last, no feed-forward layers; 8 of 10 symbols with repeats, 1,000
// sequences to learn from and 200 to answer, each place a choice among the symbols; several paths' outputs are added.
// They learn with Adam at 1e-5 for 65 passes from one set; this one learns with AdamW at a rate of its own, which gets
// there sooner.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "triarch/study/parts.h"
#include "triarch/study/study_report.h"

namespace triarch {

struct SortingOptions {
  int64_t layers = 6, heads = 2, width = 48;
  int64_t symbols = 10, length = 8;
  int64_t learnt = 1000, asked = 200;    // sequences
  int64_t passes = 30, batch = 30;       // over what is learnt from, in sequences
  double rate = 2e-3;                    // AdamW's peak
  std::vector<int64_t> paths = {5, 20};  // whose outputs are added
  int64_t draws = 5;                     // of each such set of paths
  int64_t seeds = 3;
};

// Shares of places answered right by `paths` paths of a length, in each draw of them.
struct PathAccuracy {
  int64_t paths = 0, length = 0;
  std::vector<double> accuracy;

  template <class V>
  void fields(V& v) {
    v("paths", paths, "added together");
    v("length", length, "layers that each goes through");
    v("accuracy", accuracy, "of places, in each draw of paths");
  }
};

struct SortingResult {
  int64_t seed = 0;
  double loss = 0;      // of the last pass, nats per place
  double whole = 0;     // accuracy on what it did not learn from
  double no_skips = 0;  // of all heads of all layers, without skips
  double by_place = 0;  // of always saying what stood there most often
  std::vector<PathAccuracy> by_length;

  template <class V>
  void fields(V& v) {
    v("seed", seed, "of weights, sequences and paths");
    v("loss", loss, "of the last pass, nats per place");
    v("whole", whole, "accuracy of the whole net on unseen sequences");
    v("no_skips", no_skips, "accuracy of all heads of all layers, without skips");
    v("by_place", by_place, "accuracy of always saying what stood at a place most often");
    v("by_length", by_length, "accuracy of paths");
  }
};

// One seed; nothing if it was stopped.
std::optional<SortingResult> learn_to_sort(const SortingOptions& options, int64_t seed, const PartProgress& going);
// All seeds, as parts of a study's work.
std::optional<std::vector<SortingResult>> learn_to_sort(const SortingOptions& options, const StudyWork& work);

// About what all seeds will take, from one pass.
double sorting_seconds(const SortingOptions& options, int jobs);

// Table, chart, a finding, method and limits.
void add_sorting(const SortingOptions& options, const std::vector<SortingResult>& results, StudyReport& report);

}  // namespace triarch
