// Every verb on tiny models of every family, through the built binary.
#include <cmath>

#include "tests/cli/binary.h"
#include "triarch/base/files.h"
#include "triarch/study/compare_report.h"
#include "triarch/study/reasons.h"

namespace triarch {
namespace {

using Json = nlohmann::json;

class Generators : public ::testing::TestWithParam<std::string> {};

TEST_P(Generators, Generate) {
  const std::string model = Models::path(GetParam());
  const Ended once = triarch({"generate", model, "the cat", "-n", "12", "--seed", "5"});
  EXPECT_EQ(once.code, 0) << once.err;
  EXPECT_EQ(once.out.rfind("the cat", 0), 0u);  // the prompt, and what follows
  EXPECT_GT(once.out.size(), std::string("the cat\n").size());
  EXPECT_EQ(triarch({"generate", "-m", model, "-p", "the cat", "-n", "12", "-s", "5"}).out, once.out);
  const Ended alone = triarch({"generate", model, "the cat", "-n", "12", "--seed", "5", "--no-echo"});
  EXPECT_EQ("the cat" + alone.out, once.out);

  // Several prompts, several answers, in their order.
  const auto many = triarch({"generate", model, "the cat", "a dog", "--count", "2", "-n", "4", "--json"}).lines();
  ASSERT_EQ(many.size(), 4u);
  EXPECT_EQ(many[1]["prompt"], "the cat");
  EXPECT_EQ(many[2]["prompt"], "a dog");
  EXPECT_LT(many[0]["log_probability"], 0);
  EXPECT_EQ(triarch({"generate", model, "--json", "-n", "4"}, {"the cat\na dog\n", "", false}).lines().size(), 2u);

  // Temperature 0 is one beam; more beams find nothing less likely.
  const auto greedy = triarch({"generate", model, "my king", "-n", "6", "--temp", "0", "--json"}).lines().at(0);
  const auto beams =
      triarch({"generate", model, "my king", "-n", "6", "--beams", "4", "--length-penalty", "0", "--json"});
  ASSERT_EQ(beams.code, 0) << beams.err;
  if (GetParam() != "encoder_decoder") {  // whose sampled answer may also end at a sentinel
    EXPECT_GE(beams.lines().at(0)["log_probability"].get<double>(), greedy["log_probability"].get<double>() - 1e-4);
  }

  // A stop string ends it and is not part of it.
  const Ended stop = triarch({"generate", model, "the cat", "--stop", ".", "-n", "40", "--no-echo"});
  EXPECT_EQ(stop.out.find('.'), std::string::npos);
}

TEST_P(Generators, ScoreEmbedInspect) {
  const std::string model = Models::path(GetParam());
  const Ended e = triarch({"score", model, " likes my king.", "--context", "the cat", "--json", "--top", "2"});
  ASSERT_EQ(e.code, 0) << e.err;
  const Json s = e.lines().at(0);
  double sum = 0;
  for (const Json& t : s["token_scores"]) {
    sum += t["log_probability"].get<double>();
    EXPECT_EQ(t["top"].size(), 2u);
  }
  EXPECT_NEAR(sum, s["log_probability"].get<double>(), 1e-9);
  EXPECT_EQ(s["bytes"], 15);
  EXPECT_NEAR(s["bits_per_byte"].get<double>(), -sum / std::log(2.0) / 15, 1e-9);
  EXPECT_NE(triarch({"score", model, "the cat sees", "--tokens"}).out.find("sees"), std::string::npos);
  const double exact = triarch({"score", model, "the cat sees", "--json"}).lines().at(0)["log_probability"];
  for (const char* precision : {"int8", "bfloat16"}) {
    const Ended rough = triarch({"score", model, "the cat sees", "--json", "--precision", precision});
    ASSERT_EQ(rough.code, 0) << rough.err;
    EXPECT_NE(rough.lines().at(0)["log_probability"], exact);
    EXPECT_NEAR(rough.lines().at(0)["log_probability"], exact, 0.02 * std::fabs(exact));
  }

  const auto vectors = triarch({"embed", model, "the cat", "a dog"}).lines();
  ASSERT_EQ(vectors.size(), 2u);
  double length = 0;
  for (double x : vectors[1]["embedding"]) length += x * x;
  EXPECT_EQ(vectors[1]["embedding"].size(), 32u);
  EXPECT_NEAR(length, 1, 1e-5);

  const Json inspected = triarch({"inspect", model, "--json"}).lines().at(0);
  EXPECT_EQ(inspected["spec"]["family"], GetParam());
  EXPECT_EQ(inspected["state"]["run"]["step"], 40);
  int64_t count = 0;
  for (const Json& t : inspected["tensors"]) {
    int64_t n = 1;
    for (int64_t d : t["shape"]) n *= d;
    count += n;
  }
  EXPECT_EQ(inspected["parameters"], count);
}

INSTANTIATE_TEST_SUITE_P(Families, Generators, ::testing::Values("causal", "prefix", "encoder_decoder", "permutation"));

TEST(Encoder, FillsAndScoresAndRefusesToGenerate) {
  const std::string model = Models::path("encoder");
  const Ended e = triarch({"fill", model, "the cat <mask> a dog.", "--top-k", "3", "--json"});
  ASSERT_EQ(e.code, 0) << e.err;
  const Json r = e.lines().at(0);
  ASSERT_EQ(r["masks"].size(), 1u);
  ASSERT_EQ(r["masks"][0].size(), 3u);
  EXPECT_GE(r["masks"][0][0]["score"], r["masks"][0][1]["score"]);
  EXPECT_EQ(r["filled"], r["masks"][0][0]["sequence"]);
  EXPECT_EQ(triarch({"score", model, "the cat sees a dog."}).code, 0);

  const Ended none = triarch({"fill", model, "the cat"});
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("<mask>"), std::string::npos);
  const Ended no = triarch({"generate", model, "the cat"});
  EXPECT_EQ(no.code, 2);
  EXPECT_NE(no.err.find("fill"), std::string::npos);
  EXPECT_NE(no.err.find("embed"), std::string::npos);
}

TEST(Spans, AreFilledByModelsThatLearntThem) {
  const Ended e = triarch({"fill", Models::path("encoder_decoder"), "the cat <extra_id_0> a <extra_id_1>.", "--json"});
  ASSERT_EQ(e.code, 0) << e.err;
  const Json r = e.lines().at(0);
  EXPECT_EQ(r["spans"].size(), 2u);
  EXPECT_EQ(r["filled"].get<std::string>().rfind("the cat", 0), 0u);
  const Ended no = triarch({"fill", Models::path("causal"), "the <mask>"});
  EXPECT_EQ(no.code, 2);
  EXPECT_NE(no.err.find("generate"), std::string::npos);
}

// What pairs are learnt as; what texts of a glob are called; what is worth a remark.
TEST(Train, ChoosesAndRemarks) {
  const Scratch scratch;
  const std::string pairs = scratch.write("pairs.tsv", labelled_text(200, false));
  for (const auto& [family, objective] : {std::pair("causal", "seq2seq"), std::pair("encoder", "masked_target")}) {
    const Ended e = triarch({"train", pairs, "--family", family, "--size", "tiny", "--dry-run"});
    EXPECT_EQ(e.code, 0) << e.err;
    EXPECT_NE(e.err.find(fmt::format("learns    {}", objective)), std::string::npos) << e.err;
  }
  std::filesystem::create_directories(scratch / "books");
  scratch.write("books/one.txt", small_text(400));
  const Ended glob = triarch({"train", (scratch / "books/*.txt").string(), "--size", "tiny", "--dry-run"});
  EXPECT_NE(glob.err.find("data      books:"), std::string::npos) << glob.err;
  // An earlier run's settings make a new run; a finished one says that it is.
  const std::string model = Models::path("causal");
  const Ended again = triarch({"train", "-c", model + "/config.yaml", "--dry-run"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("a folder of its own"), std::string::npos) << again.err;
  EXPECT_EQ(triarch({"train", "--resume", model, "other.txt"}).code, 2);
  const Ended brief = triarch({"train", (scratch / "books/one.txt").string(), "--size", "tiny", "--steps", "1",
                               "--json", "--family", "encoder", "--output-dir", (scratch / "run").string()});
  EXPECT_NE(brief.err.find("no better than counting"), std::string::npos) << brief.err;
  EXPECT_TRUE(brief.lines().at(0)["bits_per_byte"].is_null());
  EXPECT_NE(triarch({"embed", Models::path("causal"), "a cat", "--pooling", "cls"}).err.find("remark"),
            std::string::npos);
}

TEST(Numbers, InEveryFlagTheSame) {
  const std::string model = Models::path("causal");
  const Ended good = triarch({"generate", model, "a cat", "-n", "0.004k", "--top-k", "1k", "--seed",
                              "18446744073709551615", "--temp", "5e-1", "-t", "1"});
  EXPECT_EQ(good.code, 0) << good.err;
  for (const auto& [flag, value] : {std::pair{"--top-k", "1.5"}, {"--temp", "hot"}, {"-t", "two"}, {"--seed", "-1"}}) {
    const Ended bad = triarch({"generate", model, "a cat", flag, value});
    EXPECT_EQ(bad.code, 2) << flag;
    EXPECT_NE(bad.err.find(value), std::string::npos) << bad.err;
  }
}

TEST(Labels, ClassifyAndTag) {
  const Scratch scratch;
  const std::string classes = Models::path("classes");
  const auto c = triarch({"classify", classes, "a good warm film", "a bad cold film", "--json"}).lines();
  ASSERT_EQ(c.size(), 2u);
  EXPECT_EQ(c[0]["label"], "positive");
  EXPECT_EQ(c[1]["label"], "negative");
  EXPECT_NEAR(c[0]["scores"]["positive"].get<double>() + c[0]["scores"]["negative"].get<double>(), 1, 1e-6);
  const std::string held_out = scratch.write("held_out.tsv", labelled_text(40, false));
  const Ended file = triarch({"classify", classes, "--file", held_out});
  EXPECT_NE(file.err.find("accuracy  1.0000 (40 of 40"), std::string::npos) << file.err;

  const Ended t = triarch({"tag", Models::path("tags"), "a good warm film number 7"});
  EXPECT_EQ(t.code, 0) << t.err;
  for (const char* line : {"a\tD\t", "good\tG\t", "warm\tG\t", "film\tN\t"}) {
    EXPECT_NE(t.out.find(line), std::string::npos) << t.out;
  }
  const Ended no = triarch({"classify", Models::path("encoder"), "a"});
  EXPECT_EQ(no.code, 2);
  EXPECT_NE(no.err.find("finetune"), std::string::npos);
}

TEST(Finetune, GoesOnFromAModelWithAnotherObjective) {
  const Scratch scratch;
  const std::string text = scratch.write("reviews.tsv", labelled_text(300, false));
  const std::string run = (scratch / "run").string();
  const Ended e = triarch({"finetune", Models::path("encoder"), text, "--objective", "classification", "--steps", "20",
                           "--output-dir", run, "--json", "--batch-rows", "256", "--context", "32"});
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.err.find("sample"), std::string::npos);
  const Json inspected = triarch({"inspect", run, "--json"}).lines().at(0);
  EXPECT_EQ(inspected["spec"]["classes"], 2);
  EXPECT_EQ(inspected["spec"]["width"], 32);  // the model's own
  const std::string config = triarch({"finetune", Models::path("encoder"), text, "--objective", "classification",
                                      "--dump-config", "--output-dir", (scratch / "b").string()})
                                 .out;
  const std::string fresh = triarch({"train", text, "--family", "encoder", "--objective", "classification",
                                     "--dump-config", "--output-dir", (scratch / "c").string()})
                                .out;
  const auto rate = [](const std::string& yaml) {
    return std::stod(yaml.substr(yaml.find("learning_rate: ") + std::string("learning_rate: ").size()));
  };
  EXPECT_LT(rate(config), rate(fresh));
  EXPECT_EQ(triarch({"finetune"}).code, 2);
}

TEST(Tokenize, ThereAndBack) {
  const Scratch scratch;
  const std::string model = Models::path("causal");
  const std::string text = "the cat\tsees <mask> \xff ü\n";
  const Json there = triarch({"tokenize", model, "--json"}, {text, "", false}).lines().at(0);
  EXPECT_EQ(there["ids"].size(), there["pieces"].size());
  std::string ids;
  for (int id : there["ids"]) ids += std::to_string(id) + " ";
  EXPECT_EQ(triarch({"tokenize", model, "--decode", ids}).out, text + "\n");
  const std::string file = scratch.write("text.txt", small_text(200));
  const std::string made = (scratch / "tokenizer.bin").string();
  EXPECT_EQ(triarch({"tokenize", "--train", file, "--kind", "bpe", "--vocabulary", "400", "-o", made}).code, 0);
  EXPECT_EQ(triarch({"tokenize", made, "the king", "--ids"}).code, 0);
  EXPECT_EQ(triarch({"tokenize", "bytes", "hi", "--ids"}).out, "214 215\n");
  EXPECT_EQ(triarch({"tokenize", "nothing-there", "hi"}).code, 2);
}

// A short budget asks less, and a file of labels is read as often as is of use.
TEST(Compare, PlansWithinItsBudget) {
  const Scratch scratch;
  const std::string text = scratch.write("text.txt", small_text(4000));
  const std::string labels = scratch.write("labels.tsv", labelled_text(200, false));
  std::string questions;
  for (int i = 0; i < 400; ++i) {
    questions += "{\"prompt\": \"the cat sees\", \"candidates\": [\"the dog\", \"a dog " + std::to_string(i) +
                 "\"], \"answer\": 0}\n";
  }
  const std::string file = scratch.write("questions.jsonl", questions);
  const Ended e = triarch({"compare", text, "--budget", "0.001s", "--jobs", "1", "--contenders", "causal", "--tasks",
                           file, "--classify", labels, "--dry-run"});
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.err.find("at most 20 of each under each prompt: the budget is too short"), std::string::npos) << e.err;
  const Ended labelled = triarch({"compare", text, "--budget", "1M tokens", "--classify", labels, "--dry-run"});
  const Ended fewer = triarch({"compare", text, "--budget", "1k tokens", "--classify", labels, "--dry-run"});
  EXPECT_NE(labelled.err.find("2 classes, a head learns from 43k tokens"), std::string::npos) << labelled.err;
  EXPECT_NE(fewer.err.find("a head learns from 1k tokens"), std::string::npos) << fewer.err;
}

