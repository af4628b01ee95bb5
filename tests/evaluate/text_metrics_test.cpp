#include "triarch/evaluate/text_metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "triarch/base/error.h"

namespace triarch {
namespace {

// What sacreBLEU 2.6.0 says: tokenizer_13a, corpus_bleu and corpus_chrf with their defaults.
struct Tokens {
  std::string text, tokens;
};
struct Corpus {
  std::string name;
  std::vector<std::string> answers;
  std::vector<std::vector<std::string>> references;
  double bleu, chrf;
};
const Tokens kTokens[] = {
    {"Hello, world! (It's 3.14, not 1,000,000.)", "Hello , world ! ( It's 3.14 , not 1,000,000 . )"},
    {"a-b 5-6 x-5 5-x 2010-2011 --", "a-b 5 - 6 x-5 5 - x 2010 - 2011 --"},
    {"U.S. 1. .5 5. ...", "U . S . 1 . . 5 5 . . . ."},
    {"&quot;A&amp;B&quot; &lt;x&gt; &amp;lt; &apos;", "\" A & B \" < x > < & apos ;"},
    {"a\u00a0b\u3000c\u2009d\u200be\u0085f", "a b c d\u200be f"},
    {"end-\n", "end-"},
    {"join-\ned\nline <skipped>x", "joined line x"},
    {"{a}[b]^_`~|\\/@:;=?#$%*+'", "{ a } [ b ] ^ _ ` ~ | \\ / @ : ; = ? # $ % * + '"},
    {"Größe 5,5 m, naïve café—„Zitat“ 日本,語。", "Größe 5,5 m , naïve café—„Zitat“ 日本 , 語。"},
    {"   ", ""},
    {"é.ü,5.é", "é . ü , 5 . é"},
    {"1.2.3,4, 5 ,6.", "1.2.3,4 , 5 , 6 ."},
    {"\v\x1c"
     "x\x1f.\t y",
     "x . y"},
};
const Corpus kCorpora[] = {
    {"one reference",
     {"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."},
     {{"The dog bit the man."}, {"It was not unexpected."}, {"The man bit him first."}},
     45.067506321,
     50.043063607},
    {"two references",
     {"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."},
     {{"The dog bit the man.", "The dog had bit the man."},
      {"It was not unexpected.", "No one was surprised."},
      {"The man bit him first.", "The man had bitten the dog."}},
     48.530827010,
     59.727517827},
    {"the same",
     {"It is the guiding principle of the army."},
     {{"It is the guiding principle of the army."}},
     100.000000000,
     100.000000000},
    {"brevity",
     {"the cat sat on the mat"},
     {{"the cat sat on the mat because it was tired of all the noise"}},
     26.359713812,
     37.555917019},
    {"too long",
     {"the cat sat on the mat because it was tired of all the noise"},
     {{"the cat sat on the mat"}},
     34.987611491,
     70.637728254},
    {"no four-grams match",
     {"the cat is on a mat now"},
     {{"the cat sat on the mat today"}},
     15.619699685,
     27.946219724},
    {"one word matches", {"a b c d e f"}, {{"x b y z w v"}}, 8.116697887, 2.777777778},
    {"nothing matches", {"a b c d e"}, {{"v w x y z"}}, 0.000000000, 0.000000000},
    {"three tokens", {"the cat sat"}, {{"the cat sat"}}, 0.000000000, 100.000000000},
    {"a short one among longer",
     {"the cat", "there is a cat on the mat"},
     {{"the cat sat"}, {"there is a cat on the mat"}},
     89.483931681,
     89.033245643},
    {"an empty answer",
     {"", "there is a cat on the mat"},
     {{"the cat sat down"}, {"there is a cat on a mat"}},
     36.337289265,
     48.652217660},
    {"only an empty answer", {""}, {{"the cat sat down"}}, 0.000000000, 0.000000000},
    {"an empty reference", {"the cat sat down", "a b c d"}, {{""}, {"a b c d"}}, 50.000000000, 100.000000000},
    {"numbers",
     {"It cost $1,234.56 in 2010-2011, i.e. 5%."},
     {{"It cost $1,234.50 in 2010 - 2011, i.e. 5 %."}},
     81.535510382,
     88.560611637},
    {"entities",
     {"He said &quot;A &amp; B&quot; &lt;here&gt; today."},
     {{"He said \"A & B\" <here> today."}},
     100.000000000,
     36.653672150},
    {"unicode",
     {"Die Größe beträgt 5,5 m — naïve Café „Zitat“.", "日本語 の 文章 です。 はい"},
     {{"Die Größe betrug 5,5 m – naïve Cafés „Zitat“."}, {"日本語 の 文 です。 はい"}},
     13.737279171,
     65.603603275},
    {"unicode spaces", {"a\u00a0b c\u3000d e"}, {{"a b c d\u2009e"}}, 100.000000000, 100.000000000},
    {"clipped",
     {"the the the the the the the"},
     {{"the cat is on the mat", "there is a cat on the mat, the the"}},
     14.535768424,
     25.292022765},
    {"nearest length, the shorter",
     {"a b c d e"},
     {{"a b c d e f g", "a b c", "a b c d e f"}},
     81.873075308,
     82.061068702},
    {"nearest of a tie", {"a b c d e f"}, {{"a b c d e f g h", "a b c d"}}, 100.000000000, 84.677419355},
    {"case counts", {"The Cat Sat On The Mat"}, {{"the cat sat on the mat now"}}, 0.000000000, 13.979195787},
    {"whitespace at the end",
     {"the cat sat on-\n", "b c d e f "},
     {{"the cat sat on - a mat"}, {"  b c d e f"}},
     57.208429644,
     77.846927017},
};

TEST(TextMetrics, TokensAreThoseOfSacreBleu) {
  for (const Tokens& t : kTokens) EXPECT_EQ(tokenize_13a(t.text), t.tokens) << t.text;
}

TEST(TextMetrics, ScoresAreThoseOfSacreBleu) {
  for (const Corpus& c : kCorpora) {
    EXPECT_NEAR(bleu(c.answers, c.references), c.bleu, 1e-6) << c.name;
    EXPECT_NEAR(chrf(c.answers, c.references), c.chrf, 1e-6) << c.name;
  }
}

// Counts add up: a corpus in two parts is the corpus.
TEST(TextMetrics, CountsAdd) {
  BleuCounts b;
  ChrfCounts f;
  for (size_t i = 0; i < kCorpora[1].answers.size(); ++i) {
    b.add(bleu_counts(kCorpora[1].answers[i], kCorpora[1].references[i]));
    f.add(chrf_counts(kCorpora[1].answers[i], kCorpora[1].references[i]));
  }
  EXPECT_NEAR(b.score(), kCorpora[1].bleu, 1e-6);
  EXPECT_NEAR(f.score(), kCorpora[1].chrf, 1e-6);
  // By hand: 6 + 4 + 7 tokens, the references nearest to them 6, 5 and 7.
  EXPECT_EQ(b.tokens, 17);
  EXPECT_EQ(b.reference_tokens, 18);
  EXPECT_EQ(b.ngrams, (std::array<int64_t, 4>{17, 14, 11, 8}));
}

TEST(TextMetrics, TokenOverlapByHand) {
  const std::vector<std::vector<int32_t>> answers = {{1, 2, 3}, {1, 2}, {3, 1, 1, 2}, {}, {}};
  const std::vector<std::vector<int32_t>> references = {{1, 2, 3}, {1, 3, 2}, {1, 1, 2}, {}, {4}};
  const TokenOverlap o = token_overlap(answers, references);
  EXPECT_DOUBLE_EQ(o.exact_match, 2.0 / 5);
  EXPECT_DOUBLE_EQ(o.token_accuracy, (3 + 1 + 1 + 0 + 0) / 10.0);
  EXPECT_DOUBLE_EQ(o.token_f1, (1 + 4.0 / 5 + 6.0 / 7 + 1 + 0) / 5);
  // Words: the amount of whitespace does not matter, all else does.
  const std::vector<std::string> said = {" the  cat\n", "The cat"}, meant = {"the cat", "the cat"};
  const TokenOverlap w = token_overlap(said, meant);
  EXPECT_DOUBLE_EQ(w.exact_match, 0.5);
  EXPECT_DOUBLE_EQ(w.token_accuracy, 0.75);
  EXPECT_DOUBLE_EQ(w.token_f1, 0.75);
}

TEST(TextMetrics, BytesThatAreNoTextDoNoHarm) {
  const std::vector<std::string> odd = {"\xff\xfe a\xe2\x80 b c d"};
  EXPECT_DOUBLE_EQ(bleu(odd, std::vector<std::vector<std::string>>{odd}), 100);
  EXPECT_DOUBLE_EQ(chrf(odd, std::vector<std::vector<std::string>>{odd}), 100);
}

TEST(TextMetrics, SaysWhatIsWrong) {
  const std::vector<std::string> one = {"a"};
  EXPECT_THROW(bleu(one, {}), Error);
  EXPECT_THROW(bleu(one, std::vector<std::vector<std::string>>{{}}), Error);
  EXPECT_THROW(chrf(one, std::vector<std::vector<std::string>>{{}}), Error);
  EXPECT_THROW(token_overlap(one, std::vector<std::string>{}), Error);
  EXPECT_THROW(token_overlap(std::vector<std::string>{}, std::vector<std::string>{}), Error);
}

}  // namespace
}  // namespace triarch
