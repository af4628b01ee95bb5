#include "triarch/study/collapse.h"

#include <gtest/gtest.h>

#include <cmath>

#include "triarch/base/error.h"

namespace triarch {
namespace {

TEST(Collapse, RatioByHand) {
  EXPECT_EQ(residual_ratio(std::vector<double>{1, 2, 1, 2}, 2), 0);  // equal rows
  // Rows (1, 0) and (-1, 0): their mean is 0, and nothing is taken off.
  EXPECT_NEAR(residual_ratio(std::vector<double>{1, 0, -1, 0}, 2), 1, 1e-12);
  // Rows (3, 0) and (1, 0): column sums 4, rows 3; centred (1, 0), (-1, 0): 2 and 1.
  EXPECT_NEAR(residual_ratio(std::vector<double>{3, 0, 1, 0}, 2), std::sqrt(2. / 12), 1e-12);
  EXPECT_EQ(residual_ratio(std::vector<double>{0, 0}, 1), 0);
  EXPECT_THROW(residual_ratio(std::vector<double>{1, 2, 3}, 2), Error);
}

TEST(Collapse, AttentionAloneMakesRowsAlikeAndSkipsDoNot) {
  CollapseOptions o;
  o.layers = 6;
  o.length = 24;
  o.seeds = 2;
  const StudyReport r = collapse_study({}, o);
  ASSERT_EQ(r.tables.size(), 1u);
  ASSERT_EQ(r.tables[0].rows.size(), 12u);
  for (const auto& row : r.tables[0].rows) {
    const double before = std::stod(row[2]), last = std::stod(row[5]);
    EXPECT_GT(before, 0.5) << row[0];
    if (row[1] == "attention alone") {
      EXPECT_LT(last, row[0] == "both sides" ? 1e-4 : 0.2) << row[0];
    } else if (row[1] != "with feed-forward layers") {
      EXPECT_GT(last, 0.3) << row[0];
    }
  }
}

}  // namespace
}  // namespace triarch
