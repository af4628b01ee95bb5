#include "triarch/study/attention_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "triarch/inference/attention_maps.h"

namespace triarch {
namespace {

// Mean over heads [begin, end).
std::vector<std::string> cells(const AttentionMap& m, int64_t begin, int64_t end) {
  std::vector<std::string> rows;
  for (size_t q = 0; q < m.queries.size(); ++q) {
    std::string row;
    for (size_t k = 0; k < m.keys.size(); ++k) {
      double sum = 0;
      for (int64_t h = begin; h < end; ++h) sum += m.at(h, q, k);
      const int level = std::clamp(int(std::lround(255 * sum / double(end - begin))), 0, 255);
      // Softmax gives whatever is seen more than nothing.
      row += sum == 0 ? "--" : fmt::format("{:02x}", level);
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

std::vector<AttentionPicture> attention_pictures(Model& model, const Tokenizer& tokenizer, const Example& example,
                                                 bool each_head) {
  const auto words = [&](const std::vector<int32_t>& ids) {
    std::vector<std::string> out;
    for (int32_t id : ids) out.push_back(tokenizer.decode(std::vector<int32_t>{id}, true));
    return out;
  };
  std::vector<AttentionPicture> out;
  for (const AttentionMap& m : attention_maps(model, tokenizer.specials(), example)) {
    const std::string title = fmt::format("{} {}", m.cross ? "cross" : m.stack, m.layer + 1);
    for (int64_t h = 0; h < (each_head ? m.heads : 1); ++h) {
      out.push_back({each_head ? fmt::format("{}, head {}", title, h + 1) : title, words(m.queries), words(m.keys),
                     each_head ? cells(m, h, h + 1) : cells(m, 0, m.heads)});
    }
  }
  return out;
}

}  // namespace triarch
