#include "triarch/text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"

namespace triarch {
namespace {

using Ids = std::vector<int32_t>;

constexpr TokenizerKind all_kinds[] = {TokenizerKind::bytes, TokenizerKind::characters, TokenizerKind::words,
                                       TokenizerKind::unigram, TokenizerKind::bpe};

// Some thousand lines of words, numbers and a few characters outside of ASCII.
std::string some_text(int lines) {
  const std::vector<std::string> words = {"the", "king",  "queen", "said", "hello", "world", "naïve", "日本",
                                          "of",  "house", "red",   "42",   "a,",    "Ωmega", "and",   "walked"};
  Draw draw(Key(7, Purpose::test));
  std::string text;
  for (int i = 0; i < lines; ++i) {
    for (uint64_t n = 3 + draw.below(9); n > 0; --n) text += words[draw.below(words.size())] + (n > 1 ? " " : ".");
    text += i % 7 == 0 ? "\n\n" : "\n";
  }
  return text;
}

Tokenizer trained(TokenizerKind kind, std::string_view text, int32_t vocabulary = 460) {
  return Tokenizer::train({.kind = kind, .vocabulary = vocabulary}, {text});
}

const std::vector<Tokenizer>& tokenizers() {
  static const std::vector<Tokenizer> all = [] {
    const std::string text = some_text(300);
    std::vector<Tokenizer> made;
    for (const TokenizerKind kind : all_kinds) made.push_back(trained(kind, text));
    return made;
  }();
  return all;
}

std::string shared_file(const std::string& name) {
  const char* shared = std::getenv("TRIARCH_SHARED");
  std::ifstream file((shared ? std::string(shared) : TRIARCH_SOURCE_DIR "/../shared") + "/data/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Tokenizer, GivesBackEveryByte) {
  using namespace std::string_literals;
  std::vector<std::string> texts = {""s,
                                    " "s,
                                    "a"s,
                                    " the king said\r\nhello\tworld  \n\n  x   "s,
                                    "\0the\0 king\0"s,
                                    "\xEF\xBB\xBFthe king"s,
                                    "▁the ▁ king▁▁ ▅"s,
                                    "a\xFF\xC0\x80\xE2\x96 b\xED\xA0\x80 \xF4\x90\x80\x80"s,
                                    "\uFFFD \uFFFE \U0010FFFF e\u0301 \u200b \u00a0"s,
                                    "<mask> <extra_id_0> <0x41> <unk> [R]"s,
                                    std::string(20'000, ' '),
                                    std::string(20'000, '\n'),
                                    std::string(20'000, 'x'),
                                    std::string(4095, 'x') + "日本" + std::string(4094, ' ') + "日"};
  // Random texts: bytes, and characters that matter to one kind or another.
  const std::vector<std::string> parts = {" ",  "\n", "\r\n", "the", "king", "▁",  "日", "\0"s,  "\x80",
                                          "\t", "é",  "\xE2", "q",   "  ",   "42", "▅",  "<pad>"};
  Draw draw(Key(1, Purpose::test));
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (uint64_t n = draw.below(60); n > 0; --n) {
      if (i % 2 == 0) text += char(draw.below(256));
      if (i % 2 == 1) text += parts[draw.below(parts.size())];
    }
    texts.push_back(text);
  }
  for (const Tokenizer& tokenizer : tokenizers()) {
    const Specials& specials = tokenizer.specials();
    for (const std::string& text : texts) {
      const Ids ids = tokenizer.encode(text);
      ASSERT_EQ(tokenizer.decode(ids), text) << tokenizer.description();
      int64_t bytes = 0;
      for (const int32_t id : ids) {
        ASSERT_GE(id, specials.size()) << "a special from plain text: " << text;
        bytes += tokenizer.bytes_of(id);
      }
      ASSERT_EQ(bytes, int64_t(text.size()));
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text, SpecialText::parse), true), text);
    }
  }
}

TEST(Tokenizer, SpecialsAreAtFixedIdsAndParsedOnRequest) {
  for (const Tokenizer& tokenizer : tokenizers()) {
    const Specials& s = tokenizer.specials();
    EXPECT_EQ(s.pad, 0);
    EXPECT_EQ(s.eos, 1);
    EXPECT_EQ(s.sentinel(99), 109);
    EXPECT_THROW(s.sentinel(100), Error);
    const int32_t a = *tokenizer.find("a");
    EXPECT_EQ(tokenizer.encode("<mask>a<extra_id_7><<eos>[X]", SpecialText::parse),
              (Ids{s.mask, a, s.sentinel(7), *tokenizer.find("<"), s.eos, s.mode_extreme}));
    EXPECT_EQ(tokenizer.encode("<extra_id_100>", SpecialText::parse), tokenizer.encode("<extra_id_100>"));
    EXPECT_EQ(tokenizer.decode(Ids{s.bos, a, s.sentinel(3), a}), "aa");
    EXPECT_EQ(tokenizer.decode(Ids{s.bos, a, s.sentinel(3), a}, true), "<bos>a<extra_id_3>a");
    EXPECT_EQ(tokenizer.decode_token(s.mask), "<mask>");
    EXPECT_EQ(tokenizer.decode_token(s.size() + 0xE2), "<0xE2>");
    EXPECT_EQ(tokenizer.bytes_of(s.mask), 0);
    EXPECT_THROW(tokenizer.decode(Ids{tokenizer.vocabulary()}), Error);
    EXPECT_THROW(tokenizer.bytes_of(-1), Error);
  }
  EXPECT_EQ(Tokenizer::train({.kind = TokenizerKind::bytes, .sentinels = 3}, {}).vocabulary(), 10 + 3 + 256);
}

TEST(Tokenizer, KindsCutAsTheySay) {
  const auto pieces = [](const Tokenizer& tokenizer, std::string_view text) {
    std::vector<std::string> shown;
    for (const int32_t id : tokenizer.encode(text)) shown.push_back(tokenizer.decode_token(id));
    return shown;
  };
  using Pieces = std::vector<std::string>;
  const std::vector<Tokenizer>& all = tokenizers();
  const Tokenizer &bytes = all[0], &characters = all[1], &words = all[2], &unigram = all[3], &bpe = all[4];
  EXPECT_EQ(bytes.vocabulary(), 110 + 256);
  EXPECT_EQ(pieces(bytes, "aé"), (Pieces{"a", "<0xC3>", "<0xA9>"}));
  EXPECT_EQ(pieces(characters, "aï本é"), (Pieces{"a", "ï", "本", "<0xC3>", "<0xA9>"}));
  EXPECT_EQ(pieces(words, "the king said hey"), (Pieces{"the", " king", " said", " ", "h", "e", "y"}));
  for (const Tokenizer& tokenizer : {unigram, bpe}) {
    EXPECT_LE(tokenizer.vocabulary(), 460);
    EXPECT_GT(tokenizer.vocabulary(), 400);
    EXPECT_TRUE(tokenizer.find(" king")) << tokenizer.description();
    EXPECT_LT(tokenizer.encode("the king walked and walked.\n").size(), 9u);
  }
}

TEST(Tokenizer, ClosedVocabularyOfWords) {
  const Tokenizer tokenizer = Tokenizer::of_words({"ann", "has", "a", "."}, 24);
  EXPECT_EQ(tokenizer.vocabulary(), 10 + 24 + 4);
  const Ids ids = tokenizer.encode("  ann has\n a hat .");
  EXPECT_EQ(ids, (Ids{34, 35, 36, tokenizer.specials().unk, 37}));
  EXPECT_EQ(tokenizer.decode(ids), "ann has a .");
  EXPECT_EQ(Tokenizer::deserialize(tokenizer.serialize(), "x"), tokenizer);
  const Tokenizer learned = Tokenizer::train(
      {.kind = TokenizerKind::words, .vocabulary = 60, .sentinels = 24, .byte_fallback = false}, {"b a b\nc b a"});
  EXPECT_EQ(learned.vocabulary(), 34 + 3);
  EXPECT_EQ(learned.encode("b"), (Ids{34}));
}

TEST(Tokenizer, TrainingIsDeterministicOnAnyNumberOfThreads) {
  const std::string text = some_text(200);
  const int threads = thread_count();
  for (const TokenizerKind kind : all_kinds) {
    set_thread_count(1);
    const Tokenizer one = trained(kind, text);
    set_thread_count(3);
    const Tokenizer three = trained(kind, text);
    set_thread_count(threads);
    EXPECT_EQ(one.serialize(), three.serialize());
    EXPECT_EQ(one.fingerprint(), three.fingerprint());
    // The fingerprint is of what was learned.
    if (kind != TokenizerKind::bytes) {
      EXPECT_NE(one.fingerprint(), trained(kind, some_text(200) + "ß ß", 470).fingerprint());
    }
  }
}

TEST(Tokenizer, TrainsOnOddTexts) {
  std::string long_line;
  for (int i = 0; long_line.size() < 300'000; ++i) long_line += "word" + std::to_string(i * i % 97) + " ";
  std::string binary;
  Draw draw(Key(3, Purpose::test));
  for (int i = 0; i < 5000; ++i) binary += char(draw.below(256));
  std::string chinese;
  for (int i = 0; i < 30'000; ++i) {
    const uint64_t code = 0x4e00 + draw.below(2000);
    chinese += {char(0xE0 | (code >> 12)), char(0x80 | ((code >> 6) & 63)), char(0x80 | (code & 63))};
  }
  for (const TokenizerKind kind : all_kinds) {
    for (const std::string& text : {std::string("a"), std::string("\n\n"), long_line, binary, chinese}) {
      const Tokenizer tokenizer = trained(kind, text, 500);
      EXPECT_LE(tokenizer.vocabulary(), 500);
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    }
    if (kind == TokenizerKind::words || kind == TokenizerKind::unigram || kind == TokenizerKind::bpe) {
      EXPECT_TRUE(trained(kind, long_line, 500).find(kind == TokenizerKind::words ? " word47" : " word"))
          << "nothing learned from one long line";
    }
    if (kind != TokenizerKind::bytes) {
      EXPECT_THROW(trained(kind, ""), Error);
      EXPECT_THROW(trained(kind, "text", 370), Error);
    }
  }
}

TEST(Tokenizer, SavedIsLoadedAndDamageIsFound) {
  const Scratch scratch;
  const std::string path = (scratch / "tokenizer.bin").string();
  const std::string text = "the king\x01 said naïve ▁\n";
  for (const Tokenizer& tokenizer : tokenizers()) {
    tokenizer.save(path);
    const Tokenizer loaded = Tokenizer::load(path);
    EXPECT_EQ(loaded, tokenizer);
    EXPECT_EQ(loaded.vocabulary(), tokenizer.vocabulary());
    EXPECT_EQ(loaded.encode(text), tokenizer.encode(text));

    const std::string whole = tokenizer.serialize();
    const auto expect_corrupt = [&](const std::string& bytes) {
      try {
        Tokenizer::deserialize(bytes, "x");
        ADD_FAILURE() << "damage was not noticed";
      } catch (const Error& e) {
        EXPECT_EQ(e.code, ExitCode::corrupt) << e.what();
      }
    };
    for (size_t n = 0; n < whole.size(); n += 1 + n / 7) expect_corrupt(whole.substr(0, n));
    expect_corrupt(whole + "x");
    for (size_t bit = 0; bit < whole.size() * 8; bit += bit < 2400 ? 1 : 997) {
      std::string flipped = whole;
      flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << (bit % 8)));
      expect_corrupt(flipped);
    }
  }
  std::remove(path.c_str());
  EXPECT_THROW(Tokenizer::load(path), Error);
}

TEST(Tokenizer, BlocksEncodeAsTheWhole) {
  std::string text = "\r\n\n  \n" + some_text(100);
  for (int i = 0; i < 1000; ++i) text += "a long line ";
  text += "\n\n \n\nend\n" + std::string(9000, '\n') + "x";
  for (const size_t block_bytes : {1, 100, 5000}) {
    const std::vector<size_t> ends = Tokenizer::blocks(text, block_bytes);
    ASSERT_EQ(ends.back(), text.size());
    EXPECT_GT(ends.size(), 2u);
    for (const Tokenizer& tokenizer : tokenizers()) {
      Ids ids;
      size_t begin = 0;
      for (const size_t end : ends) {
        const Ids block = tokenizer.encode(std::string_view(text).substr(begin, end - begin));
        ids.insert(ids.end(), block.begin(), block.end());
        begin = end;
      }
      EXPECT_EQ(ids, tokenizer.encode(text)) << tokenizer.description() << " " << block_bytes;
    }
  }
  EXPECT_TRUE(Tokenizer::blocks("", 10).empty());
}

TEST(Decoder, GivesWholeCharacters) {
  const Tokenizer bytes;
  const auto stream = [&](std::string_view text) {
    Decoder decoder(bytes);
    std::vector<std::string> out;
    for (const int32_t id : bytes.encode(text)) out.push_back(decoder.push(id));
    out.push_back(decoder.finish());
    return out;
  };
  using Out = std::vector<std::string>;
  EXPECT_EQ(stream("a日é"), (Out{"a", "", "", "日", "", "é", ""}));
  EXPECT_EQ(stream("\U0001F600"), (Out{"", "", "", "\U0001F600", ""}));
  EXPECT_EQ(stream("\x80z"), (Out{"\uFFFD", "z", ""}));
  EXPECT_EQ(stream("\xE6\x97z"), (Out{"", "", "\uFFFD\uFFFDz", ""}));
  EXPECT_EQ(stream("\xE6\x97"), (Out{"", "", "\uFFFD"}));
  Decoder decoder(bytes);
  EXPECT_EQ(decoder.push(bytes.specials().eos), "");
}

TEST(Tokenizer, OptionsHaveNames) {
  EXPECT_EQ(enum_value<TokenizerKind>("sentencepiece"), TokenizerKind::unigram);
  EXPECT_STREQ(enum_name(TokenizerKind::unigram), "unigram");
  EXPECT_FALSE(enum_value<TokenizerKind>("wordpiece"));
}

TEST(Tokenizer, TinyShakespeare) {
  std::string text = shared_file("text/tinyshakespeare/input.txt");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  text.resize(std::min<size_t>(text.size(), 50'000));  // sanitizers take half a minute for the whole
#endif
  if (text.empty()) GTEST_SKIP() << "no shared data: set TRIARCH_SHARED";
  for (const TokenizerKind kind : all_kinds) {
    const std::clock_t before = std::clock();
    const auto start = std::chrono::steady_clock::now();
    const Tokenizer tokenizer = trained(kind, text, kind == TokenizerKind::bytes ? 0 : 4096);
    const auto middle = std::chrono::steady_clock::now();
    const std::clock_t trained_at = std::clock();
    const Ids ids = tokenizer.encode(text);
    const auto end = std::chrono::steady_clock::now();
    EXPECT_EQ(tokenizer.decode(ids), text);
    EXPECT_LE(tokenizer.vocabulary(), 4096);
    const double bytes_per_token = double(text.size()) / double(ids.size());
    const auto seconds = [](auto a, auto b) { return std::chrono::duration<double>(b - a).count(); };
    std::printf("%-24s %.2f bytes per token, trained in %.2f s, encoded in %.3f s, fingerprint %016lx\n",
                tokenizer.description().c_str(), bytes_per_token, seconds(start, middle), seconds(middle, end),
                tokenizer.fingerprint());
    EXPECT_LT(double(trained_at - before) / CLOCKS_PER_SEC, 30);  // of this process alone; 1 s
    if (kind == TokenizerKind::unigram || kind == TokenizerKind::bpe) {
      EXPECT_GT(bytes_per_token, 2.5);
    }
  }
}

}  // namespace
}  // namespace triarch
