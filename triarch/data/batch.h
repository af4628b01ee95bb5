// The narrow neck between data, objectives and models: packed rows. Plain data.
//
// All examples of a batch lie one after the other in one matrix of rows (tokens), each in its own
// segment; attention never crosses a segment, unless it says so (key_rows). An encoder-decoder has two such matrices
// and a pairing.
#pragma once

#include <cstdint>
#include <vector>

namespace triarch {

// Rows [begin, begin + length) of content, then `queries` rows that look but are not looked at
// (XLNet's query stream; they predict the content rows [length - queries, length)).
struct Segment {
  int32_t begin = 0;
  int32_t length = 0;
  int32_t queries = 0;
  int32_t prefix = 0;   // positions [0, prefix) are visible to all rows under a prefix visibility
  int32_t memory = -1;  // decoder: the encoder segment that cross attention reads
  // With a cache: keys [key_begin, key_begin + past) of the cache are this segment's past, and its
  // content rows continue it. Without: key_begin = begin, past = 0. With Rows::key_rows: keys [key_begin, key_begin +
  // past) are rows of segments before it, and those of its own content rows follow.
  int32_t past = 0;
  int32_t key_begin = 0;
  // 1: the query rows stand one further on, and each predicts what follows its content row (generation, where that
  // row is not there yet).
  int32_t ahead = 0;
};

// In the place of a token id: the row is a feature vector (a frame of sound, a patch of a picture).
inline constexpr int32_t kFeatureRow = -1;

// The rows that one stack reads.
struct Rows {
  std::vector<int32_t> ids;        // [rows]: token ids; kFeatureRow where the next of `features` stands
  std::vector<float> features;     // [feature rows, ModelSpec::features], in the order of their rows; else empty
  std::vector<int32_t> positions;  // [rows]: place in the original order
  std::vector<int32_t> types;      // [rows] or empty: token types (BERT's segments)
  std::vector<uint64_t> keys;      // [rows] or empty: dropout keys from (seed, epoch, document, position)
  // [rows] or empty: for turn-blocked prefixes, the end of the turn that holds the row, in its segment; without them
  // the prefix is one turn.
  std::vector<int32_t> turn_ends;
  // [keys] or empty: the rows whose keys self attention reads, where segments have rows in common; segments' keys are
  // then ranges of these. Empty: each row is its own.
  std::vector<int32_t> key_rows;
  std::vector<Segment> segments;

  int64_t size() const { return int64_t(ids.size()); }
  bool empty() const { return ids.empty(); }
  void clear() {
    ids.clear();
    features.clear();
    positions.clear();
    types.clear();
    keys.clear();
    turn_ends.clear();
    key_rows.clear();
    segments.clear();
  }
};

enum class Head : uint8_t { vocabulary, classes, tags };

// Which rows an example becomes: data/packing.h.
enum class Layout : uint8_t { decoder, encoder, encoder_decoder, permutation };

struct Batch {
  Rows encoder, decoder;  // one of them is empty except in an encoder-decoder
  Head head = Head::vocabulary;

  // Rows with a loss: of the decoder if there is one, else of the encoder. For Head::classes there is one entry per
  // segment of that stack, its number, and the model pools.
  std::vector<int32_t> loss_rows;
  std::vector<int32_t> targets;  // [loss_rows]
  std::vector<float> weights;    // [loss_rows] or empty: all 1

  int64_t tokens = 0;       // real tokens of the documents in it: what "tokens seen" counts
  double target_bytes = 0;  // bytes of text that the targets stand for; 0 if they are no text

  int64_t rows() const { return encoder.size() + decoder.size(); }
  void clear() {
    encoder.clear();
    decoder.clear();
    loss_rows.clear();
    targets.clear();
    weights.clear();
    tokens = 0;
    target_bytes = 0;
  }
};

}  // namespace triarch
