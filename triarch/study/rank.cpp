#include "triarch/study/rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/inference/attention_maps.h"
#include "triarch/inference/score.h"
#include "triarch/study/spectrum.h"

namespace triarch {
namespace {

// Sums of figures, as shares of the length where they grow with it.
struct Sum {
  double n = 0, rank = 0, effective = 0, log_condition = 0, log_determinant = 0, entropy = 0;
  void add(const Spectrum& s, double length) {
    n += 1;
    rank += s.rank / length;
    effective += s.effective_rank / length;
    log_condition += std::log10(s.condition);
    log_determinant += s.log_determinant / length;
    entropy += s.entropy;
  }
  std::vector<std::string> cells() const {
    return {fmt::format("{:.0f} %", 100 * rank / n), fmt::format("{:.1f} %", 100 * effective / n),
            fmt::format("{:.1f}", log_condition / n), fmt::format("{:.2f}", log_determinant / n),
            fmt::format("{:.2f}", entropy / n)};
  }
};
const std::vector<std::string> kHeads = {"rank of n", "effective rank of n", "log10 smin/smax", "ln |det| / n",
                                         "entropy, nats"};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

enum class Seen : uint8_t { both_sides, left, mixed };
constexpr std::pair<Seen, const char*> kSeen[] = {
    {Seen::both_sides, "both sides"}, {Seen::left, "left only (causal)"}, {Seen::mixed, "forward and backward heads"}};

// Softmax of q.k scaled to logits of deviation `scale`; the mean of a forward and a backward head if mixed.
std::vector<double> constructed(Seen seen, int64_t n, int64_t d, double scale, Key key) {
  std::vector<double> out(size_t(n * n), 0.0);
  const int heads = seen == Seen::mixed ? 2 : 1;
  for (int h = 0; h < heads; ++h) {
    Draw draw(key.with(uint64_t(h)));
    std::vector<double> q(size_t(n * d)), k(size_t(n * d));
    for (double& x : q) x = draw.normal();
    for (double& x : k) x = draw.normal();
    for (int64_t i = 0; i < n; ++i) {
      const int64_t begin = h == 1 ? i : 0, end = seen == Seen::both_sides || h == 1 ? n : i + 1;
      std::vector<double> row;
      double sum = 0;
      for (int64_t j = begin; j < end; ++j) {
        double dot = 0;
        for (int64_t c = 0; c < d; ++c) dot += q[size_t(i * d + c)] * k[size_t(j * d + c)];
        row.push_back(std::exp(scale * dot / std::sqrt(double(d))));
        sum += row.back();
      }
      for (int64_t j = begin; j < end; ++j) out[size_t(i * n + j)] += row[size_t(j - begin)] / sum / heads;
    }
  }
  return out;
}

void add_constructed(const RankOptions& o, StudyReport& r) {
  const Key key(1, Purpose::test);
  std::map<std::pair<Seen, double>, double> by_scale;
  StudyTable table{"Constructed: logits q.k / sqrt(d) of random vectors, by what a token sees",
                   joined({"seen", "n", "deviation of logits"}, kHeads),
                   {}};
  StudyChart scale_chart{"Constructed maps by the scale of their logits, n = " + std::to_string(o.lengths.back()),
                         "standard deviation of the logits", "effective rank / n", true};
  StudyChart length_chart{"Constructed maps by length, logits of deviation 1", "n", "effective rank / n", true};
  for (const auto& [seen, name] : kSeen) {
    StudySeries by, along;
    by.label = along.label = name;
    const auto measure = [&](int64_t n, double scale) {
      Sum sum;
      for (int64_t draw = 0; draw < o.draws; ++draw) {
        sum.add(spectrum_of(constructed(seen, n, o.head_dim, scale, key.with(uint64_t(n)).with(uint64_t(draw))), n),
                double(n));
      }
      return sum;
    };
    for (double scale : o.scales) {
      const Sum s = measure(o.lengths.back(), scale);
      table.rows.push_back(joined({name, std::to_string(o.lengths.back()), fmt::format("{}", scale)}, s.cells()));
      by.x.push_back(scale);
      by.y.push_back(s.effective / s.n);
      by_scale[{seen, scale}] = s.effective / s.n;
    }
    for (int64_t n : o.lengths) {
      const Sum s = measure(n, 1);
      if (n != o.lengths.back()) table.rows.push_back(joined({name, std::to_string(n), "1"}, s.cells()));
      along.x.push_back(double(n));
      along.y.push_back(s.effective / s.n);
    }
    scale_chart.series.push_back(by);
    length_chart.series.push_back(along);
  }
  r.tables.push_back(table);
  r.charts.push_back(scale_chart);
  r.charts.push_back(length_chart);
  double turns = -1;  // the first scale from which looking to both sides keeps more
  for (double scale : o.scales) {
    if (turns < 0 && by_scale[{Seen::both_sides, scale}] > by_scale[{Seen::left, scale}]) turns = scale;
  }
  r.findings.push_back(
      "A causal map is a triangle with a positive diagonal: its determinant is never 0, whatever the weights.");
  r.findings.push_back(
      turns < 0
          ? "On constructed logits it also has the larger effective rank at every scale tried."
          : fmt::format("Its effective rank is larger only while attention is nearly uniform: from logits of deviation "
                        "{} on, maps that see both sides have more ({:.0f} % of n against {:.0f} % there).",
                        turns, 100 * by_scale[{Seen::both_sides, turns}], 100 * by_scale[{Seen::left, turns}]));
}

void add_models(std::span<const StudiedModel> models, StudyReport& r) {
  StudyTable table{
      "Models: self attention by layer, mean over heads and texts", joined({"model", "layer"}, kHeads), {}};
  table.head.push_back("heads averaged: effective rank");
  StudyChart chart{"Models' self attention by layer", "layer", "effective rank / n"};
  for (const StudiedModel& m : models) {
    struct Of {
      Sum heads, averaged;
    };
    std::map<std::pair<std::string, int64_t>, Of> layers;
    for (const std::vector<int32_t>& text : m.texts) {
      for (const AttentionMap& map :
           attention_maps(*m.model, m.tokenizer->specials(), looked_at(m.model->spec(), text))) {
        const auto n = int64_t(map.queries.size());
        if (map.cross || int64_t(map.keys.size()) != n) continue;
        Of& of = layers[{map.stack, map.layer}];
        std::vector<double> mean(size_t(n * n), 0.0);
        for (int64_t h = 0; h < map.heads; ++h) {
          const std::span one(map.probability.data() + h * n * n, size_t(n * n));
          of.heads.add(spectrum_of(one, n), double(n));
          for (size_t i = 0; i < one.size(); ++i) mean[i] += one[i] / double(map.heads);
        }
        of.averaged.add(spectrum_of(mean, n), double(n));
      }
    }
    std::map<std::string, StudySeries> lines;
    for (const auto& [at, of] : layers) {
      const auto& [stack, layer] = at;
      table.rows.push_back(joined({m.title, fmt::format("{} {}", stack, layer + 1)}, of.heads.cells()));
      table.rows.back().push_back(fmt::format("{:.1f} %", 100 * of.averaged.effective / of.averaged.n));
      StudySeries& line = lines[stack];
      line.label = lines.size() > 1 || m.model->spec().has_encoder() == m.model->spec().has_decoder()
                       ? m.title + ", " + stack
                       : m.title;
      line.x.push_back(double(layer + 1));
      line.y.push_back(of.heads.effective / of.heads.n);
    }
    for (auto& [stack, line] : lines) chart.series.push_back(std::move(line));
  }
  r.tables.push_back(table);
  r.charts.push_back(chart);
}

}  // namespace

Example looked_at(const ModelSpec& spec, std::span<const int32_t> ids) {
  Example e;
  const size_t seen = spec.family == Family::encoder ? ids.size() : spec.family == Family::causal ? 0 : ids.size() / 2;
  e.source.assign(ids.begin(), ids.begin() + ptrdiff_t(seen));
  e.target.assign(ids.begin() + ptrdiff_t(seen), ids.end());
  if (spec.family == Family::encoder) e.labels.assign(ids.size(), -1);
  return e;
}

StudyReport rank_study(std::span<const StudiedModel> models, const RankOptions& options) {
  StudyReport r;
  r.name = "rank";
  r.title = "The rank of attention";
  r.question = "Is causal attention full rank, and attention to both sides low rank?";
  r.source = "Su Jianlin, kexue.fm 9529 (2023); effective rank: Roy and Vetterli, EUSIPCO 2007.";
  add_constructed(options, r);
  if (!models.empty()) add_models(models, r);
  r.method = {
      "Rank: singular values above n eps smax, with float32's eps. Effective rank: exp of the entropy of the singular "
      "values as shares of their sum. smin below 1e-16 smax is rounding, and counted as that. ln |det|: of triangles "
      "the sum of ln of the diagonal, else of the singular values. "
      "Entropy: of a row, mean over rows.",
      fmt::format(
          "Constructed: q and k of {} independent normal numbers, softmax over what is seen; mean of {} draws. A "
          "forward and a backward head: half of the heads see the left, half the right; here the mean of two such "
          "maps.",
          options.head_dim, options.draws),
      "Models: their own maps over held-out texts, in the arithmetic of the model, singular values in float64."};
  r.limits = {
      "A map's rank says what it may keep, not what a model does with it: values, other heads, the residual stream and "
      "the "
      "feed-forward layers come on top (study collapse).",
      "A few small models and texts; no intervals."};
  r.command = "triarch study rank";
  return r;
}

StudyReport attention_study(std::span<const StudiedModel> models, bool each_head) {
  StudyReport r;
  r.name = "attention";
  r.title = "Inside attention";
  r.question = "Who looks at whom?";
  r.source = "The models' own softmax, asked with unit vectors in place of values.";
  for (const StudiedModel& m : models) {
    require(!m.texts.empty(), "study attention: expected a text for {}, found none", m.title);
    const Example e = looked_at(m.model->spec(), m.texts.front());
    r.pictures.push_back({m.title, attention_pictures(*m.model, *m.tokenizer, e, each_head)});
    if (m.model->spec().family == Family::encoder) continue;
    // What it expected of each token that it predicts.
    const std::vector<ScoreItem> items = {{e.source, e.target, {}}};
    const Score s = score(*m.model, *m.tokenizer, items).front();
    const std::vector<int32_t>& ids = m.texts.front();
    // Models of other tokenizers get a table of their own.
    const auto word = [&](int32_t id) { return m.tokenizer->decode(std::vector<int32_t>{id}, true); };
    std::vector<std::string> tokens;
    for (int32_t id : ids) tokens.push_back(word(id));
    const auto same = [&](const StudyTable& t) {
      return std::ranges::equal(t.rows, tokens, {}, [](const auto& row) { return row.front(); });
    };
    auto table = std::ranges::find_if(r.tables, same);
    if (table == r.tables.end()) {
      StudyTable t{"Probability of each token given what precedes it, and the likeliest one", {"token"}, {}};
      for (const std::string& token : tokens) t.rows.push_back({token});
      r.tables.push_back(std::move(t));
      table = r.tables.end() - 1;
    }
    table->head.push_back(m.title);
    for (size_t i = 0; i < ids.size(); ++i) {
      const size_t at = i - e.source.size();
      table->rows[i].push_back(i < e.source.size()
                                   ? "given"
                                   : fmt::format("{:.3f} {}", std::exp(s.log_probabilities[at]), word(s.best[at])));
    }
  }
  size_t attentions = 0;
  for (const PictureGroup& g : r.pictures) attentions += g.pictures.size();
  r.findings.push_back(fmt::format("{} attentions of {} on one text.", attentions,
                                   models.size() == 1 ? models[0].title : fmt::format("{} models", models.size())));
  r.method = {each_head ? "Every head of every layer." : "Mean over the heads of each layer; --heads shows each."};
  r.limits = {"One text. Where a model looks does not say what it does with what it sees."};
  r.command = "triarch study attention";
  return r;
}

}  // namespace triarch
