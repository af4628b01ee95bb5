#include "triarch/evaluate/task_scores.h"

#include <algorithm>

#include "triarch/base/error.h"

namespace triarch {
namespace {

constexpr double kLevel = 0.01;

// Of one task under one template, or the medians over its templates.
struct Cell {
  double right = 0, bare = 0;  // shares
  double chance = 0;
  double score() const { return chance < 1 ? (right - std::max(bare, chance)) / (1 - chance) : 0; }
};

Cell cell_of(const TaskAnswers& a, double chance, std::span<const double> counts) {
  double right = 0, bare = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    right += a.right[i] == '1' ? counts[i] : 0;
    if (!a.bare.empty()) bare += a.bare[i] == '1' ? counts[i] : 0;
  }
  const double n = double(counts.size());  // of draws, too
  return {right / n, a.bare.empty() ? chance : bare / n, chance};
}

// Tasks by name, each with its cells that a group holds.
struct TaskCells {
  std::string name;
  std::vector<size_t> cells;
};

std::vector<TaskCells> cells_of(std::span<const ChoiceTask> tasks,
                                const std::function<bool(const ChoiceTask&)>& holds) {
  std::vector<TaskCells> out;
  for (size_t c = 0; c < tasks.size(); ++c) {
    if (holds && !holds(tasks[c])) continue;
    auto at = std::ranges::find(out, tasks[c].name, &TaskCells::name);
    if (at == out.end()) at = out.insert(out.end(), {tasks[c].name, {}});
    at->cells.push_back(c);
  }
  return out;
}

Cell median_of(const TaskCells& task, std::span<const Cell> cells) {
  std::vector<double> right, bare, chance;
  for (size_t c : task.cells) {
    right.push_back(cells[c].right);
    bare.push_back(cells[c].bare);
    chance.push_back(cells[c].chance);
  }
  return {quantile(right, 0.5), quantile(bare, 0.5), quantile(chance, 0.5)};
}

double score_of(const std::vector<TaskCells>& group, std::span<const Cell> cells) {
  double sum = 0;
  for (const TaskCells& task : group) sum += median_of(task, cells).score();
  return sum / double(group.size());
}

// That the model does more than guess, and that context helps, all templates of the task together.
double p_value(const TaskCells& task, const std::vector<TaskAnswers>& run, std::span<const ChoiceTask> tasks) {
  int64_t gained = 0, lost = 0, right = 0, items = 0;
  double chance = 0;
  bool contexts = true;
  for (size_t c : task.cells) {
    const TaskAnswers& a = run[c];
    contexts = contexts && !a.bare.empty();
    right += std::ranges::count(a.right, '1');
    items += int64_t(a.right.size());
    chance += tasks[c].chance * double(a.right.size());
    for (size_t i = 0; i < a.bare.size(); ++i) {
      gained += a.right[i] == '1' && a.bare[i] == '0';
      lost += a.right[i] == '0' && a.bare[i] == '1';
    }
  }
  const double guessing = binomial_tail(right, items, chance / double(items));
  return contexts ? std::max(guessing, binomial_tail(gained, gained + lost, 0.5)) : guessing;
}

void check(const AnswerSet& set, std::span<const ChoiceTask> tasks) {
  for (const std::vector<TaskAnswers>& run : set.runs) {
    require(run.size() == tasks.size(), "tasks: expected answers to {} tasks, found {}", tasks.size(), run.size());
    for (size_t c = 0; c < tasks.size(); ++c) {
      const TaskAnswers& a = run[c];
      require(a.task == tasks[c].name && a.right.size() == tasks[c].choices.size() &&
                  (a.bare.empty() || a.bare.size() == a.right.size()),
              "tasks: expected {} answers to {}, found {} ({} without context) to {}", tasks[c].choices.size(),
              tasks[c].name, a.right.size(), a.bare.size(), a.task);
    }
  }
}

void list_tasks(const AnswerSet& set, std::span<const ChoiceTask> tasks,
                const std::vector<std::vector<Cell>>& cells_of_runs, TaskScores& out) {
  const std::vector<TaskCells> shown = cells_of(tasks, set.shown);
  for (const TaskCells& t : shown) {
    const ChoiceTask& first = tasks[t.cells.front()];
    out.tasks.push_back({t.name, first.depth, first.use, first.held_out});
    out.tasks.back().above = !set.runs.empty();
  }
  for (size_t r = 0; r < set.runs.size(); ++r) {
    std::vector<double> p;
    for (size_t t = 0; t < shown.size(); ++t) {
      const Cell m = median_of(shown[t], cells_of_runs[r]);
      const double n = double(set.runs.size());
      out.tasks[t].accuracy += m.right / n;
      out.tasks[t].bare += m.bare / n;
      out.tasks[t].score += m.score() / n;
      p.push_back(p_value(shown[t], set.runs[r], tasks));
    }
    const std::vector<bool> rejected = holm(p, kLevel);
    for (size_t t = 0; t < shown.size(); ++t) out.tasks[t].above = out.tasks[t].above && rejected[t];
  }
  out.above = std::ranges::count_if(out.tasks, &TaskFigures::above);
}

}  // namespace

std::vector<TaskScores> task_scores(std::span<const AnswerSet> sets, std::span<const ChoiceTask> tasks,
                                    std::span<const TaskGroup> groups, int64_t resamples) {
  std::vector<TaskScores> out(sets.size());
  std::vector<std::vector<TaskCells>> members;
  for (const TaskGroup& g : groups) members.push_back(cells_of(tasks, g.holds));
  std::vector<std::vector<double>> counts;
  for (const ChoiceTask& t : tasks) counts.emplace_back(t.choices.size(), 1.0);
  // The cells of each run of a set, with the items' counts as they are.
  const auto cells = [&](const AnswerSet& set) {
    std::vector<std::vector<Cell>> of_runs;
    for (const std::vector<TaskAnswers>& run : set.runs) {
      of_runs.emplace_back();
      for (size_t c = 0; c < tasks.size(); ++c) of_runs.back().push_back(cell_of(run[c], tasks[c].chance, counts[c]));
    }
    return of_runs;
  };
  for (size_t s = 0; s < sets.size(); ++s) {
    check(sets[s], tasks);
    const auto of_runs = cells(sets[s]);
    list_tasks(sets[s], tasks, of_runs, out[s]);
    out[s].groups.resize(groups.size());
    for (size_t g = 0; g < groups.size(); ++g) {
      if (members[g].empty()) continue;
      for (const auto& run : of_runs) out[s].groups[g].runs.push_back(score_of(members[g], run));
    }
  }
  for (int64_t r = 0; r < resamples; ++r) {
    Draw draw_item = resampled_items(r);
    for (std::vector<double>& c : counts) {
      std::ranges::fill(c, 0.0);
      for (size_t i = 0; i < c.size(); ++i) c[draw_item.below(c.size())] += 1;
    }
    for (size_t s = 0; s < sets.size(); ++s) {
      const size_t n = sets[s].runs.size();
      if (n == 0) continue;
      const auto of_runs = cells(sets[s]);
      const std::vector<size_t> drawn = resampled_runs(r, n);
      for (size_t g = 0; g < groups.size(); ++g) {
        if (members[g].empty()) continue;
        double sum = 0;
        for (size_t run : drawn) sum += score_of(members[g], of_runs[run]);
        out[s].groups[g].resamples.push_back(sum / double(n));
      }
    }
  }
  return out;
}

}  // namespace triarch
