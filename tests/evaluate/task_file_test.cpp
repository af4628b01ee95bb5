#include "triarch/evaluate/task_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>

#include "tests/scratch.h"
#include "triarch/base/error.h"

namespace triarch {
namespace {
namespace fs = std::filesystem;

using Strings = std::vector<std::string>;

class TaskFile : public testing::Test {
 protected:
  fs::path file(const std::string& name, const std::string& bytes) { return scratch_.write(name, bytes); }
  std::string error(const std::string& bytes) {
    try {
      read_task_file(file("wrong.jsonl", bytes));
      return "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code, ExitCode::usage);
      return e.what();
    }
  }
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(TaskFile, LinesAreQuestions) {
  const auto tasks = read_task_file(
      file("sums.jsonl",
           "{\"prompt\": \"Two and two make \", \"candidates\": [\"four\", \" five\", 6], \"answer\": \"five\"}\r\n\n"
           "{\"inputs\": \"One\", \"candidates\": [\"a\", \"b\"], \"answer\": 0}"));
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].name, "sums");
  EXPECT_EQ(tasks[0].close, "");
  EXPECT_FALSE(tasks[0].held_out);
  EXPECT_NEAR(tasks[0].chance, (1 / 3. + 1 / 2.) / 2, 1e-12);
  ASSERT_EQ(tasks[0].choices.size(), 2u);
  const Choice& c = tasks[0].choices[0];
  EXPECT_EQ(c.prompt, "Two and two make");
  EXPECT_EQ(c.candidates, (Strings{"four", "five", "6"}));
  EXPECT_EQ(c.answer, 1u);
  EXPECT_EQ(c.bare, "");
  EXPECT_EQ(tasks[0].choices[1].answer, 0u);
}

TEST_F(TaskFile, ContextsTasksAndTemplates) {
  const auto tasks = read_task_file(file(
      "x.jsonl",
      R"({"task":"who","template":7,"context":"Ann has it.","question":"Who?","candidates":["Ann","Bob"],"answer":"Ann"}
{"task":"who","template":"long","context":"Bob has it.\n","question":"Who is it?","candidates":["Ann","Bob"],"answer":1}
{"task":"other","prompt":"P","candidates":["a","b"],"answer":"b","held_out":true}
{"task":"who","template":7,"context":"Bob has.","question":"Who?","candidates":["Ann","Bob"],"answer":"Bob"}
)"));
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0].name, "who");
  EXPECT_EQ(tasks[0].wrapper, 0);
  ASSERT_EQ(tasks[0].choices.size(), 2u);
  EXPECT_EQ(tasks[0].choices[0].prompt, "Ann has it. Who?");
  EXPECT_EQ(tasks[0].choices[0].bare, "Who?");
  EXPECT_EQ(tasks[0].choices[1].prompt, "Bob has. Who?");
  EXPECT_EQ(tasks[1].name, "who");
  EXPECT_EQ(tasks[1].wrapper, 1);
  EXPECT_EQ(tasks[1].choices[0].prompt, "Bob has it.\nWho is it?");
  EXPECT_EQ(tasks[2].name, "other");
  EXPECT_EQ(tasks[2].wrapper, 0);
  EXPECT_TRUE(tasks[2].held_out);
  EXPECT_FALSE(tasks[1].held_out);
}

