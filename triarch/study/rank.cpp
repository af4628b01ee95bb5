#include "triarch/study/rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/clock.h"
#include "triarch/base/random.h"
#include "triarch/base/signals.h"
#include "triarch/base/threads.h"
#include "triarch/study/rank_models.h"
#include "triarch/study/trial_parts.h"
#include "triarch/study/workers.h"

namespace triarch {
namespace {

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

// False if a signal stopped it.
bool add_constructed(const RankOptions& o, StudyReport& r) {
  const Key key(1, Purpose::test);
  std::map<std::pair<Seen, double>, std::vector<double>> shares;  // effective rank / n of the longest, of each draw
  StudyTable table{"Constructed: logits q.k / sqrt(d) of random vectors, by what a token sees",
                   joined({"seen", "n", "deviation of logits"}, SpectrumSum::heads()),
                   {}};
  StudyChart scale_chart{"Constructed maps by the scale of their logits, n = " + std::to_string(o.lengths.back()),
                         "standard deviation of the logits", "effective rank / n", true};
  StudyChart length_chart{"Constructed maps by length, logits of deviation 1", "n", "effective rank / n", true};
  for (const auto& [seen, name] : kSeen) {
    StudySeries by, along;
    by.label = along.label = name;
    std::map<std::pair<int64_t, double>, SpectrumSum> known;  // the two charts share a point
    const auto measure = [&](int64_t n, double scale) {
      const auto [at, fresh] = known.try_emplace({n, scale});
      SpectrumSum& sum = at->second;
      if (!fresh) return sum;
      std::vector<Spectrum> draws(static_cast<size_t>(o.draws));
      each_on_a_thread(std::min<int>(thread_count(), int(o.draws)), o.draws, [&](int64_t d) {
        draws[size_t(d)] =
            spectrum_of(constructed(seen, n, o.head_dim, scale, key.with(uint64_t(n)).with(uint64_t(d))), n);
      });
      for (const Spectrum& s : draws) {
        sum.add(s, double(n));
        if (n == o.lengths.back()) shares[{seen, scale}].push_back(s.effective_rank / double(n));
      }
      return sum;
    };
    for (double scale : o.scales) {
      if (stop_signal() != 0) return false;
      const SpectrumSum s = measure(o.lengths.back(), scale);
      table.rows.push_back(joined({name, std::to_string(o.lengths.back()), fmt::format("{}", scale)}, s.cells()));
      by.x.push_back(scale);
      by.y.push_back(s.effective_rank());
    }
    for (int64_t n : o.lengths) {
      if (stop_signal() != 0) return false;
      const SpectrumSum s = measure(n, 1);
      if (n != o.lengths.back()) table.rows.push_back(joined({name, std::to_string(n), "1"}, s.cells()));
      along.x.push_back(double(n));
      along.y.push_back(s.effective_rank());
    }
    scale_chart.series.push_back(by);
    length_chart.series.push_back(along);
  }
  r.tables.push_back(table);
  r.charts.push_back(scale_chart);
  r.charts.push_back(length_chart);
  std::vector<Difference> by_scale;  // causal minus both sides
  std::string figures;
  double turns = -1;  // the first scale from which looking to both sides keeps more
  for (double scale : o.scales) {
    const std::vector<double>&left = shares[{Seen::left, scale}], &both = shares[{Seen::both_sides, scale}];
    by_scale.push_back(paired(left, both));
    figures += fmt::format("{}{} at deviation {}", figures.empty() ? "" : "; ", in_words(by_scale.back()), scale);
    if (turns < 0 && mean(both) > mean(left)) turns = scale;
  }
  r.evidence.push_back(
      {"rank", verdict_on_all(by_scale, true),
       fmt::format(
           "A causal map is never singular (a triangle); its effective rank as a share of n, minus that of maps "
           "that see both sides, by the scale of the logits: {} (n {}, {} draws).",
           figures, o.lengths.back(), by_scale.back().runs)});
  r.findings.push_back(
      "Full rank, exactly taken: yes. A causal map is a triangle with a positive diagonal, so its determinant is never "
      "0, whatever the weights.");
  r.findings.push_back(
      turns < 0
          ? "In effect: yes, too. On constructed logits its effective rank is the larger one at every scale tried."
          : fmt::format(
                "In effect: only while attention is nearly uniform. From logits of deviation {} on, maps that see "
                "both sides have the larger effective rank ({:.0f} % of n against {:.0f} % there).",
                turns, 100 * mean(shares[{Seen::both_sides, turns}]), 100 * mean(shares[{Seen::left, turns}])));
  return true;
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

std::optional<StudyReport> rank_study(std::span<const StudiedModel> models, const RankOptions& options) {
  StudyReport r;
  r.name = "rank";
  r.title = "The rank of attention";
  r.question = "Is causal attention full rank, and attention to both sides low rank?";
  r.source = "Su Jianlin, kexue.fm 9529 (2023); effective rank: Roy and Vetterli, EUSIPCO 2007.";
  for (const StudiedModel& m : models) {
    require(!m.texts.empty(), "study rank: expected a text for {}, found none; try a smaller --length", m.title);
  }
  if (!add_constructed(options, r)) return std::nullopt;
  if (!models.empty() && !add_models(models, options, r)) return std::nullopt;
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
      "Models: their own maps over held-out texts, in the arithmetic of the model, singular values in float64. By "
      "scale: each layer's scores are multiplied, over the rows that it has without that (position biases stay); by "
      "length: the beginnings of the texts that are long enough.",
      "Intervals of constructed maps: over draws, paired, 95 %."};
  r.limits = {
      "A map's rank says what it may keep, not what a model does with it: values, other heads, the residual stream and "
      "the feed-forward layers come on top (study collapse).",
      "A few small models and texts; no intervals of theirs."};
  return r;
}

double rank_seconds(const RankOptions& o) {
  const Stopwatch watch;
  const int64_t longest = o.lengths.back();
  spectrum_of(constructed(Seen::both_sides, longest, o.head_dim, 1, Key(1, Purpose::test)), longest);
  double maps = double(o.scales.size());  // of the longest; others cost as their cube
  for (int64_t n : o.lengths) {
    if (n != longest) maps += std::pow(double(n) / double(longest), 3);
  }
  const double each = maps * double(o.draws) * double(std::size(kSeen));
  return watch.seconds() * each / double(std::min<int64_t>(thread_count(), o.draws));
}

}  // namespace triarch
