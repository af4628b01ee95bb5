#include "triarch/study/emergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>
#include <sstream>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/study/emergence_tasks.h"

namespace triarch {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string w; stream >> w;) words.push_back(w);
  return words;
}

// Digits up to a word that is none, the last one first.
int64_t number_at(const std::vector<std::string>& words, size_t at) {
  int64_t n = 0, place = 1;
  for (; at < words.size() && words[at].size() == 1 && std::isdigit(words[at][0]) != 0; ++at, place *= 10) {
    n += place * (words[at][0] - '0');
  }
  return n;
}

TEST(EmergenceTasks, AnswersFollowFromPrompts) {
  const Key key(5, Purpose::test);
  const Tokenizer tokenizer = emergence_tokenizer();
  for (const EmergenceTask& task : emergence_tasks(3)) {
    SCOPED_TRACE(task.name);
    for (int64_t n = 0; n < 50; ++n) {
      const EmergenceItem item = emergence_item(key, task, n, n % 2 == 0);
      const auto p = split(item.prompt), a = split(item.answer);
      EXPECT_EQ(int64_t(a.size()), task.answer);
      EXPECT_EQ(int64_t(tokenizer.encode(" " + item.answer).size()), task.answer);
      EXPECT_LE(p.size() + a.size() + 1, 62u);
      EXPECT_EQ(tokenizer.encode(item.prompt).size(), p.size());
      if (task.kind == EmergenceTask::Kind::sum) {
        EXPECT_EQ(number_at(p, 0) + number_at(p, size_t(task.digits) + 1), number_at(a, 0));
        continue;
      }
      // The person asked about: named, or who has the thing.
      const std::string last = p[p.size() - (task.kind == EmergenceTask::Kind::record ? 2 : 4)];
      std::string person = last;
      for (size_t i = 0; i + 3 < p.size(); ++i) {
        if (p[i + 1] == "has" && p[i + 3] == last) person = p[i];
      }
      EXPECT_EQ(person != last, task.kind == EmergenceTask::Kind::two_hops);
      if (task.kind != EmergenceTask::Kind::record) {
        EXPECT_NE(item.prompt.find(person + " is in the " + item.answer + " ."), std::string::npos) << item.prompt;
      } else {
        const size_t begin = item.prompt.find(person);
        const std::string sentence = item.prompt.substr(begin, item.prompt.find(" .", begin) - begin);
        for (const std::string& w : a) EXPECT_NE(sentence.find(w), std::string::npos) << item.prompt;
      }
    }
  }
}

TEST(EmergenceTasks, QuestionsOfSumsAreInNoText) {
  const Key key(6, Purpose::test);
  std::string all;
  for (const Document& d : emergence_text(key, 2, 20'000)) {
    EXPECT_LE(split(d.text).size(), 62u);
    all += d.text + " ";
  }
  for (const Document& d : emergence_instructions(key, 2, 20'000)) all += d.text + " " + d.target + " ";
  const std::vector<EmergenceTask> tasks = emergence_tasks(2);
  std::set<std::string> distinct;
  for (int64_t n = 0; n < 200; ++n) {
    const EmergenceItem held_out = emergence_item(key.with(1), tasks[0], n, true);
    EXPECT_EQ(all.find(" . " + held_out.prompt + " "), std::string::npos) << held_out.prompt;
    distinct.insert(held_out.prompt);
  }
  // About a fifth of a hundred.
  EXPECT_GT(distinct.size(), 8u);
  EXPECT_LT(distinct.size(), 35u);
  EXPECT_NE(all.find(" . " + emergence_item(key.with(1), tasks[0], 1, false).prompt + " "), std::string::npos);
}

TEST(Emergence, VerdictsByHand) {
  const std::vector<double> x = {0, 1, 2, 3};
  const auto rise = [&](std::vector<double> y) { return rise_of(x, y); };
  EXPECT_NEAR(rise({0, 0.3, 0.6, 0.9}).in_a_third, 0.3, 1e-12);
  EXPECT_NEAR(rise({0, 0, 0.9, 0.9}).in_a_third, 0.9, 1e-12);
  // Between places: half of either rise lies within one third of the way.
  EXPECT_NEAR(rise_of(std::vector<double>{0, 1.5, 3}, std::vector<double>{0, 0.3, 0.9}).in_a_third, 0.4, 1e-12);
  EXPECT_NEAR(rise({0.5, 0.2, 0.1, 0.4}).total, -0.1, 1e-12);
  const Rise none = rise({0, 0, 0, 0.05}), steady = rise({0, 0.3, 0.6, 0.9}), jump = rise({0, 0, 0.9, 0.9});
  EXPECT_EQ(verdict_of(none, steady), "no jump, no rise in this range");
  EXPECT_EQ(verdict_of(steady, steady), "no jump, a gradual rise");
  EXPECT_EQ(verdict_of(jump, steady), "sharp only under exact match");
  EXPECT_EQ(verdict_of(jump, jump), "sharp under both metrics");
  // p^4 of a steady p: Schaeffer's case.
  EXPECT_EQ(verdict_of(rise({0.0081, 0.0625, 0.2401, 0.8145}), rise({0.3, 0.5, 0.7, 0.95})),
            "sharp only under exact match");
  EXPECT_THROW(rise_of(x, std::vector<double>{1}), Error);

  const auto says = [](const std::vector<std::string>& verdicts) { return suddenness_of(verdicts).verdict; };
  const std::string gradual = verdict_of(steady, steady), sharp = verdict_of(jump, jump),
                    exact = verdict_of(jump, steady), no_rise = verdict_of(none, none),
                    split = "undecided, seeds disagree";
  EXPECT_EQ(says({no_rise, split}), Verdict::undecided);
  EXPECT_EQ(says({no_rise, gradual}), Verdict::contradicted);
  EXPECT_EQ(says({exact, gradual}), Verdict::contradicted);
  EXPECT_EQ(says({exact, sharp}), Verdict::supported);
}

TEST(Emergence, TablesAndChartsOfALadder) {
  EmergenceOptions o;
  o.ladder = {{16, 1, 800}, {16, 2, 1600}};
  o.seeds = 2;
  o.digits = 1;
  o.items = 16;
  const Scratch scratch;
  StudyWork work;
  work.folder = scratch.path();
  work.jobs = 2;
  const auto r = emergence_study(o, work);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->tables[0].rows.size(), 2u * 4 * 3);  // stages, tasks, families
  EXPECT_EQ(r->charts.size(), 2u * 4 * 2 + 4);
  for (const StudyChart& c : r->charts) {
    for (const StudySeries& s : c.series) {
      EXPECT_EQ(s.x.size(), 2u) << c.title;
      EXPECT_LT(s.x[0], s.x[1]) << c.title;
    }
  }
  // The crosses are the accuracy of the next chart to the power of the answer's length.
  const StudyChart &exact = r->charts[0], &tokens = r->charts[1];
  EXPECT_NEAR(exact.series[3].y[1], std::pow(tokens.series[0].y[1], 2), 1e-12);
}

}  // namespace
}  // namespace triarch
