#include "triarch/report/comparison.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/report/assets.h"

namespace triarch::report {
namespace {

using nlohmann::json;

json parsed(std::string_view text) {
  json report = json::parse(text, nullptr, false);
  if (report.is_discarded() || !report.contains("contenders") || !report.contains("uses")) {
    fail(ExitCode::corrupt, "report: expected the report.json of a comparison, found {} bytes of something else",
         text.size());
  }
  return report;
}

std::string text_of(const json& j, const char* key) { return j.at(key).get<std::string>(); }
double number_of(const json& j, const char* key) { return j.at(key).is_null() ? 0 : j.at(key).get<double>(); }
std::string fixed(double x) { return fmt::format("{:.3f}", x); }

// A cell may have a second line.
struct Cell {
  std::string text, second;
};

// The figure of a group of tasks after a stage of a contender; null if there is none.
const json* score_of(const json& contender, const char* stage, const char* group) {
  for (const json& s : contender.at("stages")) {
    if (s.at("stage") != stage) continue;
    for (const json& g : s.at("scores")) {
      if (g.at("name") == group) return &g.at("score");
    }
  }
  return nullptr;
}

// Over all stages.
double sum_of(const json& contender, const char* key) {
  double sum = 0;
  for (const json& s : contender.at("stages")) sum += number_of(s, key);
  return sum;
}

Cell figure_cell(const json* f) {
  if (!f) return {"-", ""};
  return {fixed(number_of(*f, "mean")), fmt::format("{:.3f} to {:.3f}", number_of(*f, "low"), number_of(*f, "high"))};
}

// The columns of the two tables, the same in all three forms: what the head says, and what of a contender.
struct Column {
  Cell head;
  std::function<Cell(const json& contender)> cell;
};
// What contenders reach, and what they cost.
enum class Part : uint8_t { figures, costs };

void add_costs(const json& report, std::vector<Column>& all) {
  if (std::ranges::any_of(report.at("contenders"), [](const json& c) { return !c.at("serving").empty(); })) {
    const auto cost = [](const json& c, auto cell) {
      return c.at("serving").empty() ? Cell{"-", ""} : cell(c.at("serving").front());
    };
    all.push_back({{"to serve", "ms: prompt, token"}, [=](const json& c) {
                     return cost(c, [](const json& s) {
                       const bool generates = !s.at("ms_per_token").is_null();
                       return Cell{fmt::format("{:.2f}", number_of(s, "ms_per_prompt")),
                                   generates ? fmt::format("{:.3f}", number_of(s, "ms_per_token")) : "no tokens"};
                     });
                   }});
    all.push_back({{"cache", "per token, fixed"}, [=](const json& c) {
                     return cost(c, [](const json& s) {
                       return Cell{human_bytes(number_of(s, "cache_bytes_per_token")),
                                   human_bytes(number_of(s, "cross_cache_bytes"))};
                     });
                   }});
    all.push_back({{"4 turns", "rows, ms"}, [=](const json& c) {
                     return cost(c, [](const json& s) {
                       if (s.at("turns").empty()) return Cell{"-", ""};
                       return Cell{s.at("turn_rows").dump(), fmt::format("{:.1f}", number_of(s, "turn_ms"))};
                     });
                   }});
  }
  all.push_back({{"parameters", ""}, [](const json& c) -> Cell {
                   return {human_count(number_of(c, "parameters")), ""};
                 }});
  all.push_back({{"tokens seen", "with a loss"}, [](const json& c) -> Cell {
                   return {human_count(sum_of(c, "tokens")), human_count(sum_of(c, "targets"))};
                 }});
  all.push_back({{"FLOPs", ""}, [](const json& c) -> Cell { return {human_count(sum_of(c, "flops")), ""}; }});
  all.push_back({{"time", "per run"}, [](const json& c) -> Cell {
                   return {human_duration(sum_of(c, "seconds")), ""};
                 }});
  all.push_back({{"memory", ""}, [](const json& c) -> Cell { return {human_bytes(number_of(c, "peak_bytes")), ""}; }});
}

std::vector<Column> columns_of(const json& report, Part part) {
  std::vector<Column> all;
  all.push_back({{"contender", ""}, [](const json& c) -> Cell {
                   // "causal decoder (next token)" in two lines.
                   const std::string title = text_of(c, "title");
                   const size_t open = title.find(" (");
                   if (open == std::string::npos) return {title, ""};
                   return {title.substr(0, open), title.substr(open + 2, title.size() - open - 3)};
                 }});
  if (part == Part::costs) {
    add_costs(report, all);
    return all;
  }
  all.push_back({{"suffix loss", "nats/token, 95 %"}, [](const json& c) -> Cell {
                   const json& first = c.at("stages").front();
                   if (first.at("suffix").empty()) return {"-", "does not generate"};
                   return figure_cell(&first.at("suffix").front());
                 }});
  all.push_back({{"bits/byte", "of suffixes"}, [](const json& c) -> Cell {
                   const json& first = c.at("stages").front();
                   if (first.at("suffix").empty()) return {"-", ""};
                   return {fixed(number_of(first, "suffix_bits_per_byte")), ""};
                 }});
  all.push_back({{"own loss", "of unigram"}, [](const json& c) -> Cell {
                   return {fixed(number_of(c, "own_loss")), fmt::format("of {:.3f}", number_of(c, "unigram_entropy"))};
                 }});
  const auto any = [&](const char* stage, const char* group) {
    return std::ranges::any_of(report.at("contenders"),
                               [&](const json& c) { return score_of(c, stage, group) != nullptr; });
  };
  const auto add_score = [&](const char* name, const char* second, const char* stage, const char* group) {
    if (!any(stage, group)) return;
    all.push_back({{name, second}, [=](const json& c) { return figure_cell(score_of(c, stage, group)); }});
  };
  add_score("zero-shot", "score, 95 %", "pretrained", "seen");
  add_score("trained tasks", "after finetuning", "finetuned", "training");
  add_score("held-out tasks", "after finetuning", "finetuned", "held_out");
  if (any("pretrained", "seen")) {
    all.push_back({{"above chance", "of tasks"}, [](const json& c) -> Cell {
                     std::string text;
                     size_t tasks = 0;
                     for (const json& s : c.at("stages")) {
                       text += (text.empty() ? "" : ", then ") + s.at("above").dump();
                       tasks = std::max(tasks, s.at("tasks").size());
                     }
                     return {text, fmt::format("of {}", tasks)};
                   }});
  }
  if (std::ranges::any_of(report.at("contenders"), [](const json& c) { return !c.at("bleu").empty(); })) {
    const auto figure = [](const json& c, const char* key) {
      if (c.at(key).empty()) return Cell{"-", ""};
      const json& f = c.at(key).front();
      return Cell{fmt::format("{:.1f}", number_of(f, "mean")),
                  fmt::format("{:.1f} to {:.1f}", number_of(f, "low"), number_of(f, "high"))};
    };
    all.push_back({{"BLEU", "95 %"}, [=](const json& c) { return figure(c, "bleu"); }});
    all.push_back({{"chrF", "95 %"}, [=](const json& c) { return figure(c, "chrf"); }});
    all.push_back(
        {{"exact", "of outputs"}, [](const json& c) -> Cell {
           return {c.at("bleu").empty() ? "-" : fmt::format("{:.1f} %", 100 * number_of(c, "exact_match")), ""};
         }});
  }
  return all;
}

std::vector<Cell> heads_of(const std::vector<Column>& columns) {
  std::vector<Cell> row;
  for (const Column& column : columns) row.push_back(column.head);
  return row;
}

std::vector<Cell> cells_of(const std::vector<Column>& columns, const json& c) {
  std::vector<Cell> row = {columns.front().cell(c)};
  if (c.at("runs") == 0) {
    row.push_back({"no result", c.at("failures").empty() ? "" : c.at("failures").front().get<std::string>()});
    while (row.size() < columns.size()) row.push_back({"-", ""});
    return row;
  }
  while (row.size() < columns.size()) row.push_back(columns[row.size()].cell(c));
  return row;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
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

// Characters of UTF-8, for columns.
size_t width_of(const std::string& s) {
  return size_t(std::ranges::count_if(s, [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
}

std::string label_of(const json& report, const json& name) {
  for (const json& c : report.at("contenders")) {
    if (c.at("name") == name) return text_of(c, "label");
  }
  return name.get<std::string>();
}

// "a minus b: -0.115, 95 % -0.15 to -0.08; t -0.2 to -0.01; every seed agrees": as cells.
std::vector<std::string> difference_cells(const json& report, const json& d) {
  return {
      text_of(d, "measure"),
      fmt::format("{} minus {}", label_of(report, d.at("a")), label_of(report, d.at("b"))),
      fmt::format("{:+.3f}", number_of(d, "mean")),
      fmt::format("{:+.3f} to {:+.3f}", number_of(d, "low"), number_of(d, "high")),
      d.at("t_low").is_null() ? "-" : fmt::format("{:+.3f} to {:+.3f}", number_of(d, "t_low"), number_of(d, "t_high")),
      d.at("same_direction") == true ? "yes" : "no",
      d.at("significant") == true ? "yes" : "not shown"};
}
const std::vector<std::string> kDifferenceHeads = {"use",        "of",         "difference", "95 % interval",
                                                   "t interval", "every seed", "significant"};

// Kinds of questions by contenders: accuracy / chance before and after finetuning, those above chance marked. The first
// row are the heads.
std::vector<std::vector<std::string>> task_rows(const json& report, const char* begin, const char* end) {
  std::vector<std::vector<std::string>> rows;
  const json* tasks = nullptr;
  std::vector<std::string> head = {"questions", "depth"};
  for (const json& c : report.at("contenders")) {
    if (c.at("stages").empty() || c.at("stages").front().at("tasks").empty()) continue;
    if (!tasks) tasks = &c.at("stages").front().at("tasks");
    head.push_back(text_of(c, "label"));
  }
  if (!tasks) return rows;
  rows.push_back(head);
  for (size_t i = 0; i < tasks->size(); ++i) {
    const json& task = tasks->at(i);
    rows.push_back(
        {text_of(task, "task") + (task.at("held_out") == true ? " (held out)" : ""), text_of(task, "depth")});
    for (const json& c : report.at("contenders")) {
      if (c.at("stages").empty() || c.at("stages").front().at("tasks").empty()) continue;
      std::string cell;
      for (const json& s : c.at("stages")) {
        const json& t = s.at("tasks").at(i);
        const bool above = t.at("above") == true;
        cell += fmt::format("{}{}{:.0f}{} / {:.0f}", cell.empty() ? "" : " → ", above ? begin : "",
                            100 * number_of(t, "accuracy"), above ? end : "", 100 * number_of(t, "bare"));
      }
      rows.back().push_back(cell);
    }
  }
  return rows;
}

// Answers to all uses, one after the other.
std::string answers_of(const json& report) {
  std::string out;
  for (const json& use : report.at("uses")) out += (out.empty() ? "" : "\n") + text_of(use, "answer");
  return out;
}

std::string item_list(const json& items, const char* before, const char* after) {
  std::string out;
  for (const json& i : items) out += before + escaped(i.get<std::string>()) + after;
  return out;
}

std::string text_table(const json& report, Part part) {
  const std::vector<Column> columns = columns_of(report, part);
  std::vector<std::vector<Cell>> rows = {heads_of(columns)};
  for (const json& c : report.at("contenders")) rows.push_back(cells_of(columns, c));
  std::vector<size_t> widths(columns.size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max({widths[i], width_of(row[i].text), width_of(row[i].second)});
    }
  }
  std::string out;
  const auto line = [&](const std::vector<Cell>& row, bool second) {
    std::string text;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string& cell = second ? row[i].second : row[i].text;
      const std::string space(widths[i] - width_of(cell), ' ');
      text += i == 0 ? cell + space : "  " + space + cell;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  for (const auto& row : rows) {
    line(row, false);
    line(row, true);
  }
  return out;
}

std::string page_table(const json& report, Part part) {
  const std::vector<Column> columns = columns_of(report, part);
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (const Column& column : columns) {
    const Cell& h = column.head;
    out += fmt::format("<th>{}<span class=\"sub\">{}</span></th>", escaped(h.text), escaped(h.second));
  }
  out += "</tr></thead><tbody>";
  int index = 0;
  for (const json& c : report.at("contenders")) {
    out += "<tr>";
    bool first = true;
    for (const Cell& cell : cells_of(columns, c)) {
      out += "<td>";
      if (first) out += fmt::format("<span class=\"dot\" style=\"background:var(--c{})\"></span>", index % 8);
      out += escaped(cell.text);
      if (!cell.second.empty()) out += "<span class=\"sub\">" + escaped(cell.second) + "</span>";
      out += "</td>";
      first = false;
    }
    out += "</tr>";
    ++index;
  }
  return out + "</tbody></table></div>";
}

}  // namespace

std::string comparison_table(std::string_view report_json) {
  const json report = parsed(report_json);
  return text_table(report, Part::figures) + "\n" + text_table(report, Part::costs) + "\n" + answers_of(report) + "\n";
}

std::string comparison_markdown(std::string_view report_json) {
  const json report = parsed(report_json);
  std::string out = fmt::format("# {}\n\n{}\n\n", text_of(report, "name"), text_of(report, "question"));
  for (const json& use : report.at("uses")) {
    out += fmt::format("- **{}** ({})\n", text_of(use, "answer"), text_of(use, "title"));
  }
  out += fmt::format("\nData: {}.\n\n", text_of(report, "data"));
  const auto row = [&](const std::vector<Cell>& r) {
    for (const Cell& c : r) out += "| " + c.text + (c.second.empty() ? "" : " (" + c.second + ")") + " ";
    out += "|\n";
  };
  for (Part part : {Part::figures, Part::costs}) {
    const std::vector<Column> columns = columns_of(report, part);
    if (part == Part::costs) out += "\n";
    row(heads_of(columns));
    for (size_t i = 0; i < columns.size(); ++i) out += i == 0 ? "|---" : "|--:";
    out += "|\n";
    for (const json& c : report.at("contenders")) row(cells_of(columns, c));
  }
  if (!report.at("differences").empty()) {
    out += "\n## Differences between contenders\n\n";
    for (const std::string& h : kDifferenceHeads) out += "| " + h + " ";
    out += "|\n|---|---|--:|--:|--:|--:|--:|\n";
    for (const json& d : report.at("differences")) {
      for (const std::string& c : difference_cells(report, d)) out += "| " + c + " ";
      out += "|\n";
    }
  }
  const auto tasks = task_rows(report, "**", "**");
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (i == 0) out += "\n## Answers, % right / % without context, after each stage (bold: above chance)\n\n";
    for (const std::string& cell : tasks[i]) out += "| " + cell + " ";
    out += "|\n";
    for (size_t j = 0; i == 0 && j < tasks[i].size(); ++j) out += j < 2 ? "|---" : "|--:";
    if (i == 0) out += "|\n";
  }
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
  const json report = parsed(report_json);
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

  add("<h2>Figures</h2>" + page_table(report, Part::figures));
  add("<p class=\"soft small\">Own loss: each contender's own objective on held-out text, nats per target, beside the "
      "unigram entropy of the same targets; not comparable between contenders. Means over seeds, with 95 % intervals "
      "over seeds and items. Scores: 0 is chance, or what is right without the context if that is more; 1 is all "
      "right.</p>");

  const bool generators = std::ranges::any_of(report.at("contenders"), [](const json& c) {
    return !c.at("stages").empty() && !c.at("stages").front().at("suffix").empty();
  });
  if (generators) {
    add("<h2>Suffix loss</h2><figure><figcaption>The second half of held-out texts given the first; lower is better. "
        "Diamonds: means; dots: seeds; bars: 95 % intervals.</figcaption><div class=\"chart low\"><canvas "
        "id=\"intervals\"></canvas></div></figure>");
  }
  if (!report.at("differences").empty()) {
    add("<div class=\"scroll\"><table><thead><tr>");
    for (const std::string& h : kDifferenceHeads) add("<th>" + escaped(h) + "</th>");
    add("</tr></thead><tbody>");
    for (const json& d : report.at("differences")) {
      body += "<tr>";
      for (const std::string& c : difference_cells(report, d)) body += "<td>" + escaped(c) + "</td>";
      add("</tr>");
    }
    add("</tbody></table></div>");
  }

  const auto tasks = task_rows(report, "\x01", "\x02");
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (i == 0) {
      add("<h2>Tasks</h2><figure><figcaption>Scores before and after finetuning, with 95 % intervals; 0 is chance (the "
          "context left out).</figcaption><div class=\"chart\"><canvas id=\"scores\"></canvas></div></figure>");
      add("<p class=\"soft\">Each kind of questions: % right, and % right with the context left out, which is chance; "
          "after "
          "pretraining → after finetuning. Bold: above chance in every seed.</p><div class=\"scroll\"><table "
          "class=\"tight\"><thead>");
    }
    body += "<tr>";
    for (const std::string& cell : tasks[i]) {
      std::string text = escaped(cell);
      for (size_t at; (at = text.find('\x01')) != std::string::npos;) text.replace(at, 1, "<strong>");
      for (size_t at; (at = text.find('\x02')) != std::string::npos;) text.replace(at, 1, "</strong>");
      body += fmt::format("<{0}>{1}</{0}>", i == 0 ? "th" : "td", text);
    }
    add(i == 0 ? "</tr></thead><tbody>" : "</tr>");
  }
  if (!tasks.empty()) add("</tbody></table></div>");

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

  add("<h2>Samples</h2><p class=\"soft\">All on the same held-out text, from the run with seed 1.</p>");
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

  add("<h2>What was equal, and what was not</h2><div class=\"columns\"><div><h3>Equal</h3><ul>" +
      item_list(report.at("equal"), "<li>", "</li>") + "</ul></div><div><h3>Not equal</h3><ul>" +
      item_list(report.at("unequal"), "<li>", "</li>") + "</ul></div></div>");
  add("<h2>How to read this</h2><ul>" + item_list(report.at("notes"), "<li>", "</li>") + "</ul>");
  add(
      fmt::format("<h2>Settings</h2><p>triarch {}, {}, {} instructions.</p><details><summary>All settings"
                  "</summary><pre>{}</pre></details>",
                  escaped(text_of(report, "version")), escaped(text_of(report, "precision")),
                  escaped(text_of(report, "instruction_set")), escaped(report.at("config").dump(2))));
  add(fmt::format("<h2>Again</h2><pre>{}</pre>", escaped(text_of(report, "command"))));

  // A "</script>" in a sample must not end the script.
  std::string data = report.dump();
  for (size_t at = 0; (at = data.find("</", at)) != std::string::npos; at += 3) data.replace(at, 2, "<\\/");
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n"
      "<main>\n{}</main>\n<script type=\"application/json\" id=\"report\">{}</script>\n<script>{}</script>\n"
      "<script>\n{}</script>\n</body>\n</html>\n",
      escaped(text_of(report, "name")), page_css(), body, data, chart_js(), comparison_js());
}

}  // namespace triarch::report
