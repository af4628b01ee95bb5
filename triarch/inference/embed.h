// Texts as vectors, by any family: the rows of the encoder where there is one, else of the decoder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "triarch/model/model.h"

namespace triarch {

struct Specials;  // text/tokenizer.h

struct EmbedOptions {
  Pooling pooling = Pooling::mean;  // over all rows; first: cls or bos; last: an encoder's eos, a decoder's last token
  bool normalize = true;            // to length 1
  int64_t rows = 2048;              // of a pass
};

// [texts][width]. Texts of any mix of lengths share a pass; a decoder reads each as its prefix. Token ids without bos
// and eos; usage error if a text is longer than the model's positions.
std::vector<std::vector<float>> embed(const Model& model, const Specials& specials,
                                      std::span<const std::vector<int32_t>> texts, const EmbedOptions& options = {});

}  // namespace triarch