// A comparison of the user's text, with questions of the user's own, and its report again.
TEST(Compare, OfATextWithQuestions) {
  const Scratch scratch;
  const std::string text = scratch.write("text.txt", small_text(4000));
  std::string questions;
  for (int i = 0; i < 20; ++i) {
    questions += "{\"prompt\": \"the cat sees\", \"candidates\": [\"the dog\", \"a dog " + std::to_string(i) +
                 "\"], \"answer\": 0}\n";
  }
  const std::string file = scratch.write("questions.jsonl", questions);
  const std::string folder = (scratch / "compared").string();
  const Ended e = triarch({"compare", text, "--budget", "2k tokens", "--seeds", "1", "--contenders",
                           "causal,encoder/forward_backward@0.5", "--tasks", "[" + file + "]", "--task-items", "8",
                           "--suffix-items", "8", "--serving", "-o", folder, "--json"});
  ASSERT_EQ(e.code, 0) << e.err;
  const Json report = e.lines().at(0);
  ASSERT_EQ(report["contenders"].size(), 2u);
  for (const Json& c : report["contenders"]) {
    const Json& tasks = c["stages"][0]["tasks"];
    EXPECT_TRUE(std::any_of(tasks.begin(), tasks.end(), [](const Json& t) { return t["task"] == "questions"; }));
    EXPECT_EQ(c["serving"].size(), 1u);
  }
  EXPECT_EQ(report["config"]["contenders"][1]["rate"], 0.5);
  const Ended again = triarch({"report", folder, "--json"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.lines().at(0), report);
  EXPECT_EQ(triarch({"report", (scratch / "nothing").string()}).code, 2);
  EXPECT_EQ(triarch({"compare", text, "--all", "--grid", "wang"}).code, 2);
}

TEST(Help, TeachesEveryVerb) {
  const std::string all = triarch({"--help"}).out;
  for (const char* verb : {"train", "finetune", "compare", "report", "generate", "fill", "embed", "score", "evaluate",
                           "classify", "tag", "tokenize", "inspect", "forward", "doctor"}) {
    EXPECT_NE(all.find(verb), std::string::npos) << verb;
    const Ended e = triarch({verb, "--help"});
    EXPECT_EQ(e.code, 0) << verb;
    EXPECT_NE(e.out.find(std::string("triarch ") + verb), std::string::npos) << verb;
  }
  const Ended doctor = triarch({"doctor", "--quick", "--json"});
  EXPECT_EQ(doctor.code, 0);
  EXPECT_GE(doctor.lines().at(0)["threads"], 1);
}

TEST(Study, OfModelsAndOfNone) {
  const Scratch scratch;
  const std::string out = (scratch / "study").string();
  const Ended rank = triarch({"study", "rank", Models::path("causal"), Models::path("encoder"), "--text",
                              "the cat likes my king and the dog likes the cat", "-o", out, "--json"});
  ASSERT_EQ(rank.code, 0) << rank.err;
  const Json r = rank.lines().at(0);
  EXPECT_GE(r["tables"].size(), 2u);
  EXPECT_EQ(r["command"].get<std::string>().find("triarch study rank "), 0u);
  EXPECT_EQ(Json::parse(read_file(scratch / "study" / "study.json", "test")), r);
  EXPECT_NE(read_file(scratch / "study" / "study.html", "test").find("effective rank"), std::string::npos);
  const Ended attention = triarch({"study", "attention", "--tokens", "2000", "-o", (scratch / "none").string()});
  ASSERT_EQ(attention.code, 0) << attention.err;
  EXPECT_NE(attention.out.find("Of the tokens that a row may see"), std::string::npos);
  // Another study's results are not taken for these.
  const Ended other = triarch({"study", "rank", "--full", "-o", out});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("take another --output-dir"), std::string::npos) << other.err;
  EXPECT_EQ(triarch({"study", "rnk"}).code, 2);
  EXPECT_NE(triarch({"study", "rnk"}).err.find("did you mean 'rank'"), std::string::npos);
  const Ended shown = triarch({"study", "rank", Models::path("causal")}, {.folder = scratch.path().string()});
  EXPECT_EQ(shown.code, 2);  // what?
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "runs"));
}

// Below runs/, also what an earlier one has run for itself.
TEST(Study, ReasonsFindWhatIsThere) {
  const Scratch scratch;
  const std::filesystem::path own = scratch / "runs" / "study-reasons-0001";
  const auto put = [](const std::filesystem::path& folder, const char* file, const std::string& text) {
    std::filesystem::create_directories(folder);
    write_file(folder / file, text, "test");
  };
  for (const Reason& reason : reasons()) {
    StudyReport r;
    r.name = std::string(reason.study);
    r.evidence = {{std::string(reason.name), Verdict::supported, "Seen."}};
    if (reason.study != "compare") put(own / reason.study, "study.json", to_json(r));
  }
  CompareReport compared;
  for (const char* name : {"causal-next_token", "encoder_decoder-prefix_lm"}) {
    ContenderReport& c = compared.contenders.emplace_back();
    c.name = name;
    c.runs = c.parameters = 1;
  }
  put(own / "compare", "report.json", to_json(compared));
  const Ended e = triarch({"study", "reasons"}, {.folder = (scratch / "").string()});
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.err.find("missing"), std::string::npos) << e.err;
  EXPECT_NE(e.out.find("supported"), std::string::npos);
}

}  // namespace
}  // namespace triarch
