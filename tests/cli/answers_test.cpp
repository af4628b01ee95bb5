// What the verbs that use a model read, refuse and print, through the built binary.
#include <cmath>

#include "tests/cli/binary.h"

namespace triarch {
namespace {

using Json = nlohmann::json;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Beams, DoAllThatIsAsked) {
  for (const char* family : {"causal", "encoder_decoder"}) {
    SCOPED_TRACE(family);
    const std::string model = Models::path(family);
    const auto lines = triarch({"generate", model, "the cat", "a dog", "my king", "the old man", "a cat", "--beams",
                                "3", "--count", "2", "-n", "20", "--json"})
                           .lines();
    ASSERT_EQ(lines.size(), 10u);
    const std::vector<std::string> prompts = {"the cat", "a dog", "my king", "the old man", "a cat"};
    for (size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i]["prompt"], prompts[i / 2]);
      if (std::string_view(family) == "encoder_decoder") {  // a span has a token
        EXPECT_GE(lines[i]["tokens"], 1);
      }
    }
    const Ended stop = triarch({"generate", model, "the cat", "--beams", "3", "--stop", ".", "-n", "40", "--no-echo"});
    EXPECT_EQ(stop.code, 0) << stop.err;
    EXPECT_FALSE(has(stop.out, ".")) << stop.out;
    const Json on =
        triarch({"generate", model, "the cat", "--beams", "3", "--ignore-eos", "-n", "5", "--json"}).lines().at(0);
    if (std::string_view(family) == "causal") {
      EXPECT_EQ(on["tokens"], 5);
      EXPECT_EQ(on["finish_reason"], "length");
    }
    EXPECT_EQ(triarch({"generate", model, "the cat", "--beams", "3", "--early-stopping", "never", "-n", "5"}).code, 0);
  }
  const std::string model = Models::path("causal");
  const Ended sampled = triarch({"generate", model, "the cat", "--beams", "3", "--temp", "0.5"});
  EXPECT_EQ(sampled.code, 2);
  EXPECT_TRUE(has(sampled.err, "--temp")) << sampled.err;
  EXPECT_TRUE(has(sampled.err, "--beams")) << sampled.err;
  const Ended penalty = triarch({"generate", model, "the cat", "--length-penalty", "2"});
  EXPECT_EQ(penalty.code, 2);
  EXPECT_TRUE(has(penalty.err, "--beams")) << penalty.err;
}

TEST(Generate, LogProbabilitiesOfTokens) {
  const std::string model = Models::path("causal");
  const Json line =
      triarch({"generate", model, "the cat", "--json", "--logprobs", "2", "-n", "4", "--ignore-eos"}).lines().at(0);
  ASSERT_EQ(line["token_scores"].size(), 4u);
  double sum = 0;
  for (const Json& t : line["token_scores"]) {
    sum += t["log_probability"].get<double>();
    ASSERT_EQ(t["top"].size(), 2u);
    EXPECT_GE(std::log(t["top"][0]["probability"].get<double>()), t["log_probability"].get<double>() - 1e-6);
  }
  EXPECT_NEAR(sum, line["log_probability"].get<double>(), 1e-9);
  EXPECT_EQ(triarch({"generate", model, "the cat", "--logprobs", "2"}).code, 2);
}

