#include "triarch/report/study.h"

#include <fmt/format.h>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/report/assets.h"
#include "triarch/report/page.h"

namespace triarch::report {
namespace {

using nlohmann::json;

json study_of(std::string_view text) {
  json study = json::parse(text, nullptr, false);
  if (study.is_discarded() || !study.contains("tables") || !study.contains("findings")) {
    fail(ExitCode::corrupt, "report: expected the record of a study, found {} bytes of something else", text.size());
  }
  return study;
}

Rows rows_of(const json& table) {
  Rows rows = {table.at("head").get<std::vector<std::string>>()};
  for (const json& row : table.at("rows")) {
    rows.emplace_back();
    for (const json& cell : row) rows.back().push_back(visible(cell.get<std::string>()));
  }
  return rows;
}

std::string lines(const json& list, const char* before, const char* after) {
  std::string out;
  for (const json& i : list) out += before + i.get<std::string>() + after;
  return out;
}

// Pictures with what was said about them; study.js draws them.
std::string exhibits_of(const json& study) {
  if (!study.contains("exhibits") || study["exhibits"].empty()) return "";
  std::string out = "<h2>What was shown, and what was said about it</h2><div class=\"exhibits\">";
  for (const json& e : study["exhibits"]) {
    const std::string truth = text_of(e, "truth");
    out += fmt::format("<figure><canvas></canvas><figcaption>{}<br><strong>{}</strong></figcaption><ul>",
                       escaped(text_of(e, "asked")), escaped(truth));
    for (const json& s : e.at("said")) {
      const std::string what = text_of(s, "what");
      out += fmt::format("<li{}><span class=\"soft\">{}:</span> {}</li>", what == truth ? "" : " class=\"wrong\"",
                         escaped(text_of(s, "who")), escaped(what));
    }
    out += "</ul></figure>";
  }
  return out + "</div>";
}

}  // namespace

std::string study_text(std::string_view text) {
  const json study = study_of(text);
  std::string out;
  for (const json& t : study.at("tables")) out += text_of(t, "title") + "\n\n" + rows_text(rows_of(t));
  return out + lines(study.at("findings"), "", "\n");
}

std::string study_markdown(std::string_view text) {
  const json study = study_of(text);
  std::string out = fmt::format("# {}\n\n{}\n\n{}\n", text_of(study, "title"), text_of(study, "question"),
                                lines(study.at("findings"), "- **", "**\n"));
  for (const json& t : study.at("tables")) {
    out += fmt::format("## {}\n\n{}\n", text_of(t, "title"), markdown_rows(rows_of(t), 1));
  }
  out += "## Method\n\n" + lines(study.at("method"), "- ", "\n") + "\n## What this cannot decide\n\n" +
         lines(study.at("limits"), "- ", "\n");
  return out + fmt::format("\nSource: {}\n\n    {}\n", text_of(study, "source"), text_of(study, "command"));
}

std::string study_page(std::string_view text) {
  const json study = study_of(text);
  std::string body = fmt::format("<h1>{}</h1><p class=\"soft\">{}</p><div class=\"answer\">",
                                 escaped(text_of(study, "title")), escaped(text_of(study, "question")));
  for (const json& f : study.at("findings")) body += "<p>" + escaped(f.get<std::string>()) + "</p>";
  body += "</div>";
  for (const json& d : study.value("drawings", json::array())) {
    body += fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", escaped(text_of(d, "title")),
                        d.at("svg").get<std::string>());
  }
  int number = 0;
  for (const json& c : study.at("charts")) {
    body += fmt::format(
        "<figure><figcaption>{}</figcaption><div class=\"chart\"><canvas id=\"chart-{}\"></canvas></div></figure>\n",
        escaped(text_of(c, "title")), number++);
  }
  if (!study.at("pictures").empty()) {
    body +=
        "<h2>Attention</h2><p class=\"soft\">A row for each token that looks, a column for each that is looked at; "
        "stronger is more. The line is the border of what a row may look at, and what lies outside is hatched. Point "
        "at a row to read the text as it sees it.</p><div id=\"attention\"></div>";
  }
  body += exhibits_of(study);
  for (const json& t : study.at("tables")) {
    body += fmt::format("<h2>{}</h2>", escaped(text_of(t, "title"))) + page_rows(rows_of(t), " class=\"tight\"");
  }
  body += "<h2>Method</h2>" + page_list(study.at("method")) +
          "<p class=\"soft\">Source: " + escaped(text_of(study, "source")) + "</p><h2>What this cannot decide</h2>" +
          page_list(study.at("limits")) + "<h2>Again</h2><pre>" + escaped(text_of(study, "command")) + "</pre>";
  return page_of(text_of(study, "title"), body, study.dump(), {chart_js(), attention_js(), study_js()});
}

}  // namespace triarch::report
