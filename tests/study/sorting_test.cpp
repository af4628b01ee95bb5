#include "triarch/study/sorting.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "triarch/evaluate/statistics.h"

namespace triarch {
namespace {

TEST(Sorting, IsLearntAndShortPathsKnowMoreThanLongOnes) {
  SortingOptions o;
  o.layers = 4;
  o.learnt = 1000;
  o.passes = 25;
  o.draws = 3;
  double share = 0;
  const auto r = learn_to_sort(o, 1, [&](double s, int64_t) {
    EXPECT_GE(s, share);
    share = s;
    return true;
  });
  ASSERT_TRUE(r);
  EXPECT_GT(r->whole, 0.93);
  EXPECT_GT(r->by_place, 0.25);
  EXPECT_LT(r->by_place, 0.45);
  EXPECT_LT(r->no_skips, 0.5);
  ASSERT_EQ(r->by_length.size(), 2 * 5u);
  for (const PathAccuracy& a : r->by_length) {
    EXPECT_EQ(a.accuracy.size(), 3u);
    EXPECT_LT(mean(a.accuracy), r->whole) << a.paths << " of " << a.length;
  }
  // Of length 0 there is one path: all draws are the same.
  EXPECT_EQ(r->by_length[0].accuracy[0], r->by_length[0].accuracy[2]);
  EXPECT_GT(mean(r->by_length[6].accuracy), mean(r->by_length[9].accuracy));

  StudyReport report;
  add_sorting(o, {*r}, report);
  ASSERT_EQ(report.tables.size(), 1u);
  EXPECT_EQ(report.tables[0].rows.size(), 8u);
  EXPECT_NE(report.findings[0].find("not told apart by 1 seed"), std::string::npos) << report.findings[0];
  EXPECT_EQ(report.charts[0].levels.size(), 3u);
}

TEST(Sorting, StopsAndDependsOnItsSeedAlone) {
  SortingOptions o;
  o.layers = 2;
  o.learnt = 60;
  o.passes = 2;
  o.paths = {2};
  const auto on = [](double, int64_t) { return true; };
  EXPECT_FALSE(learn_to_sort(o, 1, [](double, int64_t) { return false; }));
  EXPECT_EQ(learn_to_sort(o, 1, on)->loss, learn_to_sort(o, 1, on)->loss);
  EXPECT_NE(learn_to_sort(o, 1, on)->loss, learn_to_sort(o, 2, on)->loss);
}

}  // namespace
}  // namespace triarch
