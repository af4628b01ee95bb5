#include "triarch/text/sentences.h"

#include <gtest/gtest.h>

#include <string>

namespace triarch {
namespace {
using namespace std::string_literals;

using Strings = std::vector<std::string>;

Strings split(std::string_view text) {
  Strings out;
  for (const Sentence& s : sentences_of(text)) {
    out.push_back(std::string(text.substr(s.begin, s.end - s.begin)) + (s.complete ? "" : "|"));
  }
  return out;
}

TEST(Sentences, EndAtMarksBeforeWhitespace) {
  EXPECT_EQ(split("One is here. Two!  Three?! Four… Five"),
            (Strings{"One is here.", "Two!", "Three?!", "Four…", "Five|"}));
  EXPECT_EQ(split(" It costs 3.50 at a.b.com. Yes.\n"), (Strings{"It costs 3.50 at a.b.com.", "Yes."}));
  EXPECT_EQ(split(""), Strings{});
  EXPECT_EQ(split(" \n "), Strings{});
  EXPECT_EQ(split("a"), Strings{"a|"});
  EXPECT_EQ(split("."), Strings{"."});
}

TEST(Sentences, KeepQuotesAndWhatFollowsThem) {
  EXPECT_EQ(split("\"Go!\" she said. He (too.) Left. “Ja.” ‘No.’"),
            (Strings{"\"Go!\" she said.", "He (too.)", "Left.", "“Ja.”", "‘No.’"}));
}

TEST(Sentences, EndAtBlankLinesButNotAtLineEnds) {
  EXPECT_EQ(split("CHAPTER I\n\nIt was\ncold. So\r\n\r\nit ended"),
            (Strings{"CHAPTER I|", "It was\ncold.", "So|", "it ended|"}));
}

TEST(Sentences, AreNotEndedByTitlesAndInitials) {
  EXPECT_EQ(split("Mr. Smith met J. R. Brown and (Dr. No). So did I. Then A"),
            (Strings{"Mr. Smith met J. R. Brown and (Dr. No).", "So did I.", "Then A|"}));
  EXPECT_EQ(split("Call Mr.\n\nNext."), (Strings{"Call Mr.", "Next."}));
}

TEST(Sentences, SmallLettersContinueOnlyWhereThereAreCapitals) {
  EXPECT_EQ(split("See p. 3, i.e. here. é. Ünd"), (Strings{"See p.", "3, i.e. here. é.", "Ünd|"}));
  EXPECT_EQ(split("no capitals here . and so on . yes"), (Strings{"no capitals here .", "and so on .", "yes|"}));
  EXPECT_EQ(split("Он дома. она нет. Да."), (Strings{"Он дома. она нет.", "Да."}));
}

TEST(Sentences, TakeAnyBytes) {
  const std::string bytes = "\xff\xfe. \xc3 A\0b. C"s;
  size_t end = 0;
  for (const Sentence& s : sentences_of(bytes)) {
    EXPECT_GE(s.begin, end);
    EXPECT_GT(s.end, s.begin);
    end = s.end;
  }
  EXPECT_EQ(end, bytes.size());
}

}  // namespace
}  // namespace triarch
