#include "triarch/data/corpus.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/data/labels.h"
#include "triarch/data/text_file.h"
#include "triarch/data/tokenized_corpus.h"

namespace triarch {
namespace {
namespace fs = std::filesystem;
using namespace std::string_literals;

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);  // as the program zstd does
  out.resize(ZSTD_compress2(context, out.data(), out.size(), bytes.data(), bytes.size()));
  ZSTD_freeCCtx(context);
  return out;
}

class CorpusTest : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& bytes) { return scratch_.write(name, bytes); }
  std::vector<std::string> texts(const std::string& path, const ReadOptions& options = {}) {
    std::vector<std::string> found;
    for (const Document& d : read_corpus({path}, options).documents) found.push_back(d.text);
    return found;
  }
  // The message of the error that reading gives.
  std::string error(const std::string& path, const ReadOptions& options = {}) {
    try {
      read_corpus({path}, options);
      return "no error";
    } catch (const Error& e) {
      return e.what();
    }
  }
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

using Texts = std::vector<std::string>;

TEST_F(CorpusTest, TextFilesAndTheirDocuments) {
  EXPECT_EQ(texts(file("a.txt", "\xEF\xBB\xBFone\r\n\r\ntwo\r\n")), (Texts{"one\r\n\r\ntwo\r\n"}));
  const std::string stories = file("b.txt", "one\n<|endoftext|>\r\ntwo\n\nmore\n<|endoftext|>\n<|endoftext|>three");
  EXPECT_EQ(texts(stories), (Texts{"one", "two\n\nmore", "three"}));
  EXPECT_EQ(texts(stories, {.breaks = DocumentBreak::file}).size(), 1u);
  const std::string paragraphs = file("c.txt", "\n\none\ntwo\n \t\n  three\r\n\r\n\r\nfour");
  EXPECT_EQ(texts(paragraphs, {.breaks = DocumentBreak::blank_line}), (Texts{"one\ntwo", "  three", "four"}));
  EXPECT_EQ(texts(paragraphs, {.breaks = DocumentBreak::line}), (Texts{"one", "two", "  three", "four"}));
  EXPECT_EQ(read_corpus({stories}).documents[1].source, stories + ":2");
}

TEST_F(CorpusTest, JsonLinesAndTsv) {
  EXPECT_EQ(texts(file("a.jsonl", "{\"text\": \"a\\nb\", \"id\": 1}\r\n\n{\"text\": \"é\"}")), (Texts{"a\nb", "é"}));
  const std::string pairs = file("b.jsonl",
                                 "{\"inputs\": \"i\", \"targets\": \"t\"}\n{\"prompt\": \"p\", \"completion\": \"c\"}\n"
                                 "{\"prompt\": \"p\", \"response\": \"r\"}\n");
  const Corpus corpus = read_corpus({pairs});
  ASSERT_EQ(corpus.documents.size(), 3u);
  EXPECT_TRUE(corpus.documents[1].pair);
  EXPECT_EQ(corpus.documents[1].text + corpus.documents[1].target, "pc");
  EXPECT_EQ(corpus.documents[2].target, "r");
  const Corpus named =
      read_corpus({file("c.jsonl", "{\"s\": \"x\", \"label\": 3}")}, {.input_field = "s", .target_field = "label"});
  EXPECT_EQ(named.documents[0].target, "3");
  const Corpus tsv = read_corpus({file("d.tsv", "in\tout\r\n\nin 2\t\n")});
  ASSERT_EQ(tsv.documents.size(), 2u);
  EXPECT_EQ(tsv.documents[0].target, "out");
  EXPECT_TRUE(tsv.documents[1].pair);
  EXPECT_EQ(tsv.documents[1].source, folder_.string() + "/d.tsv:3");
}

