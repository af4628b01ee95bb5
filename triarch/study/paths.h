// Path decomposition (Dong et al. 2021, section 2.1): what attention alone computes is a sum over paths, a head in each
// layer that a path goes through, and a path's part is the product of its attention matrices. A path is the list of its
// heads by layer, with Surgery::kLeftOut for layers that it passes by.
#pragma once

#include <span>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/inference/attention_maps.h"
#include "triarch/study/rank.h"

namespace triarch {

// [layers]: a path through `length` of the layers, all such paths equally likely. Error for more than there are.
std::vector<int32_t> random_path(int64_t layers, int64_t heads, int64_t length, Draw& draw);

// [n][n], later layers to the left: what an output row has of each input row. `maps` are square, one per layer; error
// for others.
std::vector<double> path_product(std::span<const AttentionMap> maps, std::span<const int32_t> path);

// The maps of self attention of the stack that predicts, one per layer; none for permutation LMs, some of whose rows
// nobody looks at.
std::vector<AttentionMap> self_maps(Model& model, const Specials& specials, const Example& example);

// How far the rows of such products are from being alike (residual_ratio), by length: a row of the table and a line of
// the chart for models that share a title; `samples` paths of each length over each of their texts.
StudyTable paths_table(const std::string& title, int64_t layers);
void add_paths(const std::string& title, std::span<const StudiedModel> models, int64_t samples, StudyTable& table,
               StudyChart& chart);
std::string paths_finding(const StudyChart& chart);

}  // namespace triarch
