#include "triarch/report/comparison.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/report/assets.h"
#include "triarch/report/cells.h"
#include "triarch/report/page.h"

namespace triarch::report {
namespace {

using nlohmann::json;

json comparison_of(std::string_view text) {
  json report = json::parse(text, nullptr, false);
  if (report.is_discarded() || !report.contains("contenders") || !report.contains("uses")) {
    fail(ExitCode::corrupt, "report: expected the report.json of a comparison, found {} bytes of something else",
         text.size());
  }
  return report;
}

// Both escaped: the answer, with what it has in place of the prompt's <mask> and <extra_id_N> marked.
std::string marked(const std::string& prompt, const std::string& answer) {
  std::string out;
  size_t at = 0;  // in the answer
  for (size_t begin = 0;;) {
    const size_t hole = std::min(prompt.find("&lt;mask&gt;", begin), prompt.find("&lt;extra_id_", begin));
    const std::string kept = prompt.substr(begin, hole == std::string::npos ? hole : hole - begin);
    const size_t found = answer.find(kept, at);
    if (found == std::string::npos) return out + answer.substr(at);
    if (found > at) out += "<span class=\"made\">" + answer.substr(at, found - at) + "</span>";
    out += kept;
    at = found + kept.size();
    if (hole == std::string::npos) break;
    begin = prompt.find("&gt;", hole) + 4;
    // Nothing behind the last hole: the rest is the model's.
    if (begin == prompt.size()) return out + "<span class=\"made\">" + answer.substr(at) + "</span>";
  }
  return out + answer.substr(at);
}

// Answers to all uses, one after the other.
std::string answers_of(const json& report) {
  std::string out;
  for (const json& use : report.at("uses")) out += (out.empty() ? "" : "\n") + text_of(use, "answer");
  return out;
}

// A line for each: "causal decoder (next token) -> prefix decoder (span corruption): 1.48 times faster ..."
std::string adaptation_text(const json& report) {
  const Rows rows = adaptation_rows(report);
  std::string out;
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::vector<std::string>& c = rows[i];
    out += fmt::format("Adaptation, {} to {}: {} tokens instead of {}, speed-up {}\n", c[0], c[1], c[3], c[4], c[5]);
  }
  return out.empty() ? out : out + "\n";
}

// Empty if there is nothing but contenders' names.
std::string page_table(const json& report, Part part) {
  const std::vector<std::vector<Cell>> rows = contender_rows(report, part);
  if (rows.front().size() < 2) return "";
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (const Cell& h : rows.front()) {
    out += fmt::format("<th>{}<span class=\"sub\">{}</span></th>", escaped(h.text), escaped(h.second));
  }
  out += "</tr></thead><tbody>";
  for (size_t r = 1; r < rows.size(); ++r) {
    out += "<tr>";
    for (size_t i = 0; i < rows[r].size(); ++i) {
      const Cell& cell = rows[r][i];
      out += "<td>";
      if (i == 0) out += fmt::format("<span class=\"dot\" style=\"background:var(--c{})\"></span>", (r - 1) % 8);
      out += escaped(cell.text);
      if (!cell.second.empty()) out += "<span class=\"sub\">" + escaped(cell.second) + "</span>";
      out += "</td>";
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

}  // namespace

std::string comparison_table(std::string_view report_json) {
  const json report = comparison_of(report_json);
  return cells_text(contender_rows(report, Part::losses)) + cells_text(contender_rows(report, Part::tasks)) +
         cells_text(contender_rows(report, Part::costs)) + rows_text(grid_rows(report)) + adaptation_text(report) +
         answers_of(report) + "\n";
}

std::string comparison_markdown(std::string_view report_json) {
  const json report = comparison_of(report_json);
  std::string out = fmt::format("# {}\n\n{}\n\n", text_of(report, "name"), text_of(report, "question"));
  for (const json& use : report.at("uses")) {
    out += fmt::format("- **{}** ({})\n", text_of(use, "answer"), text_of(use, "title"));
  }
  out += fmt::format("\nData: {}.\n\n", text_of(report, "data"));
  for (Part part : {Part::losses, Part::tasks, Part::costs}) {
    Rows rows;
    for (const std::vector<Cell>& row : contender_rows(report, part)) {
      rows.emplace_back();
      for (const Cell& c : row) rows.back().push_back(c.text + (c.second.empty() ? "" : " (" + c.second + ")"));
    }
    if (rows.front().size() > 1) out += markdown_rows(rows, 1) + "\n";
  }
  const auto section = [&](const char* title, const Rows& rows, size_t left) {
    if (rows.size() > 1) out += fmt::format("\n## {}\n\n", title) + markdown_rows(rows, left);
  };
  section("Differences between contenders", difference_rows(report), 2);
  section("Architecture by objective: scores", grid_rows(report), 1);
  section("Adaptation", adaptation_rows(report), 2);
  section("Answers, % right / % without context, after each stage (bold: above chance)", task_rows(report, "**", "**"),
          2);
  out += "\n## Samples\n";
  for (const json& c : report.at("contenders")) {
    for (const json& s : c.at("samples")) {
      out += fmt::format("\n**{}** {}\n\n```\n{}\n---\n{}\n```\n", text_of(c, "title"), text_of(s, "task"),
                         text_of(s, "prompt"), text_of(s, "answer"));
    }
  }
  const auto list = [&](const char* title, const char* key) {
    out += fmt::format("\n## {}\n\n", title);
    for (const json& i : report.at(key)) out += "- " + i.get<std::string>() + "\n";
  };
  list("Equal for all", "equal");
  list("Not equal", "unequal");
  list("How to read this", "notes");
  out += fmt::format("\n## Again\n\n    {}\n", text_of(report, "command"));
  return out;
}

std::string comparison_page(std::string_view report_json) {
  const json report = comparison_of(report_json);
  std::string body;
  const auto add = [&](std::string text) { body += text + "\n"; };
  add(fmt::format("<p class=\"soft small\">{}</p>", escaped(text_of(report, "name"))));
  add(fmt::format("<h1>{}</h1>", escaped(text_of(report, "question"))));
  add(fmt::format("<p class=\"soft\">Data: {}.</p>", escaped(text_of(report, "data"))));
  body += "<div class=\"answer\">";
  for (const json& use : report.at("uses")) {
    add(fmt::format("<p>{}<span class=\"sub\">{}</span></p>", escaped(text_of(use, "answer")),
                    escaped("By " + text_of(use, "title") + ".")));
  }
  add("</div>");
  if (number_of(report, "finished") < number_of(report, "trials")) {
    add(fmt::format("<p><strong>Not finished:</strong> {} of {} runs have a result.</p>", report.at("finished").dump(),
                    report.at("trials").dump()));
  }

  add("<h2>Figures</h2>" + page_table(report, Part::losses));
  add("<p class=\"soft small\">Own loss: each contender's own objective on held-out text, nats per target, beside the "
      "unigram entropy of the same targets and, where it is known, the entropy of the text itself, its floor; not "
      "comparable between contenders. Means over seeds, with 95 % intervals: "
      "as far as a bootstrap over seeds and items or Student's t over seeds reaches.</p>");

  const bool generators = std::ranges::any_of(report.at("contenders"), [](const json& c) {
    return !c.at("stages").empty() && !c.at("stages").front().at("suffix").empty();
  });
  if (generators) {
    add("<h2>Suffix loss</h2><figure><figcaption>The second half of held-out texts given the first; lower is better. "
        "Diamonds: means; dots: seeds; bars: 95 % intervals.</figcaption><div class=\"chart low\"><canvas "
        "id=\"intervals\"></canvas></div></figure>");
  }
  if (const Rows rows = difference_rows(report); rows.size() > 1) {
    add("<h2>Differences between contenders</h2><p class=\"soft small\">Paired by seeds and items. Significant: the "
        "interval excludes 0 and every seed agrees, each pair for itself.</p>" +
        page_rows(rows));
  }

  const std::string bold(1, kBold), plain(1, kPlain);
  if (const Rows tasks = task_rows(report, bold.c_str(), plain.c_str()); tasks.size() > 1) {
    add("<h2>Tasks</h2>" + page_table(report, Part::tasks));
    add("<p class=\"soft small\">Scores: 0 is chance, or what is right without the context if that is more; 1 is all "
        "right.</p>");
    if (const Rows grid = grid_rows(report); grid.size() > 1) {
      add("<p class=\"soft\">Architecture by objective, before and after multitask finetuning (as table 8 of Wang et "
          "al. "
          "2022).</p>" +
          page_rows(grid));
    }
    const bool finetuned =
        std::ranges::any_of(report.at("contenders"), [](const json& c) { return c.at("stages").size() > 1; });
    add(
        fmt::format("<figure><figcaption>Scores {}, with 95 % intervals.</figcaption><div class=\"chart\"><canvas "
                    "id=\"scores\"></canvas></div></figure>",
                    finetuned ? "before and after finetuning" : "after pretraining (nothing was finetuned)"));
    add(fmt::format(
            "<p class=\"soft\">Each kind of questions: % right, and % right with the context left out, which is "
            "chance{}. Bold: above chance in every seed.</p>",
            finetuned ? "; after pretraining → after finetuning" : "") +
        page_rows(tasks, " class=\"tight\""));
  }

  if (const Rows rows = adaptation_rows(report); rows.size() > 1) {
    add("<h2>Adaptation</h2><p class=\"soft\">What it saves to begin with the weights of another family: tokens to the "
        "lowest held-out loss that both reach, mean over seeds; the speed-up of each seed in brackets.</p>" +
        page_rows(rows));
  }

  add("<h2>Cost</h2>" + page_table(report, Part::costs) +
      "<p class=\"soft small\">Counters are of all stages of learning together, means over seeds.</p>");

  add("<h2>Learning curves</h2><fieldset><label><input type=\"radio\" name=\"axis\" value=\"tokens\" checked> by "
      "tokens</label><label><input type=\"radio\" name=\"axis\" value=\"flops\"> by operations</label><label><input "
      "type=\"radio\" name=\"axis\" value=\"seconds\"> by time</label></fieldset>");
  if (generators) {
    add("<figure><figcaption>Suffix loss, on a part of the texts.</figcaption><div class=\"chart\"><canvas "
        "id=\"suffix-curves\"></canvas></div></figure>");
  }
  add("<figure><figcaption>Own held-out loss as a share of the unigram entropy of its targets: 1 is a model that knows "
      "only how often each token occurs.</figcaption><div class=\"chart\"><canvas id=\"own-curves\"></canvas></div>"
      "</figure>");

  add("<h2>Samples</h2><p class=\"soft\">All on the same held-out text, from the first seed that has a result.</p>");
  int index = 0;
  for (const json& c : report.at("contenders")) {
    for (const json& s : c.at("samples")) {
      const std::string prompt = escaped(text_of(s, "prompt")), answer = escaped(text_of(s, "answer"));
      add(
          fmt::format("<div class=\"sample\"><h3><span class=\"dot\" style=\"background:var(--c{})\"></span>{} "
                      "{}</h3>",
                      index % 8, escaped(text_of(c, "title")), escaped(text_of(s, "task"))));
      if (text_of(s, "task") == "continues") {
        add(fmt::format("<pre>{}<span class=\"made\">{}</span></pre></div>", prompt, answer));
      } else {
        add(fmt::format("<pre class=\"soft\">{}</pre><pre>{}</pre></div>", prompt, marked(prompt, answer)));
      }
    }
    ++index;
  }

  if (std::ranges::any_of(report.at("contenders"), [](const json& c) { return !c.at("attention").empty(); })) {
    add("<h2>Attention</h2><p class=\"soft\">Who looks at whom on the same text, mean over the heads of a layer, from "
        "the run with seed 1: a row for each token that looks, a column for each that is looked at; stronger is more. "
        "What lies outside of what a row may look at is hatched. Point at a row to read the text as it sees "
        "it.</p><div id=\"attention\"></div>");
  }

  add("<h2>What was equal, and what was not</h2><div class=\"columns\"><div><h3>Equal</h3>" +
      page_list(report.at("equal")) + "</div><div><h3>Not equal</h3>" + page_list(report.at("unequal")) +
      "</div></div>");
  add("<h2>How to read this</h2>" + page_list(report.at("notes")));
  add(
      fmt::format("<h2>Settings</h2><p>triarch {}, {}, {} instructions.</p><details><summary>All settings"
                  "</summary><pre>{}</pre></details>",
                  escaped(text_of(report, "version")), escaped(text_of(report, "precision")),
                  escaped(text_of(report, "instruction_set")), escaped(report.at("config").dump(2))));
  add(fmt::format("<h2>Again</h2><pre>{}</pre>", escaped(text_of(report, "command"))));

  return page_of(text_of(report, "name"), body, report.dump(), {chart_js(), attention_js(), comparison_js()});
}

}  // namespace triarch::report
