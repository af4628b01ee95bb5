// Scores = sums of log softmax from one sequence at a time; embeddings = means of one text at a time.
#include "triarch/inference/score.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/inference/tiny.h"
#include "triarch/base/error.h"
#include "triarch/inference/embed.h"
#include "triarch/inference/packed.h"

namespace triarch {
namespace {

const Tokenizer kBytes;

Ids text(int64_t size, uint64_t seed) { return random_ids(size, kBytes.specials().size(), kBytes.vocabulary(), seed); }

std::vector<Kind> encoders() {
  return {{"bert", Family::encoder}, {"llama", Family::encoder, 1}, {"t5", Family::encoder}};
}

// Hidden rows of cls ids eos.
std::vector<double> encoded(const Model& model, const Ids& ids, std::vector<std::vector<double>>* log_p) {
  const Specials& special = kBytes.specials();
  Rows rows;
  rows.ids = ids;
  rows.ids.insert(rows.ids.begin(), special.cls);
  rows.ids.push_back(special.eos);
  for (int32_t i = 0; i < int32_t(rows.ids.size()); ++i) rows.positions.push_back(i);
  rows.types.assign(rows.ids.size(), 0);
  rows.segments.push_back({0, int32_t(rows.ids.size())});
  Arena arena;
  Context ctx{arena, nullptr, model.parameters().precision()};
  const Var hidden = model.encode(ctx, rows);
  if (log_p) {
    std::vector<int32_t> all(rows.ids.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = int32_t(i);
    const Tensor z = model.logits(ctx, hidden, all);
    for (int64_t i = 1; i + 1 < z.rows(); ++i) log_p->push_back(log_softmax(doubles_of(z.row_range(i, 1))));
  }
  return doubles_of(hidden.value);
}

TEST(Score, IsTheSumOfLogSoftmax) {
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    for (Precision precision : {Precision::float64(), Precision::float32()}) {
      const double tolerance = precision == Precision::float64() ? 1e-9 : 2e-4;
      const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), precision);
      std::vector<ScoreItem> items;
      for (uint64_t i = 0; i < 9; ++i) items.push_back({text(int64_t(i) * 2, i), text(1 + int64_t(i), 50 + i)});
      items[4].start = text(3, 90);
      items[5].continuation.clear();
      items[6].continuation.push_back(kBytes.specials().eos);
      for (int64_t top : {0, 4}) {
        const std::vector<Score> found = score(*model, kBytes, items, {.rows = 50, .top = top});
        for (size_t i = 0; i < items.size(); ++i) {
          const ScoreItem& item = items[i];
          Ids target = item.start;
          target.insert(target.end(), item.continuation.begin(), item.continuation.end());
          double sum = 0;
          if (!target.empty()) {
            const Logits expected = uncached(*model, kBytes.specials(), item.context, target);
            for (size_t t = 0; t < item.continuation.size(); ++t) {
              const std::vector<double> z = log_softmax(expected.row(int64_t(item.start.size() + t)));
              const double x = z[size_t(item.continuation[t])];
              sum += x;
              EXPECT_NEAR(found[i].log_probabilities[t], x, tolerance);
              if (precision == Precision::float64()) {
                EXPECT_EQ(found[i].best[t], argmax(z));
              }
              if (top > 0) {
                ASSERT_EQ(found[i].top[t].size(), 4u);
                EXPECT_NEAR(std::log(found[i].top[t][0].probability), z[size_t(argmax(z))], tolerance);
              }
            }
          }
          EXPECT_NEAR(found[i].log_probability, sum, 10 * tolerance);
          EXPECT_EQ(found[i].tokens(), int64_t(item.continuation.size()));
          EXPECT_EQ(found[i].bytes, int64_t(item.continuation.size()) - (i == 6));
        }
      }
    }
  }
}

