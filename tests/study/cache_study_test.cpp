#include "triarch/study/cache_study.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace triarch {
namespace {

TEST(CacheStudy, IsTheSameAndCostsWhatTheFormulaSays) {
  CacheOptions o;
  o.width = 64;
  o.layers = 2;
  o.lengths = {16, 64};
  o.generated = 4;
  o.repeats = 1;
  o.turns = 4;
  const StudyReport r = *cache_study(o);
  ASSERT_EQ(r.tables.size(), 4u);
  ASSERT_EQ(r.tables[0].rows.size(), 5u);
  for (const auto& row : r.tables[0].rows) {
    ASSERT_EQ(row.size(), 5u);
    for (size_t i : {1, 3}) EXPECT_LT(std::stod(row[i]), 1e-10) << row[0];
    for (size_t i : {2, 4}) EXPECT_LT(std::stod(row[i]), 1e-3) << row[0];
  }
  ASSERT_EQ(r.tables[1].rows.size(), 10u);
  for (const auto& row : r.tables[1].rows) {
    const double measured = std::stod(row[5]), formula = std::stod(row[6]);
    EXPECT_NEAR(measured / formula, 1, 0.1) << row[0] << " " << row[1];
  }
  // What is said of the longest context is of that.
  double saved = 0;
  for (const auto& row : r.tables[1].rows) {
    if (row[1] == "64") saved = std::max(saved, std::stod(row[4]));
  }
  EXPECT_EQ(r.findings.at(1).find(fmt::format("At 64 tokens of context a token costs up to {:.0f} times", saved)), 0u)
      << r.findings[1];
  // Rows by the table of evaluate/serving.h; the last token of the last answer is not computed, bos and eos are.
  ASSERT_EQ(r.tables[2].rows.size(), 5u);
  for (const auto& row : r.tables[2].rows) EXPECT_NEAR(std::stod(row[3]), std::stod(row[2]), 8) << row[0];
  EXPECT_EQ(r.tables[2].rows[1][0], "prefix decoder, by turns");
  EXPECT_EQ(r.tables[2].rows[1][3], r.tables[2].rows[0][3]);
  EXPECT_NEAR(std::stod(r.tables[2].rows[1][6]), 1, 0.05);
  EXPECT_NEAR(std::stod(r.tables[2].rows[2][4]), 2.5, 0.1);
  for (const auto& row : r.tables[3].rows) EXPECT_EQ(row[2], row[3]);
}

}  // namespace
}  // namespace triarch
