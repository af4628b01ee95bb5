// Attention as reports hold it.
#pragma once

#include <string>
#include <vector>

#include "triarch/data/example.h"
#include "triarch/model/model.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// Who looks at whom in one attention: of a head, or the mean over all.
struct AttentionPicture {
  std::string title;                       // "encoder 1", "cross 2"
  std::vector<std::string> queries, keys;  // tokens as text
  std::vector<std::string> rows;           // [queries] two hexadecimal digits per key, 00 is 0, ff is 1; -- is not seen

  template <class V>
  void fields(V& v) {
    v("title", title, "which attention");
    v("queries", queries, "tokens that look");
    v("keys", keys, "tokens that are looked at");
    v("rows", rows, "of each query, two hexadecimal digits per key: 00 is 0, ff is 1; -- is not seen");
  }
};

// Every attention of the model on an example, in the order of computation; `each_head`: a picture for every head.
std::vector<AttentionPicture> attention_pictures(Model& model, const Tokenizer& tokenizer, const Example& example,
                                                 bool each_head);

}  // namespace triarch