TEST_F(CorpusTest, CompressedFilesAreTheSameText) {
  std::string text;
  Draw draw(Key(1, Purpose::test));
  for (int i = 0; i < 100'000; ++i) text += "word " + std::to_string(draw.below(100'000)) + "\n";
  const uint64_t hash = read_corpus({file("a.txt", text)}).hash();
  EXPECT_EQ(read_corpus({file("a.txt.gz", gzip(text))}).hash(), hash);
  EXPECT_EQ(read_corpus({file("b.txt.gz", gzip(text.substr(0, 700'000)) + gzip(text.substr(700'000)))}).hash(), hash);
  EXPECT_EQ(read_corpus({file("a.txt.zst", zstd(text))}).hash(), hash);
  EXPECT_EQ(read_corpus({file("b.txt.zst", zstd(text.substr(0, 700'000)) + zstd(text.substr(700'000)))}).hash(), hash);
  EXPECT_NE(read_corpus({file("b.txt", text + " ")}).hash(), hash);
  for (std::string bytes : {gzip(text), zstd(text)}) {
    const std::string half = file("cut.gz", bytes.substr(0, bytes.size() / 2));
    EXPECT_NE(error(half).find("damaged or cut off"), std::string::npos) << error(half);
    EXPECT_NE(error(file("cut.gz", bytes.substr(0, bytes.size() - 1))).find("damaged"), std::string::npos);
    bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 4);
    EXPECT_NE(error(file("flip.gz", bytes)), "no error");
  }
}

TEST_F(CorpusTest, FoldersAndGlobs) {
  file("in/b.txt", "b");
  file("in/a/z.jsonl.gz", gzip("{\"text\": \"z\"}"));
  file("in/c.tsv", "i\to");
  file("in/README.txt", "read me");
  file("in/.hidden.txt", "x");
  file("in/picture.png", "x");
  file("in/SOURCE.txt", "from where");
  const Corpus corpus = read_corpus({(folder_ / "in").string()});
  ASSERT_EQ(corpus.documents.size(), 3u);
  EXPECT_EQ(corpus.documents[0].text, "z");
  EXPECT_EQ(corpus.documents[1].text, "b");
  EXPECT_EQ(corpus.skipped.size(), 4u);
  EXPECT_EQ(texts((folder_ / "in/*.txt").string()).size(), 3u);  // what is named is read
  EXPECT_EQ(corpus.hash(), read_corpus({folder_.string() + "/in/"}).hash());
  file("none/x.png", "x");
  EXPECT_NE(error((folder_ / "none").string()).find("found 1 files of other kinds"), std::string::npos);
  EXPECT_NE(error((folder_ / "*.nothing").string()).find("matches no file"), std::string::npos);
  EXPECT_NE(error("/nowhere/x.txt").find("'/nowhere/x.txt' does not exist"), std::string::npos);
  EXPECT_THROW(read_corpus({}), Error);
}

TEST_F(CorpusTest, EndingsInCapitalLettersAndHiddenFolders) {
  file("data/A.TXT", "a");
  file("data/B.JSONL.GZ", gzip("{\"text\": \"b\"}"));
  file("data/C.json", "{\"text\": \"c\"}");
  file("data/settings.json", "{\n  \"version\": 1\n}");  // no document a line
  file("data/D.TSV", "d\tlabel");
  file("data/.ipynb_checkpoints/A-checkpoint.txt", "a");
  file("data/sub/.git/x.txt", "x");
  const Corpus corpus = read_corpus({(folder_ / "data").string()});
  ASSERT_EQ(corpus.documents.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(corpus.documents[i].text, std::string(1, char('a' + i)));
  EXPECT_TRUE(corpus.documents[3].pair);
  EXPECT_EQ(corpus.skipped.size(), 1u);
  // Who names a hidden folder wants it.
  EXPECT_EQ(texts((folder_ / "data/.ipynb_checkpoints").string()), (Texts{"a"}));
  EXPECT_NE(error(file("LABELS.CSV", "good,1")).find("CSV is not read"), std::string::npos);
}

// What has been read already is as the same bytes in a file.
TEST_F(CorpusTest, BytesAreReadAsFiles) {
  const std::string text = "\xEF\xBB\xBFone\r\n \t\n\r\ntwo\n";
  const ReadOptions lines{.breaks = DocumentBreak::line};
  const std::vector<Document> found = read_documents(gzip(text), "standard input", lines);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].text, "one");
  EXPECT_EQ(found[1].text, "two");
  EXPECT_EQ(found[1].source, "standard input:4");
  EXPECT_EQ(texts(file("a.txt.gz", gzip(text)), lines), (Texts{"one", "two"}));
}

