#include "triarch/report/comparison.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/study/compare_report.h"

namespace triarch {
namespace {

CompareReport example() {
  CompareReport r;
  r.name = "compare-test-0001";
  r.question = "Which learns most from <test>?";
  r.uses = {
      {"generate", "suffix loss", true, "To generate: take the causal decoder & be glad.", "causal-next_token", {}}};
  r.trials = r.finished = 4;
  r.seeds = 2;
  ContenderReport a;
  a.name = "causal-next_token";
  a.title = "causal decoder (next token)";
  a.label = "causal decoder";
  a.suffix_format = "continuation";
  a.runs = 2;
  a.parameters = 113216;
  a.peak_bytes = 4.8e6;
  a.own_loss = 0.93321;
  a.unigram_entropy = 4.03345;
  StageReport before;
  before.stage = "pretrained";
  before.steps = 100;
  before.tokens = 300123;
  before.targets = 400000;
  before.flops = 5e11;
  before.seconds = 8;
  Figure f;
  f.mean = 0.81234;
  f.low = 0.72246;
  f.high = 0.88512;
  f.seeds = {0.8, 0.82468};
  before.suffix = {f};
  before.suffix_bits_per_byte = 0.29417;
  f.mean = 0.33642;
  before.scores = {{"seen", f}};
  before.above = 1;
  before.tasks = {{"owner", "hard", "understand", false, 0.625, 0.333, 0.438, true},
                  {"copy", "easy", "transform", true, 0.25, 0.245, 0.01, false}};
  StageReport after = before;
  after.stage = "finetuned";
  after.tokens = 100000;
  after.targets = 9000;
  after.flops = 4.5e10;
  after.seconds = 0.5;
  f.mean = 0.52163;
  after.scores = {{"training", f}};
  f.mean = 0.21517;
  after.scores.push_back({"held_out", f});
  after.above = 2;
  after.tasks[1].accuracy = 0.75;
  after.tasks[1].above = true;
  a.stages = {before, after};
  a.samples = {{"continues", "a </script> b", " c & d"}};
  CurvePoint p;
  p.step = 10;
  p.tokens = 100;
  p.own_loss = 1.5;
  p.suffix_loss = 1.25;
  a.curves = {{p, p}, {p, p}};
  ContenderReport b = a;
  b.name = "encoder-masked_lm";
  b.title = "encoder (masked LM)";
  b.label = "encoder";
  b.suffix_format = "none";
  for (StageReport& stage : b.stages) stage.suffix.clear();
  b.own_loss = 1.08454;
  b.samples = {{"fills masks", "the <mask> sat <mask>", "the cat sat down"}};
  r.contenders = {a, b};
  DifferenceReport d;
  d.measure = "generate";
  d.a = a.name;
  d.b = b.name;
  d.mean = -0.09876;
  d.low = -0.18812;
  d.high = -0.04098;
  r.differences = {d};
  r.equal = {"the text"};
  r.unequal = {"parameters"};
  r.notes = {"a note"};
  r.command = "triarch compare";
  return r;
}

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "expected '" << part << "'";
}

TEST(ComparisonReport, AllFormsHaveTheFigures) {
  const std::string json = to_json(example());
  for (const std::string& text :
       {report::comparison_table(json), report::comparison_markdown(json), report::comparison_page(json)}) {
    for (const char* figure :
         {"0.812", "0.722 to 0.885", "0.294", "0.933", "4.033", "113k", "400k", "409k", "545G", "8.5s", "4.8 MB",
          "1.085", "0.336", "0.522", "0.215", "1, then 2", "of 2", "does not generate", "next token"}) {
      expect_has(text, figure);
    }
  }
  for (const std::string& text : {report::comparison_markdown(json), report::comparison_page(json)}) {
    for (const char* part :
         {"Differences between contenders", "-0.099", "-0.188 to -0.041", "not shown", "a note", "triarch compare"}) {
      expect_has(text, part);
    }
  }
}

TEST(ComparisonReport, GridOfArchitecturesAndObjectives) {
  CompareReport r = example();
  const std::string heading = "next token or prefix LM: zero-shot";
  EXPECT_EQ(report::comparison_table(to_json(r)).find(heading), std::string::npos);
  r.contenders[1].title = "causal decoder (span corruption)";
  r.contenders.push_back(r.contenders[0]);
  r.contenders[2].title = "prefix decoder (prefix LM)";
  for (const std::string& text : {report::comparison_table(to_json(r)), report::comparison_markdown(to_json(r)),
                                  report::comparison_page(to_json(r))}) {
    expect_has(text, heading);
    expect_has(text, "span corruption, finetuned: held-out tasks");
    expect_has(text, "0.215 (0.722 to 0.885)");
  }
}

TEST(ComparisonReport, PageIsOneSoundFile) {
  const std::string json = to_json(example()), page = report::comparison_page(json);
  expect_has(page, "Which learns most from &lt;test&gt;?");
  expect_has(page, "take the causal decoder &amp; be glad.");
  expect_has(page, "a &lt;/script&gt; b<span class=\"made\"> c &amp; d</span>");
  expect_has(page, "the <span class=\"made\">cat</span> sat <span class=\"made\">down</span>");
  expect_has(page, "<strong>62</strong> / 33");
  expect_has(page, "<td>25 / 24 → <strong>75</strong> / 24</td>");
  expect_has(page, "copy (held out)");
  expect_has(page, "Chart.js v3");
  // Nothing is loaded from elsewhere.
  for (const char* tag : {"<link", "<img", "src="}) {
    EXPECT_EQ(page.substr(0, page.find("Chart.js v3")).find(tag), std::string::npos) << tag;
  }
  // The embedded report ends where it should, and is the report.
  const std::string begin = "<script type=\"application/json\" id=\"report\">";
  const size_t at = page.find(begin) + begin.size();
  const std::string data = page.substr(at, page.find("</script>", at) - at);
  EXPECT_EQ(nlohmann::json::parse(data), nlohmann::json::parse(json));
}

struct Shown {
  std::string dom, log;
};
// A page as a browser has it when its scripts have run.
Shown in_browser(const std::string& page) {
  const Scratch scratch;
  scratch.write("page.html", page);
  const std::string command = fmt::format(
      "cd '{}' && timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir=profile "
      "--virtual-time-budget=5000 --enable-logging=stderr --dump-dom \"file://$PWD/page.html\" >dom 2>log",
      scratch.path().string());
  EXPECT_EQ(std::system(command.c_str()), 0);
  return {read_file(scratch / "dom", "test"), read_file(scratch / "log", "test")};
}

// Without an error in its console, with its charts drawn and the figures in what is rendered. (Skips without Chromium.)
TEST(ComparisonReport, OpensInABrowser) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) GTEST_SKIP() << "no chromium here";
  CompareReport r = example();
  AttentionPicture p;
  p.title = "decoder 1";
  p.queries = p.keys = {"a", "b"};
  p.rows = {"ff00", "8080"};
  r.contenders[0].attention = {p};
  HeadReport h{"sentiment", "the class of a review", 0.5, r.contenders[0].stages[0].suffix[0]};
  h.accuracy.mean = 0.7654;
  r.contenders[0].heads = {h};
  AdaptationReport a;
  a.from = "causal decoder";
  a.to = "prefix decoder";
  a.scratch_tokens = 98000;
  a.runs = 3;
  r.adaptations = {a};
  const auto [dom, log] = in_browser(report::comparison_page(to_json(r)));
  EXPECT_EQ(log.find("CONSOLE"), std::string::npos) << log;
  for (const char* figure : {"0.812", "0.933", "0.522", "0.765", "98k", "-0.099"}) expect_has(dom, figure);
  // Chart.js gives a canvas its size when it draws; pictures of attention are made by the page.
  for (const char* chart : {"intervals", "scores", "suffix-curves", "own-curves"}) {
    const size_t canvas = dom.find("<canvas id=\"" + std::string(chart) + "\"");
    ASSERT_NE(canvas, std::string::npos) << chart;
    EXPECT_NE(dom.substr(canvas, dom.find('>', canvas) - canvas).find("width="), std::string::npos) << chart;
  }
  expect_has(dom, "<figcaption>decoder 1</figcaption><canvas");
}

