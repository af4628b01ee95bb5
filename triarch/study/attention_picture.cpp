#include "triarch/study/attention_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace triarch {
namespace {

// Mean over heads [begin, end).
std::vector<std::string> cells(const AttentionMap& m, int64_t begin, int64_t end) {
  std::vector<std::string> rows;
  for (size_t q = 0; q < m.queries.size(); ++q) {
    std::string row;
    for (size_t k = 0; k < m.keys.size(); ++k) {
      double sum = 0;
      bool seen = false;
      for (int64_t h = begin; h < end; ++h) {
        sum += m.at(h, q, k);
        seen = seen || m.sees(h, q, k);
      }
      const int level = std::clamp(int(std::lround(255 * sum / double(end - begin))), 0, 255);
      row += seen ? fmt::format("{:02x}", level) : "--";
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

std::vector<AttentionPicture> attention_pictures(std::span<const AttentionMap> maps, const Tokenizer& tokenizer,
                                                 bool each_head) {
  const auto words = [&](const std::vector<int32_t>& ids) {
    std::vector<std::string> out;
    for (int32_t id : ids) out.push_back(tokenizer.decode_token(id));
    return out;
  };
  std::vector<AttentionPicture> out;
  for (const AttentionMap& m : maps) {
    const std::string title = fmt::format("{} {}", m.cross ? "cross" : m.stack, m.layer + 1);
    // Heads that may look at different things are not averaged.
    const int64_t pictures = each_head ? m.heads : m.classes;
    for (int64_t p = 0; p < pictures; ++p) {
      const std::string which = each_head        ? fmt::format(", head {}", p + 1)
                                : m.classes == 1 ? ""
                                : p == 0         ? ", forward heads"
                                                 : ", backward heads";
      out.push_back({title + which, words(m.queries), words(m.keys),
                     cells(m, p * m.heads / pictures, (p + 1) * m.heads / pictures)});
    }
  }
  return out;
}

}  // namespace triarch