TEST(Evaluate, QuestionsAndPairsOfSeveralModels) {
  const Scratch scratch;
  std::string questions;
  for (const char* who : {"the cat", "a dog", "my king", "the old man"}) {
    for (const char* does : {"sees", "likes", "finds"}) {
      questions += Json({{"prompt", who}, {"candidates", {"cat", does}}, {"answer", does}}).dump() + "\n";
    }
  }
  const std::string tasks = scratch.write("verbs.jsonl", questions), causal = Models::path("causal");
  const auto lines = triarch({"evaluate", causal, causal, Models::path("encoder"), "--tasks", tasks, "--json"}).lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["about"], "verbs");
  EXPECT_EQ(lines[0]["items"], 12);
  EXPECT_EQ(lines[0]["value"], 100);
  EXPECT_NEAR(lines[0]["low"].get<double>(), 100 * std::pow(0.025, 1 / 12.0), 1e-6);
  // The same answers, but of 12 questions only.
  EXPECT_EQ(lines[1]["minus_first"]["value"], 0.0);
  EXPECT_NEAR(lines[1]["minus_first"]["high"].get<double>(), 100 - lines[0]["low"].get<double>(), 1e-6);
  EXPECT_EQ(lines[2]["model"], Models::path("encoder"));
  const Ended shots = triarch({"evaluate", causal, "--tasks", tasks, "--shots", "2", "--most", "5"});
  EXPECT_EQ(shots.code, 0) << shots.err;
  EXPECT_TRUE(has(shots.out, "verbs, 2 shots  % right      5    50.0")) << shots.out;

  // Answers to pairs are what generate says.
  std::string pairs;
  for (const char* who : {"the cat", "a dog", "my king"}) {
    const auto said = triarch({"generate", causal, who, "--temp", "0", "-n", "8", "--json"}).lines().at(0);
    pairs += Json({{"inputs", who}, {"targets", said["text"]}}).dump() + "\n";
  }
  const std::string file = scratch.write("pairs.jsonl", pairs + R"({"inputs": "a cat", "targets": "no such words"})");
  const auto answers = triarch({"evaluate", causal, "--pairs", file, "--max-tokens", "8", "--json"}).lines();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0]["figure"], "BLEU");
  EXPECT_EQ(answers[2]["figure"], "% exactly right");
  EXPECT_EQ(answers[2]["value"], 75);
  const Ended table = triarch(
      {"evaluate", Models::path("encoder_decoder"), causal, "--pairs", file, "--most", "3", "--max-tokens", "4"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_TRUE(has(table.out, "minus the first")) << table.out;

  // What is wrong is said before anything is asked.
  EXPECT_EQ(triarch({"evaluate", causal}).code, 2);
  EXPECT_EQ(triarch({"evaluate", causal, "--tasks", tasks, "--pairs", (scratch / "none.tsv").string()}).code, 1);
  EXPECT_EQ(triarch({"evaluate", causal, Models::path("encoder"), "--pairs", file}).code, 2);
  EXPECT_EQ(triarch({"evaluate", Models::path("classes"), "--tasks", tasks}).code, 2);
  EXPECT_EQ(triarch({"evaluate", causal, "--pairs", file, "--ranking", "best"}).code, 2);
  EXPECT_EQ(triarch({"evaluate", causal, "--tasks", tasks, "--shots", "-1"}).code, 2);
}

TEST(Evaluate, SeveralFilesContextsAndMinimalPairs) {
  const Scratch scratch;
  const std::string causal = Models::path("causal");
  std::string questions, sentences = "sentence_good\tsentence_bad\n";
  for (const char* who : {"the cat", "a dog", "my king", "the old man"}) {
    const Json q = {{"context", std::string(who) + " sees a dog."},
                    {"prompt", std::string(who) + " sees"},
                    {"candidates", {"a dog", "sees the"}},
                    {"answer", 0}};
    questions += q.dump() + "\n";
    sentences += fmt::format("{0} sees a dog.\t{0} dog a sees.\n", who);
  }
  std::string more;  // than any model reads
  for (int i = 0; i < 2000; ++i) more += "the cat sees a dog. ";
  const Json one = {{"context", more}, {"prompt", "the cat sees"}, {"candidates", {"a dog", "sees"}}, {"answer", 0}};
  std::filesystem::create_directories(scratch / "a");
  std::filesystem::create_directories(scratch / "b");
  const std::string first = scratch.write("a/q.jsonl", questions), second = scratch.write("b/q.jsonl", questions),
                    with_long = scratch.write("long.jsonl", questions + one.dump());
  std::filesystem::create_directories(scratch / "pairs");
  scratch.write("pairs/agreement.tsv", sentences);
  const auto lines = triarch({"evaluate", causal, "--tasks", first, "--tasks", second, "--minimal-pairs",
                              (scratch / "pairs").string(), "--json"})
                         .lines();
  std::vector<std::string> about;
  for (const Json& l : lines) about.push_back(l["about"].get<std::string>() + " " + l["figure"].get<std::string>());
  EXPECT_EQ(about, (std::vector<std::string>{"q % right", "q % right without the context", second + ": q % right",
                                             second + ": q % right without the context", "all questions % right",
                                             "agreement % right"}));
  EXPECT_EQ(lines[4]["items"], 8);
  EXPECT_EQ(lines[4]["chance"], 50);
  EXPECT_EQ(lines[5]["value"], 100);

  // A question that is too long is left out; with examples before them the others stay.
  const Ended shots = triarch({"evaluate", causal, "--tasks", with_long, "--shots", "1", "--json"});
  EXPECT_EQ(shots.code, 0) << shots.err;
  EXPECT_TRUE(has(shots.err, "1 of 5 questions")) << shots.err;
  EXPECT_EQ(shots.lines().at(0)["items"], 4);
  const Ended none = triarch({"evaluate", causal, "--tasks", scratch.write("only.jsonl", one.dump())});
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(none.out, "");
}

TEST(Texts, ThatAreTooLongAreNamed) {
  const Scratch scratch;
  const std::string file = scratch.write("prompts.txt", "the cat\n\n" + std::string(9000, 'x') + "\na dog\n");
  for (const char* verb : {"generate", "embed"}) {
    const Ended e = triarch({verb, Models::path("causal"), "--file", file});
    EXPECT_EQ(e.code, 2);
    EXPECT_TRUE(has(e.err, file + ":3: ")) << e.err;
    EXPECT_EQ(e.out, "");
  }
  const Ended beams = triarch({"generate", Models::path("causal"), "a", std::string(9000, 'x'), "--beams", "2"});
  EXPECT_TRUE(has(beams.err, "text 2: ")) << beams.err;
}

TEST(Texts, OfStandardInputAreThoseOfAFile) {
  const Scratch scratch;
  const std::string text = "the cat\r\n  \r\na dog\r\n";
  const std::string file = scratch.write("prompts.txt", text);
  const std::vector<std::string> command = {"generate", Models::path("causal"), "--json", "-n", "3"};
  std::vector<std::string> of_file = command;
  of_file.insert(of_file.end(), {"--file", file});
  const Ended e = triarch(command, {.input = text});
  ASSERT_EQ(e.lines().size(), 2u) << e.out;
  EXPECT_EQ(e.lines()[0]["prompt"], "the cat");
  EXPECT_EQ(e.out, triarch(of_file).out);
}

TEST(Labels, AreReadAsInTraining) {
  const Scratch scratch;
  std::string spaced = labelled_text(40, false);
  for (size_t i = spaced.find("positive"); i != std::string::npos; i = spaced.find("positive", i + 1)) {
    spaced.replace(i, 8, " positive ");
    ++i;
  }
  const Ended good = triarch({"classify", Models::path("classes"), "--file", scratch.write("spaced.tsv", spaced)});
  EXPECT_TRUE(has(good.err, "accuracy  1.0000 (40 of 40")) << good.err;
  EXPECT_FALSE(has(good.err, "unknown")) << good.err;
  const Ended other = triarch({"classify", Models::path("classes"), "--file",
                               scratch.write("other.tsv", labelled_text(3, false) + "a good warm film\tmiddling\n")});
  EXPECT_TRUE(has(other.err, "unknown   1 texts")) << other.err;
  EXPECT_TRUE(has(other.err, "'middling'")) << other.err;
  EXPECT_TRUE(has(other.err, "(3 of 4 labels)")) << other.err;
  const std::string short_of_tags = scratch.write("tags.tsv", "a good warm film\tD G G\n");
  const Ended tags = triarch({"tag", Models::path("tags"), "--file", short_of_tags});
  EXPECT_EQ(tags.code, 1);
  EXPECT_TRUE(has(tags.err, short_of_tags + ":1: expected one tag per word (4 words), found 3")) << tags.err;
}

// A checkpoint from before a phase has learnt what came before it.
TEST(Checkpoints, KnowTheirPhase) {
  const Scratch scratch;
  const std::string run = (scratch / "run").string();
  const std::string phases = scratch.write("run.yaml", "phases: [{begin: 0.75, objectives: [span_corruption]}]\n");
  const Ended e = triarch({"train",
                           scratch.write("text.txt", small_text(400)),
                           "-c",
                           phases,
                           "--family",
                           "causal",
                           "--width",
                           "32",
                           "--depth",
                           "1",
                           "--context",
                           "32",
                           "--batch-rows",
                           "256",
                           "--steps",
                           "8",
                           "--save-steps",
                           "4",
                           "--save-total-limit",
                           "9",
                           "--output-dir",
                           run});
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_TRUE(has(e.err, "(there stood '")) << e.err;  // the last sample is a repaired span
  const auto learnt = [](const std::string& folder) {
    return triarch({"inspect", folder, "--json"}).lines().at(0)["objectives"].get<std::string>();
  };
  EXPECT_EQ(learnt(run + "/checkpoint-4"), "next_token");
  EXPECT_EQ(learnt(run), "span_corruption");
}

TEST(Tokenize, TrainsOnAField) {
  const Scratch scratch;
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += "{\"sentence\": \"the cat likes the dog number " + std::to_string(i) + "\"}\n";
  const std::string file = scratch.write("lines.jsonl", lines), made = (scratch / "tokenizer.bin").string();
  const Ended no = triarch({"tokenize", "--train", file, "-o", made});
  EXPECT_EQ(no.code, 1);
  EXPECT_TRUE(has(no.err, "found sentence")) << no.err;
  EXPECT_TRUE(has(no.err, "--input-field")) << no.err;
  const Ended yes = triarch(
      {"tokenize", "--train", file, "--input-field", "sentence", "--kind", "bpe", "--vocabulary", "400", "-o", made});
  EXPECT_EQ(yes.code, 0) << yes.err;
}

}  // namespace
}  // namespace triarch
