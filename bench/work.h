// Models and random batches of the sizes that benchmarks train.
#pragma once

#include <string>

#include "bench/side_by_side.h"
#include "triarch/model/model.h"

namespace triarch::bench {

// The same work as bench/peers/train.py: every row of a causal model predicts; 15 % of an encoder's; in an
// encoder-decoder (half of the layers in each stack) 3/4 of a row's tokens are the source, 1/4 the target. "uneven":
// texts, sources and targets of 16 to T tokens, which the peer pads to T. A permutation LM, the GPT-2 shape with a
// query row for each token but the first, has no peer.
struct Work {
  ModelSpec spec;
  Batch batch;
};
// `family` is causal, permutation, encoder, encoder_uneven, encoder_decoder or encoder_decoder_uneven.
Work make_work(const Config& config, const std::string& family);

}  // namespace triarch::bench
