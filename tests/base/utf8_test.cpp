#include "triarch/base/utf8.h"

#include <gtest/gtest.h>

namespace triarch {
namespace {

TEST(Utf8, KnowsLettersOfAllScripts) {
  for (const char* s : {"a", "ß", "ж", "é"}) EXPECT_EQ(letter_of(s), Letter::lower) << s;
  for (const char* s : {"Z", "Ä", "Ж"}) EXPECT_EQ(letter_of(s), Letter::upper) << s;
  for (const char* s : {"字", "א", "\xcc\x81"}) EXPECT_EQ(letter_of(s), Letter::caseless) << s;
  for (const char* s : {"", "1", ".", " ", "’", "\xff", "\xc3"}) EXPECT_EQ(letter_of(s), Letter::none) << s;
  EXPECT_EQ(letter_of("aB"), Letter::lower);
}

}  // namespace
}  // namespace triarch
