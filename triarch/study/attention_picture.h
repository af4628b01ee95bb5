// Attention as reports hold it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "triarch/inference/attention_maps.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// Who looks at whom in one attention: of a head, or the mean over all that may look at the same.
struct AttentionPicture {
  std::string title;                       // "encoder 1", "cross 2"
  std::vector<std::string> queries, keys;  // tokens as text
  // [queries] two hexadecimal digits per key, 00 is 0, ff is 1; -- is outside of what the row may look at
  std::vector<std::string> rows;

  template <class V>
  void fields(V& v) {
    v("title", title, "which attention");
    v("queries", queries, "tokens that look");
    v("keys", keys, "tokens that are looked at");
    v("rows", rows, "of each query, two hexadecimal digits per key: 00 is 0, ff is 1; -- may not be looked at");
  }
};

// Of every attention, in the order of computation; `each_head`: a picture for every head.
std::vector<AttentionPicture> attention_pictures(std::span<const AttentionMap> maps, const Tokenizer& tokenizer,
                                                 bool each_head);

}  // namespace triarch