TEST_F(TaskFile, KnowsOtherShapes) {
  // The gauntlet's; answers as digits and booleans.
  const auto g = read_task_file(file("g.jsonl", R"({"query": "Q: A?\nA:", "choices": ["Yes", "No"], "gold": 1}
{"question": "B", "endings": ["x", "y", "z"], "label": "2"}
{"question": "C", "options": ["true", "false"], "label": false}
{"question": "D", "options": ["2", "1"], "answer": "1"}
{"question": "E", "options": ["a", "b", "a", "c"], "answer": 3}
{"question": "F", "options": ["b", "a", "a"], "answer": 2})"));
  Strings found;
  for (const Choice& c : g.at(0).choices) found.push_back(c.candidates[c.answer]);
  EXPECT_EQ(found, (Strings{"No", "z", "false", "1", "c", "a"}));
  EXPECT_EQ(g[0].choices[4].candidates, (Strings{"a", "b", "c"}));
  // PIQA's.
  file("p-labels.lst", "1\n0\n");
  const auto p = read_task_file(file("p.jsonl", R"({"goal": "G", "sol1": "a", "sol2": "b"}
{"goal": "H", "sol1": "c", "sol2": "d"})"));
  EXPECT_EQ(p[0].choices[0].prompt, "G");
  EXPECT_EQ(p[0].choices[0].answer, 1u);
  EXPECT_EQ(p[0].choices[1].candidates, (Strings{"c", "d"}));
  EXPECT_EQ(p[0].choices[1].answer, 0u);
}

TEST_F(TaskFile, ReadsCompressedFiles) {
  const fs::path path = folder_ / "z.jsonl.gz";
  gzFile out = gzopen(path.c_str(), "wb");
  gzputs(out, R"({"prompt": "P", "candidates": ["a", "b"], "answer": 1})");
  gzclose(out);
  const auto tasks = read_task_file(path);
  EXPECT_EQ(tasks.at(0).name, "z");
  EXPECT_EQ(tasks[0].choices.at(0).answer, 1u);
}

TEST_F(TaskFile, ErrorsNameTheLineAndWhatWasExpected) {
  const std::string good = R"({"prompt": "P", "candidates": ["a", "b"], "answer": 1})"
                           "\n";
  const auto expect = [&](const std::string& line, const std::string& message) {
    const std::string found = error(good + line);
    EXPECT_NE(found.find("wrong.jsonl:2: "), std::string::npos) << found;
    EXPECT_NE(found.find(message), std::string::npos) << found;
  };
  expect("{", "expected one JSON object per line");
  expect("[1]", "expected an object such as");
  expect(R"({"candidates": ["a", "b"], "answer": 1})", "expected a field 'prompt', found 'answer', 'candidates'");
  expect(R"({"prompt": "P", "answer": 1})", "expected a field 'candidates'");
  expect(R"({"prompt": "P", "candidates": "a", "answer": 1})", "expected an array of candidates, found string");
  expect(R"({"prompt": "P", "candidates": ["a"], "answer": 0})", "two or more different candidates, found 1");
  expect(R"({"prompt": "P", "candidates": ["a", " a"], "answer": 0})", "two or more different candidates, found 1");
  expect(R"({"prompt": "P", "candidates": ["a", " "], "answer": 0})", "text in every candidate");
  expect(R"({"prompt": ["P"], "candidates": ["a", "b"], "answer": 0})", "a string as prompt, found array");
  expect(R"({"prompt": "P", "candidates": ["a", "b"]})", "expected a field 'answer'");
  for (const char* answer : {"2", "-1", "0.5", "\"c\"", "\"2\"", "\"\"", "true"}) {
    expect(fmt::format(R"({{"prompt": "P", "candidates": ["a", "b"], "answer": {}}})", answer),
           "as answer one of the 2 candidates, or its number from 0");
  }
  expect(R"({"prompt": "P", "candidates": ["a", "b"], "answer": 1, "held_out": 1})", "true or false as held_out");
  expect(R"({"prompt": "P", "context": "C", "candidates": ["a", "b"], "answer": 1})",
         "a context in all lines of the task 'wrong' or in none");
  EXPECT_NE(error("\n").find("expected questions"), std::string::npos);
  EXPECT_THROW(read_task_file(folder_ / "none.jsonl"), Error);
}

TEST_F(TaskFile, SharedData) {
  const char* shared = std::getenv("TRIARCH_SHARED");
  const fs::path data = fs::path(shared ? shared : TRIARCH_SOURCE_DIR "/../shared") / "data/tasks";
  if (!fs::exists(data)) GTEST_SKIP() << "no shared data: set TRIARCH_SHARED";
  const auto piqa = read_task_file(data / "piqa_valid/valid.jsonl.gz");
  ASSERT_EQ(piqa.at(0).choices.size(), 1838u);
  EXPECT_NE(piqa[0].choices[0].candidates[piqa[0].choices[0].answer].find("paper strips"), std::string::npos);
  for (const char* name :
       {"commonsense_reasoning/copa.jsonl", "world_knowledge/arc_easy.jsonl.gz",
        "commonsense_reasoning/openbook_qa.jsonl", "commonsense_reasoning/bigbench_strategy_qa.jsonl",
        "reading_comprehension/bigbench_understanding_fables.jsonl"}) {
    EXPECT_GE(read_task_file(data / "eval_gauntlet" / name).at(0).choices.size(), 100u) << name;
  }
  EXPECT_NEAR(read_task_file(data / "eval_gauntlet/commonsense_reasoning/copa.jsonl")[0].chance, 0.5, 1e-12);
}

}  // namespace
}  // namespace triarch