TEST(Labels, AreTheWordsOfTheTarget) {
  const Document pair{"two words", " very\t good ", true, "a.tsv:3"};
  EXPECT_EQ(labels_of(pair, false), (Texts{"very good"}));
  EXPECT_EQ(labels_of(pair, true), (Texts{"very", "good"}));
  const auto refusal = [](const Document& d) {
    try {
      labels_of(d, true);
      return std::string();
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  EXPECT_NE(refusal({"two words", "N", true, "a.tsv:3"}).find("a.tsv:3: expected one tag per word (2 words), found 1"),
            std::string::npos);
  EXPECT_NE(refusal({"two words", "", false, "a.txt:1"}).find("found a text alone"), std::string::npos);
}

TEST(Decompress, SaysWhatIsRead) {
  try {
    text_of_file(gzip("some text").substr(0, 12), "tasks.jsonl.gz", "read tasks");
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find("read tasks: 'tasks.jsonl.gz' is damaged"), 0u) << e.what();
    EXPECT_EQ(e.code, ExitCode::corrupt);
  }
}

TEST_F(CorpusTest, BadInputIsNamed) {
  const auto expect = [&](const std::string& path, const std::string& part) {
    const std::string message = error(path);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
  };
  expect(file("a.txt", ""), "found an empty file");
  expect(file("b.txt", "\xEF\xBB\xBF \r\n\n"), "found only blank lines");
  expect(file("c.txt", "text\0text"s), "a NUL byte at 4");
  expect(file("d.txt", "\xff\xfet\0"s), "UTF-16");
  expect(file("e.txt", "\x89PNG\r\n\x1a\n\xff\xfe\xfd"), "no UTF-8");
  EXPECT_EQ(texts(file("f.txt", "in Latin-1: caf\xe9, and a long enough text")).size(), 1u);
  expect(file("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \n"), "a.jsonl:2: invalid JSON");
  expect(file("b.jsonl", "{\"a\": 1, \"b\": 2}\n"), "b.jsonl:1: expected the field 'text', found a, b");
  expect(file("c.jsonl", "[1]\n"), "c.jsonl:1: expected an object");
  expect(file("d.jsonl", "{\"text\": [\"a\"]}\n"), "expected a string in the field 'text', found array");
  expect(file("a.tsv", "a\tb\na b\n"), "a.tsv:2: expected two columns, input<TAB>target, found 1");
  expect(file("b.tsv", "a\tb\tc\n"), "b.tsv:1: expected two columns, input<TAB>target, found 3");
}

Corpus many(int documents, const std::string& prefix = "") {
  Corpus corpus;
  for (int i = 0; i < documents; ++i) {
    const std::string text = prefix + std::to_string(i) + std::string(size_t(20 + i * 7 % 50), 'x');
    corpus.documents.push_back({text, "", false, ""});
  }
  return corpus;
}

std::set<std::string> texts_of(const std::vector<Document>& documents) {
  std::set<std::string> found;
  for (const Document& d : documents) found.insert(d.text);
  return found;
}

TEST(Split, WholeDocumentsByHash) {
  const Corpus corpus = many(1000);
  const Split split = split_corpus(corpus);
  EXPECT_EQ(split.train.size() + split.validation.size(), 1000u);
  const double share = double(split.summary.validation_bytes) / double(corpus.bytes());
  EXPECT_NEAR(share, 0.1, 0.002);
  EXPECT_EQ(texts_of(split_corpus(corpus).validation), texts_of(split.validation));
  EXPECT_NE(texts_of(split_corpus(corpus, {.seed = 1}).validation), texts_of(split.validation));
  // The order does not matter, and copies stay together.
  Corpus twice = corpus;
  std::reverse(twice.documents.begin(), twice.documents.end());
  EXPECT_EQ(texts_of(split_corpus(twice).validation), texts_of(split.validation));
  twice.documents.insert(twice.documents.end(), corpus.documents.begin(), corpus.documents.end());
  const Split doubled = split_corpus(twice);
  const std::set<std::string> train = texts_of(doubled.train);
  for (const std::string& text : texts_of(doubled.validation)) EXPECT_FALSE(train.contains(text));
}

TEST(Split, LargeDocumentsDoNotSwallowTheRest) {
  Corpus corpus = many(20);
  corpus.documents[3].text = std::string(100'000, 'y');
  const Split split = split_corpus(corpus);
  EXPECT_LT(split.summary.validation_bytes, 20'000);
  Corpus equal;
  for (int i = 0; i < 12; ++i) equal.documents.push_back({std::string(1000, char('a' + i)), "", false, ""});
  EXPECT_EQ(split_corpus(equal, {.validation = 0.01}).validation.size(), 1u);
}

TEST(Split, TailOfFewDocuments) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + "\n";
  Corpus corpus;
  corpus.documents = {{text, "", false, "t"}, {std::string(1000, 'z') + "é", "", false, "z"}};
  const Split split = split_corpus(corpus);
  ASSERT_EQ(split.train.size(), 2u);
  ASSERT_EQ(split.validation.size(), 2u);
  EXPECT_EQ(split.train[0].text + split.validation[0].text, text);
  EXPECT_EQ(split.train[0].text.back(), '\n');
  EXPECT_NEAR(double(split.validation[0].text.size()), 0.1 * double(text.size()), 20);
  EXPECT_EQ(split.train[1].text.size(), 902u);
  EXPECT_EQ(split.summary.train_bytes + split.summary.validation_bytes, corpus.bytes());
  // Never inside of a character.
  Corpus characters;
  std::string accents;
  for (int i = 0; i < 5; ++i) accents += "é";
  characters.documents = {{accents, "", false, ""}};
  EXPECT_EQ(split_corpus(characters, {.validation = 0.3}).validation[0].text, "é");
  Corpus tiny;
  tiny.documents = {{"a", "", false, ""}};
  EXPECT_THROW(split_corpus(tiny), Error);
  tiny.documents = {{"a", "b", true, ""}};
  EXPECT_THROW(split_corpus(tiny), Error);
  EXPECT_THROW(split_corpus(many(20), {.validation = 1}), Error);
}

TEST(TokenizedCorpus, IsTheDocumentsOnAnyNumberOfThreads) {
  std::vector<Document> documents = many(30, "line\n").documents;
  std::string text;
  for (int i = 0; i < 25'000; ++i) text += "words on line " + std::to_string(i) + "\n";
  documents.push_back({text, "", false, ""});
  documents.push_back({"input", "and its target", true, ""});
  documents.push_back({"", "only a target", true, ""});
  const Tokenizer tokenizer = Tokenizer::train({.vocabulary = 500}, {text});
  const int threads = thread_count();
  for (const int n : {1, 3}) {
    set_thread_count(n);
    const TokenizedCorpus corpus = tokenize(documents, tokenizer);
    ASSERT_EQ(corpus.documents(), int64_t(documents.size()));
    for (size_t d = 0; d < documents.size(); ++d) {
      const auto part = [&](const std::vector<int32_t>& ids, const std::vector<int64_t>& begins) {
        return std::vector<int32_t>(ids.begin() + begins[d], ids.begin() + begins[d + 1]);
      };
      ASSERT_EQ(part(corpus.ids, corpus.begins), tokenizer.encode(documents[d].text));
      ASSERT_EQ(part(corpus.target_ids, corpus.target_begins), tokenizer.encode(documents[d].target));
      ASSERT_EQ(corpus.bytes[d], documents[d].bytes());
    }
    EXPECT_EQ(corpus.begins.back() + corpus.target_begins.back(), corpus.tokens());
    EXPECT_EQ(corpus.view().size(), corpus.documents());
  }
  set_thread_count(threads);
  documents.resize(30);  // no pairs among these
  EXPECT_TRUE(tokenize(documents, tokenizer).target_begins.empty());
}

TEST(Corpus, SharedData) {
  const char* shared = std::getenv("TRIARCH_SHARED");
  const fs::path data = fs::path(shared ? shared : TRIARCH_SOURCE_DIR "/../shared") / "data";
  if (!fs::exists(data)) GTEST_SKIP() << "no shared data: set TRIARCH_SHARED";
  const Corpus novels = read_corpus({(data / "text/english_novels").string()});
  EXPECT_EQ(novels.documents.size(), 41u);
  EXPECT_FALSE(novels.documents[0].text.starts_with("\xEF\xBB\xBF"));
  const Split split = split_corpus(novels);
  EXPECT_NEAR(double(split.summary.validation_bytes) / double(novels.bytes()), 0.1, 0.05);
  EXPECT_EQ(read_corpus({(data / "text/tinystories_sample/cased_2MiB.txt").string()}).documents.size(), 2317u);
  EXPECT_EQ(read_corpus({(data / "tasks/instruction_small").string()}).documents[0].pair, true);
}

}  // namespace
}  // namespace triarch