TEST(Score, GreedyContinuations) {
  const auto model = random_model(tiny_spec({"llama", Family::causal, 2}, kBytes.vocabulary()), Precision::float64());
  Session session(*model, kBytes.specials(), {.rows = 40});
  ScoreItem item{text(4, 1), {}};
  Logits z = session.prefill(0, item.context);
  for (int i = 0; i < 5; ++i) {
    item.continuation.push_back(argmax(z.row(0)));
    const Session::Next next{0, item.continuation.back()};
    z = session.step({&next, 1});
  }
  EXPECT_EQ(score(*model, kBytes, {&item, 1})[0].best, item.continuation);
  item.continuation[3] ^= 1;
  EXPECT_NE(score(*model, kBytes, {&item, 1})[0].best, item.continuation);
}

TEST(Score, EncodersMaskOneByOneSpreadOrTogether) {
  for (const Kind& kind : encoders()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), Precision::float64());
    std::vector<ScoreItem> items;
    for (uint64_t i = 0; i < 5; ++i) items.push_back({text(int64_t(i) * 3, i), text(1 + int64_t(i * i), 50 + i)});
    for (EncoderScore how : {EncoderScore::one_by_one, EncoderScore::spread, EncoderScore::together}) {
      const std::vector<Score> found = score(*model, kBytes, items, {.rows = 40, .encoder = how});
      for (size_t i = 0; i < items.size(); ++i) {
        const size_t c = items[i].context.size(), n = items[i].continuation.size();
        Ids whole = items[i].context;
        whole.insert(whole.end(), items[i].continuation.begin(), items[i].continuation.end());
        for (size_t t = 0; t < n; ++t) {
          Ids masked = whole;
          for (size_t k = 0; k < n; ++k) {
            const bool also = how == EncoderScore::together || (how == EncoderScore::spread && k % 7 == t % 7);
            if (k == t || also) masked[c + k] = kBytes.specials().mask;
          }
          std::vector<std::vector<double>> log_p;
          encoded(*model, masked, &log_p);
          EXPECT_NEAR(found[i].log_probabilities[t], log_p[c + t][size_t(whole[c + t])], 1e-9);
        }
      }
    }
  }
}

TEST(Score, LongContextsLoseTheirBeginning) {
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), Precision::float64());
    const ScoreItem item{text(100, 1), text(10, 2)};
    const Score s = score(*model, kBytes, {&item, 1})[0];  // 64 positions
    const bool pair = kind.family == Family::encoder_decoder;
    const int64_t room = pair ? 63 : kind.family == Family::permutation ? 53 : 54;
    EXPECT_EQ(s.dropped, 100 - room);
    const ScoreItem cut{Ids(item.context.end() - room, item.context.end()), item.continuation};
    EXPECT_NEAR(score(*model, kBytes, {&cut, 1})[0].log_probability, s.log_probability, 1e-9);
    const ScoreItem longer{{}, text(70, 3)};
    EXPECT_THROW(score(*model, kBytes, {&longer, 1}), Error);
  }
}

Ids beginning(const Ids& ids, int64_t n, Ids more = {}) {
  Ids out(ids.begin(), ids.begin() + n);
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// Candidates of one context, of several lengths, that begin alike or end there, and contexts that begin alike: as each
// of them alone.
TEST(Score, WhatBeginsAlikeIsSharedAndScoresTheSame) {
  for (const Kind& kind : generating_kinds()) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), Precision::float64());
    const Ids one = text(12, 1), two = text(9, 2), answer = text(6, 7);
    std::vector<ScoreItem> items;
    for (const Ids& context : {one, two, two, beginning(one, 7, text(4, 3)), beginning(one, 7), Ids{}}) {
      for (int64_t candidate : {4, 1, 6}) items.push_back({context, text(candidate, uint64_t(candidate))});
      for (int64_t candidate : {6, 3, 1}) items.push_back({context, beginning(answer, candidate)});
      items.push_back({context, beginning(answer, 4, text(2, 8))});
      items.push_back({context, text(3, 8), beginning(answer, 2)});
    }
    for (int64_t rows : {20, 45, 500}) {
      const std::vector<Score> found = score(*model, kBytes, items, {.rows = rows});
      for (size_t i = 0; i < items.size(); ++i) {
        const Score alone = score(*model, kBytes, {&items[i], 1})[0];
        for (size_t t = 0; t < items[i].continuation.size(); ++t) {
          EXPECT_NEAR(found[i].log_probabilities[t], alone.log_probabilities[t], 1e-9);
        }
      }
    }
  }
}

