// What the world knows of its own entropy, against counting what it makes.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "triarch/data/world.h"

namespace triarch::world {
namespace {

const Key key(7, Purpose::world);

double log_ways(int64_t n, int64_t k) { return std::lgamma(double(n) + 1) - std::lgamma(double(n - k) + 1); }

struct Counted {
  int64_t n = 0;
  double nats = 0;                                          // told
  std::map<std::string, std::pair<int64_t, double>> texts;  // how often, and what was told of it

  void add(const std::string& text, double told) {
    ++n;
    nats += told;
    auto [at, first] = texts.try_emplace(text, 0, told);
    ++at->second.first;
    // It is a matter of the text, not of how it came about.
    EXPECT_NEAR(at->second.second, told, 1e-9) << text;
  }
  double mean() const { return nats / double(n); }
  // Miller and Madow's estimate: plug-in, and (texts - 1) / 2n more.
  double estimate() const {
    double h = 0;
    for (const auto& [text, t] : texts) h -= double(t.first) / double(n) * std::log(double(t.first) / double(n));
    return h + double(texts.size() - 1) / (2 * double(n));
  }
  // Of all texts, if every one was seen.
  double total_probability() const {
    double p = 0;
    for (const auto& [text, t] : texts) p += std::exp(-t.second);
    return p;
  }
};

TEST(WorldEntropy, ItemsAgainstCounting) {
  int small = 0;
  for (const Family& f : families()) {
    Counted c;
    for (int64_t i = 0; i < 20'000; ++i) {
      const Item item = world::item(key, f.name, i);
      c.add(prompt(item, 0) + " " + item.answer, item.nats);
    }
    // No more texts than are told of, whatever their number.
    EXPECT_LT(c.total_probability(), 1 + 1e-6) << f.name;
    if (c.texts.size() > 2'000) continue;
    ++small;
    EXPECT_NEAR(c.mean(), c.estimate(), 0.02) << f.name;
    if (c.texts.size() < 700) {
      EXPECT_NEAR(c.total_probability(), 1, 1e-6) << f.name;
    }
  }
  EXPECT_GE(small, 4);
}

TEST(WorldEntropy, ItemsByHand) {
  const auto told = [](const char* family) { return item(key, family, 3).nats; };
  EXPECT_NEAR(told("plus"), std::log(30), 1e-9);
  EXPECT_NEAR(told("category"), std::log(15), 1e-9);
  EXPECT_NEAR(told("give"), std::log(8 * 7 * 15 * 2), 1e-9);
  EXPECT_NEAR(told("owner"), log_ways(8, 3) + log_ways(5, 3) + log_ways(15, 3) + std::log(3), 1e-9);
  EXPECT_NEAR(told("place"), std::log(2) + log_ways(8, 3) + log_ways(6, 3) + std::log(3), 1e-9);
  EXPECT_NEAR(told("sort"), log_ways(19, 3), 1e-9);
  // The largest of three of four: summed over all sets, one.
  double p = 0;
  for (int top = 2; top < 18; ++top) p += (top * (top - 1) / 2.) * (18 - top) / (19. * 18 * 17 * 16 / 24);
  EXPECT_NEAR(p, 1, 1e-12);
}

TEST(WorldEntropy, DocumentsAgainstCountingAndByHand) {
  std::map<Kind, Counted> kinds;
  Counted refrains;
  double refrain = log_ways(8, 4) + std::log(6);
  for (int k = 3; k <= 8; ++k) refrain += log_ways(28, k) / 6;
  for (int64_t i = 0; i < 40'000; ++i) {
    const Text t = document(key, i, Stage::mix);
    kinds[t.kind].add(t.text, t.nats);
    const Text r = document(key, i, Stage::primer);
    refrains.add(r.text, r.nats);
  }
  EXPECT_NEAR(refrains.mean(), refrain, 0.05);
  // Eleven countings; two good or bad reviews of 6, 5, 4 words and 15 things.
  const double plain = std::log(4.);
  EXPECT_NEAR(kinds[Kind::counting].mean(), plain + std::log(12. * 11), 1e-9);
  EXPECT_NEAR(kinds[Kind::counting].estimate() + plain + std::log(12.), kinds[Kind::counting].mean(), 0.02);
  EXPECT_NEAR(kinds[Kind::review].mean(), plain + std::log(6. * 2 * 6 * 5 * 4 * 15), 1e-9);
  EXPECT_NEAR(kinds[Kind::refrain].mean(), plain + std::log(3.) + refrain, 0.4);
  EXPECT_EQ(kinds.size(), 8u);
  for (const auto& [kind, c] : kinds) EXPECT_LT(c.total_probability(), 1 + 1e-6) << int(kind);
}

}  // namespace
}  // namespace triarch::world
