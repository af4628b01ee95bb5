#include "triarch/study/rank_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/human.h"
#include "triarch/base/signals.h"
#include "triarch/inference/attention_maps.h"

namespace triarch {
namespace {

using Text = std::vector<int32_t>;

struct Layer {
  SpectrumSum heads, averaged;  // each head by itself; the mean map of all heads
};
using Layers = std::map<std::pair<std::string, int64_t>, Layer>;  // stack, layer

// Self attention of a model over texts.
Layers layers_of(const StudiedModel& m, std::span<const Text> texts, double sharpness) {
  Layers out;
  for (const Text& text : texts) {
    for (const AttentionMap& map :
         attention_maps(*m.model, m.tokenizer->specials(), looked_at(m.model->spec(), text), sharpness)) {
      const auto n = int64_t(map.queries.size());
      if (map.cross || int64_t(map.keys.size()) != n) continue;
      Layer& layer = out[{map.stack, map.layer}];
      std::vector<double> mean(size_t(n * n), 0.0);
      for (int64_t h = 0; h < map.heads; ++h) {
        const std::span one(map.probability.data() + h * n * n, size_t(n * n));
        layer.heads.add(spectrum_of(one, n), double(n));
        for (size_t i = 0; i < one.size(); ++i) mean[i] += one[i] / double(map.heads);
      }
      layer.averaged.add(spectrum_of(mean, n), double(n));
    }
  }
  return out;
}

bool has_two_stacks(const StudiedModel& m) { return m.model->spec().has_encoder() && m.model->spec().has_decoder(); }

std::string title_of(const StudiedModel& m, const std::string& stack) {
  return has_two_stacks(m) ? m.title + ", " + stack : m.title;
}

// A line for each stack of the model: the mean of its layers at each x.
template <class Figure>
std::map<std::string, StudySeries> lines_of(const StudiedModel& m, const std::vector<double>& x,
                                            const std::vector<Layers>& measured, const Figure& figure) {
  std::map<std::string, StudySeries> lines;
  for (size_t i = 0; i < x.size(); ++i) {
    std::map<std::string, std::pair<double, double>> sums;
    for (const auto& [at, layer] : measured[i]) {
      sums[at.first].first += figure(layer);
      sums[at.first].second += 1;
    }
    for (const auto& [stack, sum] : sums) {
      StudySeries& line = lines[stack];
      line.label = title_of(m, stack);
      line.x.push_back(x[i]);
      line.y.push_back(sum.first / sum.second);
    }
  }
  return lines;
}

void add_by_layer(std::span<const StudiedModel> models, StudyReport& r) {
  StudyTable table{"Models: self attention by layer, mean over heads and texts",
                   joined({"model", "layer"}, SpectrumSum::heads()),
                   {}};
  table.head.push_back("heads averaged: effective rank");
  StudyChart chart{"Models' self attention by layer", "layer", "effective rank / n"};
  for (const StudiedModel& m : models) {
    std::map<std::string, StudySeries> lines;
    for (const auto& [at, layer] : layers_of(m, m.texts, 1)) {
      const auto& [stack, place] = at;
      table.rows.push_back(joined({m.title, fmt::format("{} {}", stack, place + 1)}, layer.heads.cells()));
      table.rows.back().push_back(fmt::format("{:.1f} %", 100 * layer.averaged.effective_rank()));
      StudySeries& line = lines[stack];
      line.label = title_of(m, stack);
      line.x.push_back(double(place + 1));
      line.y.push_back(layer.heads.effective_rank());
    }
    for (auto& [stack, line] : lines) chart.series.push_back(std::move(line));
  }
  r.tables.push_back(table);
  r.charts.push_back(chart);
}

void add_by_sharpness(std::span<const StudiedModel> models, const std::vector<double>& sharpness, StudyReport& r) {
  struct Of {
    const char* title;
    double (*figure)(const Layer&);
    const char* form;
  };
  const Of figures[] = {
      {"effective rank, % of n", [](const Layer& l) { return 100 * l.heads.effective_rank(); }, "{:.1f}"},
      {"log10 smin/smax", [](const Layer& l) { return l.heads.log_condition(); }, "{:.1f}"},
      {"entropy of a row, nats", [](const Layer& l) { return l.heads.entropy(); }, "{:.2f}"}};
  std::vector<StudyTable> tables;
  for (const Of& f : figures) {
    tables.push_back({fmt::format("Models' scores multiplied: {}", f.title), {"model", "layer"}, {}});
    for (double s : sharpness) tables.back().head.push_back(fmt::format("x {}", s));
  }
  StudyChart chart{"Models' scores multiplied: effective rank, mean of a stack's layers", "scores multiplied by",
                   "effective rank / n", true};
  std::map<double, int> most;  // how many stacks keep most at which scale
  for (const StudiedModel& m : models) {
    std::vector<Layers> measured;
    for (double s : sharpness) measured.push_back(layers_of(m, m.texts, s));
    for (const auto& [at, layer] : measured.front()) {
      for (size_t f = 0; f < tables.size(); ++f) {
        std::vector<std::string> row = {m.title, fmt::format("{} {}", at.first, at.second + 1)};
        for (const Layers& l : measured) {
          row.push_back(fmt::format(fmt::runtime(figures[f].form), figures[f].figure(l.at(at))));
        }
        tables[f].rows.push_back(row);
      }
    }
    for (auto& [stack, line] :
         lines_of(m, sharpness, measured, [](const Layer& l) { return l.heads.effective_rank(); })) {
      most[sharpness[size_t(std::ranges::max_element(line.y) - line.y.begin())]] += 1;
      chart.series.push_back(std::move(line));
    }
  }
  for (StudyTable& t : tables) r.tables.push_back(std::move(t));
  r.charts.push_back(chart);
  std::vector<std::string> where;
  for (const auto& [scale, stacks] : most) where.push_back(fmt::format("times {} in {}", scale, stacks));
  r.findings.push_back(
      fmt::format("In trained models, by what their scores are multiplied with, effective rank is largest: {} "
                  "of {} stacks.",
                  listed(where), chart.series.size()));
}

void add_by_length(std::span<const StudiedModel> models, StudyReport& r) {
  size_t longest = 0;
  for (const StudiedModel& m : models) {
    for (const Text& t : m.texts) longest = std::max(longest, t.size());
  }
  std::vector<int64_t> lengths;  // halves of the longest
  for (auto n = int64_t(longest); n >= 8; n /= 2) lengths.insert(lengths.begin(), n);
  if (lengths.size() < 2) return;
  StudyTable table{"Models' attention by length of the text: effective rank, % of n", {"model"}, {}};
  for (int64_t n : lengths) table.head.push_back(std::to_string(n));
  StudyChart chart{"Models' attention by length of the text, mean of a stack's layers", "tokens", "effective rank / n",
                   true};
  for (const StudiedModel& m : models) {
    std::vector<Layers> measured;
    std::vector<double> x;
    for (int64_t n : lengths) {
      std::vector<Text> cut;
      for (const Text& t : m.texts) {
        if (int64_t(t.size()) >= n) cut.emplace_back(t.begin(), t.begin() + n);
      }
      if (cut.empty()) continue;
      x.push_back(double(n));
      measured.push_back(layers_of(m, cut, 1));
    }
    for (auto& [stack, line] : lines_of(m, x, measured, [](const Layer& l) { return l.heads.effective_rank(); })) {
      std::vector<std::string> row = {line.label};
      for (int64_t n : lengths) {
        const auto at = std::ranges::find(line.x, double(n));
        row.push_back(at == line.x.end() ? "-" : fmt::format("{:.1f}", 100 * line.y[size_t(at - line.x.begin())]));
      }
      table.rows.push_back(row);
      chart.series.push_back(std::move(line));
    }
  }
  r.tables.push_back(table);
  r.charts.push_back(chart);
}

}  // namespace

void SpectrumSum::add(const Spectrum& s, double length) {
  n_ += 1;
  rank_ += s.rank / length;
  effective_ += s.effective_rank / length;
  log_condition_ += std::log10(s.condition);
  log_determinant_ += s.log_determinant / length;
  entropy_ += s.entropy;
}

std::vector<std::string> SpectrumSum::heads() {
  return {"rank of n", "effective rank of n", "log10 smin/smax", "ln |det| / n", "entropy, nats"};
}

std::vector<std::string> SpectrumSum::cells() const {
  return {fmt::format("{:.0f} %", 100 * rank_ / n_), fmt::format("{:.1f} %", 100 * effective_rank()),
          fmt::format("{:.1f}", log_condition()), fmt::format("{:.2f}", log_determinant_ / n_),
          fmt::format("{:.2f}", entropy())};
}

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool add_models(std::span<const StudiedModel> models, const RankOptions& options, StudyReport& r) {
  add_by_layer(models, r);
  if (stop_signal() != 0) return false;
  add_by_sharpness(models, options.sharpness, r);
  if (stop_signal() != 0) return false;
  add_by_length(models, r);
  return true;
}

}  // namespace triarch
