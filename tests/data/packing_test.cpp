#include "triarch/data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

using Ids = std::vector<int32_t>;
const Specials kSpecials;
constexpr int32_t kEos = 1, kBos = 3, kMask = 4, kCls = 6;

Example with_target(Ids source, Ids target) {
  Example e;
  e.source = std::move(source);
  e.target = std::move(target);
  e.key = 77;
  e.tokens = int64_t(e.source.size() + e.target.size());
  e.target_bytes = 2;
  return e;
}

Example with_labels(Ids source, Ids labels) {
  Example e;
  e.source = std::move(source);
  e.labels = std::move(labels);
  e.tokens = int64_t(e.source.size());
  return e;
}

Example with_label(Ids source, int32_t label) {
  Example e;
  e.source = std::move(source);
  e.label = label;
  e.head = Head::classes;
  return e;
}

void expect_segment(const Segment& s, int32_t begin, int32_t length, int32_t queries, int32_t prefix, int32_t memory) {
  EXPECT_EQ(s.begin, begin);
  EXPECT_EQ(s.key_begin, begin);
  EXPECT_EQ(s.past, 0);
  EXPECT_EQ(s.length, length);
  EXPECT_EQ(s.queries, queries);
  EXPECT_EQ(s.prefix, prefix);
  EXPECT_EQ(s.memory, memory);
}

TEST(Packing, Decoder) {
  Packer p(Layout::decoder, kSpecials, 64, 32);
  ASSERT_TRUE(p.add(with_target({}, {200, 201, kEos})));
  ASSERT_TRUE(p.add(with_target({210, 211}, {212, 213})));
  const Batch& b = p.batch();
  EXPECT_TRUE(b.encoder.empty());
  EXPECT_EQ(b.decoder.ids, (Ids{kBos, 200, 201, kBos, 210, 211, 212}));
  EXPECT_EQ(b.decoder.positions, (Ids{0, 1, 2, 0, 1, 2, 3}));
  ASSERT_EQ(b.decoder.segments.size(), 2u);
  expect_segment(b.decoder.segments[0], 0, 3, 0, 1, -1);
  expect_segment(b.decoder.segments[1], 3, 4, 0, 3, -1);
  EXPECT_EQ(b.loss_rows, (Ids{0, 1, 2, 5, 6}));
  EXPECT_EQ(b.targets, (Ids{200, 201, kEos, 212, 213}));
  EXPECT_EQ(b.head, Head::vocabulary);
  EXPECT_EQ(b.tokens, 7);
  EXPECT_EQ(b.target_bytes, 4);
  EXPECT_EQ(p.free_rows(), 57);
}

