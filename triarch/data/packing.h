// Lays examples out as the rows of a batch, one segment each (two, paired, in an encoder-decoder; none where all its
// rows are there already: Reuse).
//
//   layout           rows of an example                                      losses
//   decoder          bos source target-without-its-last                      the row before target t predicts t
//   encoder          cls source eos                                          labels, at their source tokens
//   encoder_decoder  encoder: source eos; decoder: bos target-without-last   as decoder
//   permutation      bos source target, then a query row per target          query rows predict their target
//
// The prefix of a decoder's segment is bos and the source (in an encoder-decoder: bos). Positions count from 0 in every
// segment; where examples give their own (permutation only), they are moved behind bos. An example with labels or a
// label has no target: then a decoder and a permutation LM have the rows bos source, all of them prefix, and the
// decoder of an encoder-decoder has the one row bos, at which a class is read.
//
// A source token may be a feature vector (kFeatureRow); rows take their vectors in the order of the source.
//
// Dropout keys are mixed from the example's key and the row's place in its segment, so an example gets the same
// masks alone and in company.
#pragma once

#include <cstdint>
#include <vector>

#include "triarch/data/example.h"

namespace triarch {

struct Specials;

const char* layout_name(Layout layout);

// Rows that an example takes.
struct RowCount {
  int64_t encoder = 0, decoder = 0;  // of content
  int64_t queries = 0;               // further rows of the decoder
  int64_t total() const { return encoder + decoder + queries; }
};
// For `source` and `target` tokens; target = 0 is an example without a target.
RowCount row_count(Layout layout, int64_t source, int64_t target);

// Usage error if the layout has no place for this kind of example: it names what fits.
void check_layout(Layout layout, const Example& example);

// Shortens an example until each segment has at most `context` content rows and all its rows are at most `capacity`;
// true if something was cut. The target keeps its beginning: all of it if it takes at most half of the room or the
// source leaves room for it, else as much as that. The source keeps its beginning, with its labels. Text is cut into
// pieces that fit beforehand (loader.h); this is for pairs and labelled texts.
bool truncate(Layout layout, int64_t context, int64_t capacity, Example& example);

// What an example reads of the one before it in its batch instead of having it laid out again: candidates of one
// question, questions behind one text. Not for training, where dropout's masks are an example's own.
enum class Reuse : uint8_t {
  none,
  sources,     // an equal source, and with it how the targets begin
  beginnings,  // as many rows as begin alike; where no row sees one behind it: causal decoders
};

class Packer {
 public:
  // capacity: rows of a batch, encoder and decoder together; context: content rows of a segment.
  Packer(Layout layout, const Specials& specials, int64_t capacity, int64_t context, Reuse reuse = Reuse::none);

  // False, and nothing changed, if the batch has no room left for it (or for the keys that it reads again). Usage error
  // if the layout cannot take it, or if its head is not that of the others.
  bool add(const Example& example);
  const Batch& batch() const { return batch_; }
  int64_t free_rows() const { return capacity_ - batch_.rows(); }
  // Empties the batch; its memory is kept.
  void clear();
  // Examples that had to be cut, since the beginning.
  int64_t truncated() const { return truncated_; }

 private:
  // The decoder's content rows of an example.
  std::vector<int32_t> content(const Example& e) const;
  // How many rows of an example the one before it has.
  RowCount reused(const Example& e) const;
  void add_encoder(const Example& e);
  void add_decoder(const Example& e, int64_t reused);
  // Losses at the source, whose first row is given.
  void add_labels(const Example& e, int32_t first_row);

  Layout layout_;
  int64_t capacity_, context_;
  Reuse reuse_;
  int32_t bos_, eos_, cls_, mask_;
  Batch batch_;
  Example before_;                    // the last one, where it may be read again
  std::vector<int32_t> before_rows_;  // its content rows in the decoder
  int64_t truncated_ = 0;
};

}  // namespace triarch
