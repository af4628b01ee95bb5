#include "triarch/report/cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "triarch/base/human.h"
#include "triarch/report/page.h"

namespace triarch::report {

using nlohmann::json;

std::string text_of(const json& j, const char* key) { return j.at(key).get<std::string>(); }
double number_of(const json& j, const char* key) {
  return j.at(key).is_null() ? std::nan("") : j.at(key).get<double>();
}
namespace {

std::string fixed(double x) { return std::isfinite(x) ? fmt::format("{:.3f}", x) : "-"; }

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
  return {fixed(number_of(*f, "mean")),
          fmt::format("{} to {}", fixed(number_of(*f, "low")), fixed(number_of(*f, "high")))};
}

// The columns of the two tables, the same in all three forms: what the head says, and what of a contender.
struct Column {
  Cell head;
  std::function<Cell(const json& contender)> cell;
};
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

void add_losses(const json& report, std::vector<Column>& all) {
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
                   const json& floor = c.at("entropy_floor");
                   return {fixed(number_of(c, "own_loss")),
                           fmt::format("of {:.3f}{}", number_of(c, "unigram_entropy"),
                                       floor.is_null() ? "" : fmt::format(", floor {:.3f}", floor.get<double>()))};
                 }});
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
  std::vector<std::pair<std::string, double>> heads;  // and who always says the most frequent label
  for (const json& c : report.at("contenders")) {
    for (const json& h : c.at("heads")) {
      const std::pair head(text_of(h, "name"), number_of(h, "majority"));
      if (std::ranges::find(heads, head) == heads.end()) heads.push_back(head);
    }
  }
  for (const auto& [head, majority] : heads) {
    all.push_back({{"label: " + head, fmt::format("accuracy, 95 %; most frequent {:.3f}", majority)},
                   [head = head](const json& c) {
                     for (const json& h : c.at("heads")) {
                       if (h.at("name") == head) return figure_cell(&h.at("accuracy"));
                     }
                     return Cell{"-", ""};
                   }});
  }
}

void add_tasks(const json& report, std::vector<Column>& all) {
  const auto any = [&](const char* stage, const char* group) {
    return std::ranges::any_of(report.at("contenders"),
                               [&](const json& c) { return score_of(c, stage, group) != nullptr; });
  };
  const auto add_score = [&](const char* name, const char* second, const char* stage, const char* group) {
    if (!any(stage, group)) return;
    all.push_back({{name, second}, [=](const json& c) { return figure_cell(score_of(c, stage, group)); }});
  };
  add_score("zero-shot", "score, 95 %", "pretrained", "seen");
  // With demonstrations, and the same questions without.
  const auto add_shots = [&](const char* name, const char* stage) {
    if (!any(stage, "few_shot")) return;
    all.push_back({{name, "0-shot, the same"}, [=](const json& c) -> Cell {
                     const json *few = score_of(c, stage, "few_shot"), *zero = score_of(c, stage, "few_shot_without");
                     if (!few || !zero) return {"-", ""};
                     return {fixed(number_of(*few, "mean")), fixed(number_of(*zero, "mean"))};
                   }});
  };
  add_shots("few-shot", "pretrained");
  add_score("trained tasks", "after finetuning", "finetuned", "training");
  add_score("held-out tasks", "after finetuning", "finetuned", "held_out");
  add_shots("few-shot after", "finetuned");
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
  if (part == Part::tasks) add_tasks(report, all);
  if (part == Part::costs) add_costs(report, all);
  if (part == Part::losses) add_losses(report, all);
  return all;
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

std::string label_of(const json& report, const json& name) {
  for (const json& c : report.at("contenders")) {
    if (c.at("name") == name) return text_of(c, "label");
  }
  return name.get<std::string>();
}

// "a minus b: -0.115, 95 % -0.15 to -0.08; every seed agrees": as cells.
std::vector<std::string> difference_cells(const json& report, const json& d) {
  return {text_of(d, "measure"),
          fmt::format("{} minus {}", label_of(report, d.at("a")), label_of(report, d.at("b"))),
          fmt::format("{:+.3f}", number_of(d, "mean")),
          fmt::format("{:+.3f} to {:+.3f}", number_of(d, "low"), number_of(d, "high")),
          d.at("same_direction") == true ? "yes" : "no",
          d.at("significant") == true ? "yes" : "not shown"};
}
const std::vector<std::string> kDifferenceHeads = {"use",           "of",         "difference",
                                                   "95 % interval", "every seed", "significant"};

const std::vector<std::string> kAdaptationHeads = {"from",           "to",           "to the loss",
                                                   "tokens adapted", "from scratch", "speed-up"};
std::vector<std::string> adaptation_cells(const json& a) {
  std::string speedup = "-";
  if (!a.at("speedup").empty()) {
    const json& f = a.at("speedup").front();
    speedup = fmt::format("{:.2f} (", number_of(f, "mean"));
    bool first = true;
    for (const json& seed : f.at("seeds")) {
      speedup += fmt::format("{}{:.2f}", first ? "" : ", ", seed.get<double>());
      first = false;
    }
    speedup += ")";
  }
  if (number_of(a, "at_once") > 0) speedup += fmt::format("; at once in {}", a.at("at_once").dump());
  return {text_of(a, "from"),
          text_of(a, "to"),
          fixed(number_of(a, "target_loss")),
          human_count(number_of(a, "adapted_tokens")),
          human_count(number_of(a, "scratch_tokens")),
          speedup};
}

}  // namespace