TEST(Packing, FeatureVectorsGoWithTheirRows) {
  Example e = with_target({200, kFeatureRow, kFeatureRow, kFeatureRow}, {201, kEos});
  e.features = {1, 2, 3, 4, 5, 6};
  for (const Layout layout : {Layout::decoder, Layout::encoder_decoder, Layout::permutation}) {
    Packer p(layout, kSpecials, 64, 32);
    ASSERT_TRUE(p.add(with_target({210}, {kEos})));
    ASSERT_TRUE(p.add(e));
    ASSERT_TRUE(p.add(e));
    const Rows& rows = layout == Layout::encoder_decoder ? p.batch().encoder : p.batch().decoder;
    EXPECT_EQ(rows.features, (std::vector<float>{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(std::count(rows.ids.begin(), rows.ids.end(), kFeatureRow), 6);
  }
  Example cut = e;
  EXPECT_TRUE(truncate(Layout::decoder, 4, 64, cut));
  EXPECT_EQ(cut.source, (Ids{200, kFeatureRow}));
  EXPECT_EQ(cut.features, (std::vector<float>{1, 2}));
  Packer p(Layout::decoder, kSpecials, 64, 32);
  e.features.pop_back();
  EXPECT_THROW(p.add(e), Error);
  e.features.clear();
  EXPECT_THROW(p.add(e), Error);
}

TEST(Packing, DecoderWithLabelsAndClasses) {
  Packer p(Layout::decoder, kSpecials, 64, 32);
  ASSERT_TRUE(p.add(with_labels({200, kMask, 202}, {201, -1, -1})));
  EXPECT_EQ(p.batch().decoder.ids, (Ids{kBos, 200, kMask, 202}));
  expect_segment(p.batch().decoder.segments[0], 0, 4, 0, 4, -1);
  EXPECT_EQ(p.batch().loss_rows, (Ids{1}));
  EXPECT_EQ(p.batch().targets, (Ids{201}));
  p.clear();
  ASSERT_TRUE(p.add(with_label({200, 201}, 3)));
  ASSERT_TRUE(p.add(with_label({202}, 0)));
  EXPECT_EQ(p.batch().head, Head::classes);
  EXPECT_EQ(p.batch().decoder.ids, (Ids{kBos, 200, 201, kBos, 202}));
  EXPECT_EQ(p.batch().loss_rows, (Ids{0, 1}));
  EXPECT_EQ(p.batch().targets, (Ids{3, 0}));
}

TEST(Packing, Encoder) {
  Packer p(Layout::encoder, kSpecials, 64, 32);
  ASSERT_TRUE(p.add(with_labels({200, kMask, 202}, {-1, 201, 202})));
  ASSERT_TRUE(p.add(with_labels({kMask}, {203})));
  const Batch& b = p.batch();
  EXPECT_TRUE(b.decoder.empty());
  EXPECT_EQ(b.encoder.ids, (Ids{kCls, 200, kMask, 202, kEos, kCls, kMask, kEos}));
  EXPECT_EQ(b.encoder.positions, (Ids{0, 1, 2, 3, 4, 0, 1, 2}));
  expect_segment(b.encoder.segments[0], 0, 5, 0, 0, -1);
  expect_segment(b.encoder.segments[1], 5, 3, 0, 0, -1);
  EXPECT_EQ(b.loss_rows, (Ids{2, 3, 6}));
  EXPECT_EQ(b.targets, (Ids{201, 202, 203}));
}

TEST(Packing, EncoderTagsAndClasses) {
  Packer p(Layout::encoder, kSpecials, 64, 32);
  Example tags = with_labels({200, 201}, {5, 0});
  tags.head = Head::tags;
  ASSERT_TRUE(p.add(tags));
  EXPECT_EQ(p.batch().head, Head::tags);
  EXPECT_EQ(p.batch().loss_rows, (Ids{1, 2}));
  EXPECT_EQ(p.batch().targets, (Ids{5, 0}));
  EXPECT_THROW(p.add(with_label({200}, 1)), Error);  // one head per batch
  p.clear();
  ASSERT_TRUE(p.add(with_label({200}, 1)));
  ASSERT_TRUE(p.add(with_label({201, 202}, 4)));
  EXPECT_EQ(p.batch().loss_rows, (Ids{0, 1}));
  EXPECT_EQ(p.batch().targets, (Ids{1, 4}));
}

TEST(Packing, EncoderDecoder) {
  Packer p(Layout::encoder_decoder, kSpecials, 64, 32);
  ASSERT_TRUE(p.add(with_target({200, 201}, {202, 203, kEos})));
  ASSERT_TRUE(p.add(with_target({210}, {kEos})));
  const Batch& b = p.batch();
  EXPECT_EQ(b.encoder.ids, (Ids{200, 201, kEos, 210, kEos}));
  EXPECT_EQ(b.encoder.positions, (Ids{0, 1, 2, 0, 1}));
  EXPECT_EQ(b.decoder.ids, (Ids{kBos, 202, 203, kBos}));
  EXPECT_EQ(b.decoder.positions, (Ids{0, 1, 2, 0}));
  expect_segment(b.encoder.segments[0], 0, 3, 0, 0, -1);
  expect_segment(b.encoder.segments[1], 3, 2, 0, 0, -1);
  expect_segment(b.decoder.segments[0], 0, 3, 0, 1, 0);
  expect_segment(b.decoder.segments[1], 3, 1, 0, 1, 1);
  EXPECT_EQ(b.loss_rows, (Ids{0, 1, 2, 3}));
  EXPECT_EQ(b.targets, (Ids{202, 203, kEos, kEos}));
  EXPECT_EQ(b.rows(), 9);
  p.clear();
  ASSERT_TRUE(p.add(with_label({200, 201}, 2)));
  EXPECT_EQ(p.batch().encoder.ids, (Ids{200, 201, kEos}));
  EXPECT_EQ(p.batch().decoder.ids, (Ids{kBos}));
  EXPECT_EQ(p.batch().loss_rows, (Ids{0}));
  EXPECT_EQ(p.batch().targets, (Ids{2}));
}

TEST(Packing, Permutation) {
  // The text 200 201 202 203 204: 201, 203 and 204 are predicted, in the order 204 201 203.
  Example e = with_target({200, 202}, {204, 201, 203});
  e.source_positions = {0, 2};
  e.target_positions = {4, 1, 3};
  Packer p(Layout::permutation, kSpecials, 64, 32);
  ASSERT_TRUE(p.add(with_target({}, {9})));
  ASSERT_TRUE(p.add(e));
  const Batch& b = p.batch();
  EXPECT_EQ(b.decoder.ids, (Ids{kBos, 9, kMask, kBos, 200, 202, 204, 201, 203, kMask, kMask, kMask}));
  EXPECT_EQ(b.decoder.positions, (Ids{0, 1, 1, 0, 1, 3, 5, 2, 4, 5, 2, 4}));
  expect_segment(b.decoder.segments[0], 0, 2, 1, 1, -1);
  expect_segment(b.decoder.segments[1], 3, 6, 3, 3, -1);
  EXPECT_EQ(b.loss_rows, (Ids{2, 9, 10, 11}));
  EXPECT_EQ(b.targets, (Ids{9, 204, 201, 203}));
}

TEST(Packing, RefusesWhatALayoutCannotTake) {
  Packer encoder(Layout::encoder, kSpecials, 64, 32), decoder(Layout::decoder, kSpecials, 64, 32),
      both(Layout::encoder_decoder, kSpecials, 64, 32);
  Example permuted = with_target({1}, {2});
  permuted.target_positions = {0};
  const auto message = [](Packer& p, const Example& e) {
    try {
      p.add(e);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, ExitCode::usage);
      EXPECT_EQ(p.batch().rows(), 0);
      return std::string(error.what());
    }
    return std::string("taken");
  };
  EXPECT_NE(message(encoder, with_target({}, {2})).find("masked_lm"), std::string::npos);
  EXPECT_NE(message(both, with_labels({1}, {2})).find("span_corruption"), std::string::npos);
  EXPECT_NE(message(decoder, permuted).find("permutation"), std::string::npos);
  EXPECT_THROW(decoder.add(Example{}), Error);
  EXPECT_THROW(decoder.add(with_labels({1, 2}, {3})), Error);
  EXPECT_THROW(Packer(Layout::permutation, kSpecials, 3, 32), Error);
}

TEST(Packing, FullBatchIsUnchanged) {
  Packer p(Layout::encoder_decoder, kSpecials, 10, 10);
  ASSERT_TRUE(p.add(with_target({1, 2, 3}, {4, 5})));  // 4 + 2 rows
  EXPECT_FALSE(p.add(with_target({1, 2}, {4, 5})));    // 3 + 2
  EXPECT_EQ(p.batch().rows(), 6);
  EXPECT_EQ(p.batch().tokens, 5);
  EXPECT_EQ(p.batch().encoder.segments.size(), 1u);
  EXPECT_TRUE(p.add(with_target({1, 2}, {4})));
  EXPECT_EQ(p.free_rows(), 0);
}

TEST(Packing, DropoutKeysAreThoseOfTheExampleAlone) {
  const Example first = with_target({1}, {2, 3});
  Example second = with_target({5, 6}, {7, 8});
  second.key = 78;
  for (Layout layout : {Layout::decoder, Layout::encoder_decoder, Layout::permutation}) {
    Packer together(layout, kSpecials, 64, 32), alone(layout, kSpecials, 64, 32);
    together.add(first);
    together.add(second);
    alone.add(second);
    const auto& all = together.batch().decoder.keys;
    const auto& own = alone.batch().decoder.keys;
    ASSERT_EQ(all.size(), size_t(together.batch().decoder.size()));
    EXPECT_TRUE(std::equal(own.rbegin(), own.rend(), all.rbegin()));
    EXPECT_EQ(std::set<uint64_t>(all.begin(), all.end()).size(), all.size());
  }
}

// The keys that each segment's content rows see, in the order of its positions.
std::vector<Ids> keys_of(const Rows& rows) {
  std::vector<Ids> out;
  for (const Segment& s : rows.segments) {
    Ids keys;
    for (int32_t k = 0; k < s.past + s.length; ++k) {
      const int32_t key = s.key_begin + k, row = rows.key_rows.empty() ? key : rows.key_rows[size_t(key)];
      EXPECT_EQ(rows.positions[size_t(row)], k);
      keys.push_back(rows.ids[size_t(row)]);
    }
    out.push_back(keys);
  }
  return out;
}

TEST(Packing, WhatBeginsAlikeIsLaidOutOnce) {
  const std::vector<Example> examples = {with_target({210, 211}, {220, 221}), with_target({210, 211}, {220, 222, 223}),
                                         with_target({210, 211}, {220}), with_target({210, 212}, {224, 225})};
  const auto packed = [&](Layout layout, Reuse reuse) {
    Packer p(layout, kSpecials, 64, 32, reuse);
    for (const Example& e : examples) EXPECT_TRUE(p.add(e));
    return p.batch();
  };
  Batch b = packed(Layout::decoder, Reuse::beginnings);
  EXPECT_EQ(b.decoder.ids, (Ids{kBos, 210, 211, 220, /**/ 222, /**/ 212, 224}));
  EXPECT_EQ(keys_of(b.decoder),
            (std::vector<Ids>{{kBos, 210, 211, 220}, {kBos, 210, 211, 220, 222}, {kBos, 210, 212, 224}}));
  EXPECT_EQ(b.loss_rows, (Ids{2, 3, /**/ 2, 3, 4, /**/ 2, /**/ 5, 6}));
  EXPECT_EQ(b.targets, (Ids{220, 221, 220, 222, 223, 220, 224, 225}));

  b = packed(Layout::decoder, Reuse::sources);
  EXPECT_EQ(b.decoder.ids, (Ids{kBos, 210, 211, 220, /**/ 222, /**/ kBos, 210, 212, 224}));
  EXPECT_EQ(keys_of(b.decoder).back(), (Ids{kBos, 210, 212, 224}));
  EXPECT_EQ(b.loss_rows, (Ids{2, 3, /**/ 2, 3, 4, /**/ 2, /**/ 7, 8}));

  b = packed(Layout::encoder_decoder, Reuse::sources);
  EXPECT_EQ(b.encoder.ids, (Ids{210, 211, kEos, /**/ 210, 212, kEos}));
  EXPECT_EQ(b.decoder.ids, (Ids{kBos, 220, /**/ 222, /**/ kBos, 224}));
  EXPECT_EQ(b.decoder.segments.back().memory, 1);
  EXPECT_EQ(b.loss_rows, (Ids{0, 1, /**/ 0, 1, 2, /**/ 0, /**/ 3, 4}));

  b = packed(Layout::permutation, Reuse::sources);
  EXPECT_EQ(b.decoder.ids, (Ids{kBos,       210,       211, 220, 221, kMask, kMask, /**/ 222, 223, kMask, kMask, kMask,
                                /**/ kMask, /**/ kBos, 210, 212, 224, 225,   kMask, kMask}));
  EXPECT_EQ(keys_of(b.decoder)[1], (Ids{kBos, 210, 211, 220, 222, 223}));
  EXPECT_EQ(keys_of(b.decoder)[2], (Ids{kBos, 210, 211, 220}));
  EXPECT_EQ(b.loss_rows, (Ids{5, 6, /**/ 9, 10, 11, /**/ 12, /**/ 18, 19}));

  EXPECT_TRUE(packed(Layout::decoder, Reuse::none).decoder.key_rows.empty());
}

// Keys are copied for each reader, so a batch is full when they are too many, too.
TEST(Packing, CopiesOfKeysAreBounded) {
  Packer p(Layout::decoder, kSpecials, 64, 64, Reuse::beginnings);
  Ids source(19);
  for (int32_t i = 0; i < 19; ++i) source[size_t(i)] = 200 + i;
  int32_t examples = 0;
  while (p.add(with_target(source, {250 + examples, 260}))) ++examples;
  EXPECT_EQ(examples, 8 * 64 / 21);
  EXPECT_EQ(p.batch().decoder.key_rows.size(), size_t(21 * examples));
  EXPECT_EQ(p.batch().rows(), 20 + examples);
  p.clear();
  EXPECT_TRUE(p.add(with_target(source, {250, 260})));
}

TEST(Packing, EqualVectorsAreReadAgainAndOthersNot) {
  const auto seen = [](float x, Ids target) {
    Example e = with_target({kFeatureRow, 210, kFeatureRow}, std::move(target));
    e.features = {1, 2, 3, x};
    return e;
  };
  for (Reuse reuse : {Reuse::sources, Reuse::beginnings}) {
    Packer p(Layout::decoder, kSpecials, 64, 64, reuse);
    ASSERT_TRUE(p.add(seen(4, {220, 221})));
    ASSERT_TRUE(p.add(seen(4, {222, 223})));
    EXPECT_EQ(p.batch().decoder.ids, (Ids{kBos, kFeatureRow, 210, kFeatureRow, 220, 222}));
    EXPECT_EQ(p.batch().decoder.features, (std::vector<float>{1, 2, 3, 4}));
    ASSERT_TRUE(p.add(seen(5, {222, 223})));
    EXPECT_EQ(p.batch().rows(), 11);
    EXPECT_EQ(p.batch().decoder.features, (std::vector<float>{1, 2, 3, 4, 1, 2, 3, 5}));
  }
}

TEST(Packing, Truncation) {
  const auto sizes = [](Layout layout, int64_t context, int64_t capacity, size_t source, size_t target) {
    Example e = with_target(Ids(source, 9), Ids(target, 8));
    truncate(layout, context, capacity, e);
    return std::pair(e.source.size(), e.target.size());
  };
  using Sizes = std::pair<size_t, size_t>;
  // decoder: source + target rows
  EXPECT_EQ(sizes(Layout::decoder, 10, 100, 5, 5), Sizes(5, 5));
  EXPECT_EQ(sizes(Layout::decoder, 10, 100, 50, 4), Sizes(6, 4));   // a short target stays whole
  EXPECT_EQ(sizes(Layout::decoder, 10, 100, 50, 40), Sizes(5, 5));  // a long one gets half
  EXPECT_EQ(sizes(Layout::decoder, 10, 100, 2, 40), Sizes(2, 8));   // or what the source leaves
  EXPECT_EQ(sizes(Layout::decoder, 10, 6, 50, 40), Sizes(3, 3));
  // encoder-decoder: source + 1 and target rows
  EXPECT_EQ(sizes(Layout::encoder_decoder, 10, 100, 50, 40), Sizes(9, 10));
  EXPECT_EQ(sizes(Layout::encoder_decoder, 10, 12, 50, 3), Sizes(8, 3));
  // permutation: 1 + source + target rows, and target queries
  EXPECT_EQ(sizes(Layout::permutation, 10, 100, 50, 2), Sizes(7, 2));
  EXPECT_EQ(sizes(Layout::permutation, 10, 13, 50, 2), Sizes(7, 2));
  EXPECT_EQ(sizes(Layout::permutation, 10, 11, 50, 2), Sizes(6, 2));

  // Every result fits, for all sizes, and nothing is cut without need.
  for (Layout layout : {Layout::decoder, Layout::encoder_decoder, Layout::permutation}) {
    for (size_t s = 0; s < 20; ++s) {
      for (size_t t = 1; t < 20; ++t) {
        const auto [source, target] = sizes(layout, 11, 17, s, t);
        const RowCount whole = row_count(layout, int64_t(s), int64_t(t)),
                       r = row_count(layout, int64_t(source), int64_t(target));
        EXPECT_LE(r.encoder, 11);
        EXPECT_LE(r.decoder, 11);
        EXPECT_LE(r.total(), 17);
        EXPECT_GE(target, 1u);
        const bool fitted = whole.encoder <= 11 && whole.decoder <= 11 && whole.total() <= 17;
        EXPECT_EQ(fitted, source == s && target == t);
      }
    }
  }

  Example labelled = with_labels({200, 201, 202, 203}, {-1, 7, -1, 8});
  EXPECT_TRUE(truncate(Layout::encoder, 5, 100, labelled));
  EXPECT_EQ(labelled.source, (Ids{200, 201, 202}));
  EXPECT_EQ(labelled.labels, (Ids{-1, 7, -1}));
  EXPECT_FALSE(truncate(Layout::encoder, 5, 100, labelled));

  Packer p(Layout::decoder, kSpecials, 20, 10);
  ASSERT_TRUE(p.add(with_target(Ids(30, 9), {8})));
  EXPECT_EQ(p.batch().rows(), 10);
  EXPECT_EQ(p.truncated(), 1);
}

}  // namespace
}  // namespace triarch
