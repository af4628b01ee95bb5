#include "triarch/study/cache_study.h"

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
  const StudyReport r = cache_study(o);
  ASSERT_EQ(r.tables.size(), 4u);
  ASSERT_EQ(r.tables[0].rows.size(), 4u);
  for (const auto& row : r.tables[0].rows) {
    EXPECT_LT(std::stod(row[1]), 1e-10) << row[0];
    EXPECT_LT(std::stod(row[2]), 1e-3) << row[0];
  }
  ASSERT_EQ(r.tables[1].rows.size(), 8u);
  for (const auto& row : r.tables[1].rows) {
    const double measured = std::stod(row[5]), formula = std::stod(row[6]);
    EXPECT_NEAR(measured / formula, 1, 0.1) << row[0] << " " << row[1];
  }
  // Rows of turns by the table of evaluate/serving.h: causal reads only what is new.
  const auto rows_of = [&](const char* family) {
    const auto row = std::ranges::find_if(r.tables[2].rows, [&](const auto& x) { return x[0] == family; });
    return std::stoi((*row)[5]);
  };
  EXPECT_NEAR(rows_of("causal decoder"), 4 * 24, 4);
  EXPECT_NEAR(rows_of("prefix decoder"), 4 * 5 / 2 * 24, 8);
  for (const auto& row : r.tables[3].rows) EXPECT_EQ(row[2], row[3]);
}

}  // namespace
}  // namespace triarch