std::vector<std::vector<Cell>> contender_rows(const json& report, Part part) {
  const std::vector<Column> columns = columns_of(report, part);
  std::vector<std::vector<Cell>> rows(1);
  for (const Column& column : columns) rows.front().push_back(column.head);
  for (const json& c : report.at("contenders")) rows.push_back(cells_of(columns, c));
  return rows;
}

Rows difference_rows(const json& report) {
  Rows rows = {kDifferenceHeads};
  for (const json& d : report.at("differences")) rows.push_back(difference_cells(report, d));
  return rows;
}

Rows grid_rows(const json& report) {
  Rows rows = {{"architecture"}};
  std::vector<std::string> objectives;
  struct Entry {
    std::string family, objective;
    const json* contender;
  };
  std::vector<Entry> entries;
  bool several = false;
  for (const json& c : report.at("contenders")) {
    const std::string title = text_of(c, "title");
    const size_t open = title.find(" (");
    if (open == std::string::npos || c.at("runs") == 0) continue;
    std::string objective = title.substr(open + 2, title.size() - open - 3);
    // The paper's "full or prefix language modelling": what each decoder does of its own.
    if (objective == "next token" || objective == "prefix LM") objective = "next token or prefix LM";
    const std::string family = title.substr(0, open);
    several = several || std::ranges::find(entries, family, &Entry::family) != entries.end();
    if (std::ranges::find(objectives, objective) == objectives.end()) objectives.push_back(objective);
    entries.push_back({family, objective, &c});
  }
  if (!several) return rows;
  for (const std::string& o : objectives) {
    rows[0].push_back(o + ": zero-shot");
    rows[0].push_back(o + ", finetuned: held-out tasks");
  }
  for (const Entry& e : entries) {
    auto row = std::ranges::find_if(rows, [&](const auto& r) { return r[0] == e.family; });
    if (row == rows.end()) {
      rows.emplace_back(1 + 2 * objectives.size(), "-");
      row = rows.end() - 1;
      row->front() = e.family;
    }
    const size_t column = 1 + 2 * size_t(std::ranges::find(objectives, e.objective) - objectives.begin());
    const auto tell = [&](const char* stage, const char* group) {
      const json* f = score_of(*e.contender, stage, group);
      if (!f) return std::string("-");
      return fmt::format("{:.3f} ({:.3f} to {:.3f})", number_of(*f, "mean"), number_of(*f, "low"),
                         number_of(*f, "high"));
    };
    (*row)[column] = tell("pretrained", "seen");
    (*row)[column + 1] = tell("finetuned", "held_out");
  }
  return rows;
}

Rows adaptation_rows(const json& report) {
  Rows rows = {kAdaptationHeads};
  for (const json& a : report.at("adaptations")) {
    if (number_of(a, "runs") > 0) rows.push_back(adaptation_cells(a));
  }
  return rows;
}

Rows task_rows(const json& report, const char* begin, const char* end) {
  Rows rows;
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
        {visible(text_of(task, "task")) + (task.at("held_out") == true ? " (held out)" : ""), text_of(task, "depth")});
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

}  // namespace triarch::report
