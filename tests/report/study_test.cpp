#include "triarch/report/study.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/study/study_report.h"

namespace triarch {
namespace {

StudyReport example() {
  StudyReport r;
  r.name = r.title = "example";
  r.tables = {{"tokens", {"token", "probability"}, {}}};
  return r;
}

// Tokens are rows of tables, whatever their bytes are: a line each, as many cells as heads, and nothing bold.
TEST(StudyReport, TokensDoNotBreakTables) {
  StudyReport r = example();
  r.tables[0].rows = {{"a|b", "0.1"}, {"a\nb\t", "0.2"}, {"\x01 bold \x02", "0.3"}};
  const std::string json = to_json(r), markdown = report::study_markdown(json), page = report::study_page(json),
                    text = report::study_text(json);
  EXPECT_NE(markdown.find("| a\\|b | 0.1 |\n| a\\nb\\t | 0.2 |\n| \\x01 bold \\x02 | 0.3 |\n"), std::string::npos)
      << markdown;
  EXPECT_EQ(page.find("<strong>"), std::string::npos);
  EXPECT_NE(page.find("<td class=\"words\">a\\nb\\t</td>"), std::string::npos);
  EXPECT_EQ(std::ranges::count(text, '\n'), 2 + 1 + 3 + 1) << text;  // title, heads, rows, a space
}

// A sentence in a cell is broken into lines, and every column stays where it is.
TEST(StudyReport, LongCellsHaveSeveralLines) {
  StudyReport r = example();
  std::string words = "word";
  for (int i = 0; i < 30; ++i) words += " word";
  r.tables[0].rows = {{"short", words}};
  const std::string text = report::study_text(to_json(r));
  size_t found = 0;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    EXPECT_LE(end - at, 70u) << text;
    for (size_t w = text.find("word", at); w < end; w = text.find("word", w + 1)) ++found;
  }
  EXPECT_EQ(found, 31u);
}

TEST(StudyReport, OtherFilesAreRefused) { EXPECT_THROW(report::study_text("{}"), Error); }

}  // namespace
}  // namespace triarch