// A loss that is no number, or infinite, is null in the record: it is left out of the charts, and their axes end.
TEST(ComparisonReport, ChartsLeaveOutWhatIsNoNumber) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) GTEST_SKIP() << "no chromium here";
  CompareReport r = example();
  for (ContenderReport& c : r.contenders) {
    for (std::vector<CurvePoint>& run : c.curves) {
      run[0].tokens = 50, run[0].own_loss = 2, run[0].suffix_loss = 1.75;
      run.push_back(run.back());
      run.back().tokens = 200;
      run.back().own_loss = run.back().suffix_loss.emplace(std::nan(""));
    }
  }
  Figure& broken = r.contenders[1].stages[0].suffix.emplace_back(r.contenders[0].stages[0].suffix[0]);
  broken.mean = broken.low = broken.high = HUGE_VAL;
  std::string page = report::comparison_page(to_json(r));
  page +=
      "<script>document.body.dataset.axes = ['intervals', 'scores', 'suffix-curves', 'own-curves'].map((id) => "
      "Object.values(Chart.getChart(id).scales).map((s) => [s.min, s.max])).flat(2).every(Number.isFinite) + ' ' + "
      "Chart.getChart('own-curves').scales.x.max + ' ' + Chart.getChart('own-curves').scales.y.min;</script>";
  const std::string dom = in_browser(page).dom;
  // The point at 200 tokens is not there, and its ratio is not 0: what is left are the points up to 100.
  const size_t axes = dom.find("data-axes=\"");
  ASSERT_NE(axes, std::string::npos);
  EXPECT_EQ(dom.substr(axes + 11, 9), "true 100 ") << dom.substr(axes, 60);
  EXPECT_GT(std::stod(dom.substr(axes + 20)), 0.3) << dom.substr(axes, 60);  // 1.5 / 4.03
}

TEST(ComparisonReport, OtherFilesAreRefused) {
  EXPECT_THROW(report::comparison_page("{}"), Error);
  EXPECT_THROW(report::comparison_table("not json"), Error);
}

}  // namespace
}  // namespace triarch