TEST(Score, WindowsHoldEveryTokenOnce) {
  const Ids ids = text(67, 1);
  for (int64_t length : {1, 5, 33, 67, 100}) {
    for (int64_t overlap : {int64_t(0), length / 2, length - 1}) {
      Ids all;
      for (const ScoreItem& item : windows(ids, length, overlap)) {
        EXPECT_LE(int64_t(item.context.size() + item.continuation.size()), length);
        EXPECT_EQ(int64_t(item.context.size()), std::min<int64_t>(overlap, int64_t(all.size())));
        EXPECT_TRUE(std::equal(item.context.rbegin(), item.context.rend(), all.rbegin()));
        all.insert(all.end(), item.continuation.begin(), item.continuation.end());
      }
      EXPECT_EQ(all, ids);
    }
  }
  EXPECT_THROW(windows(ids, 5, 5), Error);
}

TEST(Embed, IsTheMeanOfOneTextAtATime) {
  std::vector<Kind> kinds = generating_kinds();
  for (const Kind& k : encoders()) kinds.push_back(k);
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(name_of(kind));
    const auto model = random_model(tiny_spec(kind, kBytes.vocabulary()), Precision::float64());
    std::vector<Ids> texts;
    for (uint64_t i = 0; i < 6; ++i) texts.push_back(text(int64_t((i * 7) % 20), i));
    for (Pooling pooling : {Pooling::mean, Pooling::first, Pooling::last}) {
      const auto found = embed(*model, kBytes.specials(), texts, {.pooling = pooling, .normalize = false, .rows = 30});
      const auto unit = embed(*model, kBytes.specials(), texts, {.pooling = pooling, .rows = 1000});
      ASSERT_EQ(found.size(), texts.size());
      for (size_t i = 0; i < texts.size(); ++i) {
        std::vector<double> hidden;
        if (kind.family == Family::encoder) {
          hidden = encoded(*model, texts[i], nullptr);
        } else {
          Rows rows;
          rows.ids = texts[i];
          if (model->spec().has_encoder()) {
            rows.ids.push_back(kBytes.specials().eos);
          } else {
            rows.ids.insert(rows.ids.begin(), kBytes.specials().bos);
          }
          const int32_t n = int32_t(rows.ids.size());
          for (int32_t k = 0; k < n; ++k) rows.positions.push_back(k);
          rows.turn_ends.assign(size_t(n), n);
          rows.segments.push_back({0, n, 0, n});
          Arena arena;
          Context ctx{arena, nullptr, Precision::float64()};
          hidden = doubles_of(
              (model->spec().has_encoder() ? model->encode(ctx, rows) : model->decode(ctx, rows, {}, {})).value);
        }
        const size_t width = size_t(model->spec().width), rows = hidden.size() / width;
        double norm = 0;
        for (size_t c = 0; c < width; ++c) norm += double(found[i][c]) * double(found[i][c]);
        for (size_t c = 0; c < width; ++c) {
          double expected = hidden[c];
          if (pooling == Pooling::last) expected = hidden[(rows - 1) * width + c];
          if (pooling == Pooling::mean) {
            for (size_t r = 1; r < rows; ++r) expected += hidden[r * width + c];
            expected /= double(rows);
          }
          EXPECT_NEAR(found[i][c], expected, 1e-5);
          EXPECT_NEAR(unit[i][c], found[i][c] / std::sqrt(norm), 1e-5);
        }
      }
    }
    const std::vector<Ids> longer = {text(70, 1)};
    EXPECT_THROW(embed(*model, kBytes.specials(), longer), Error);
  }
}

}  // namespace
}  // namespace triarch
