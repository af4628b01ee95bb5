// The parts of the study, and what comes of their results.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/error.h"
#include "triarch/base/human.h"
#include "triarch/evaluate/statistics.h"
#include "triarch/study/multimodal.h"
#include "triarch/study/over_seeds.h"

namespace triarch {
namespace {

constexpr size_t kContenders = std::size(kMultimodal);
constexpr uint64_t kRateSeed = 1001;  // of no run that counts

// The share of learning rates that each contender was best at, and the losses at all of them as a cell.
struct Rates {
  std::vector<double> best;
  std::vector<std::string> tried;
};

std::optional<Rates> choose_rates(const MultimodalTask& task, const MultimodalOptions& o, StudyWork work) {
  work.folder /= "rates";
  std::vector<Part> parts;
  const auto of = [&](size_t part) { return std::pair{part / o.rates.size(), part % o.rates.size()}; };
  for (const MultimodalContender& c : kMultimodal) {
    for (double r : o.rates) {
      if (!c.blind) parts.push_back({fmt::format("{}-{}", c.name, r), 1, 0});
    }
  }
  const auto results = work_on<MultimodalResult>(work, parts, [&](size_t i, const PartProgress& going) {
    const auto [c, r] = of(i);
    return learn_multimodal(task, o, kMultimodal[c], o.rates[r], kRateSeed, false, going);
  });
  if (!results) return std::nullopt;
  Rates out{std::vector<double>(kContenders, 0.0), std::vector<std::string>(kContenders)};
  std::vector<double> least(kContenders, HUGE_VAL);
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto [c, r] = of(i);
    const double loss = (*results)[i].loss;
    out.tried[c] += fmt::format("{}{}: {}", r == 0 ? "" : ", ", o.rates[r],
                                std::isnan(loss) ? std::string("diverged") : fmt::format("{:.3f}", loss));
    if (loss < least[c]) least[c] = loss, out.best[c] = o.rates[r];
  }
  for (size_t c = 0; c < kContenders; ++c) {
    if (kMultimodal[c].blind) out.best[c] = out.best[0], out.tried[c] = "as the causal decoder";
    if (out.best[c] == 0) {
      fail(ExitCode::diverged, "study multimodal: the {} diverged at all learning rates; try smaller ones",
           kMultimodal[c].title);
    }
  }
  return out;
}

struct Results {
  const MultimodalTask& task;
  std::vector<std::vector<MultimodalResult>> runs;  // [contenders][seeds]

  // Of a set: answers that are right, or nats, by runs and items.
  Estimate right(size_t contender, size_t set) const {
    Measurements m;
    for (const MultimodalResult& r : runs[contender]) {
      m.values.emplace_back();
      for (char c : r.answers[set].right) m.values.back().push_back(c == '1');
    }
    return estimate(m);
  }
  Estimate nats(size_t contender, size_t set) const {
    Measurements m;
    for (const MultimodalResult& r : runs[contender]) m.values.push_back(r.answers[set].nats);
    for (const Described& d : task.sets[set].items) m.weights.push_back(double(task.example(d).target.size()));
    return estimate(m);
  }
};

std::string cell(const Estimate& e, double factor, const char* form, Interval range) {
  return with_interval(e.mean(), e.interval(), form, factor, range);
}

std::vector<std::string> head_of(const MultimodalTask& task, const char* first) {
  std::vector<std::string> head = {first};
  for (const DescribedSet& s : task.sets) head.push_back(s.title);
  return head;
}

// Share of a set's items that the most frequent answer of training to the same question gets right.
std::vector<double> most_frequent(const MultimodalTask& task) {
  std::map<std::string, std::map<std::string, int64_t>> seen;
  const int64_t looked = task.training > 0 ? task.training : 4000;
  for (int64_t i = 0; i < looked; ++i) {
    const Described d = task.show(1, i);
    ++seen[d.question][d.answer];
  }
  std::vector<double> out;
  for (const DescribedSet& s : task.sets) {
    double right = 0;
    for (const Described& d : s.items) {
      const auto& answers = seen[d.question];
      const auto best = std::ranges::max_element(answers, {}, [](const auto& a) { return a.second; });
      right += best != answers.end() && best->first == d.answer;
    }
    out.push_back(right / double(s.items.size()));
  }
  return out;
}

std::string pixels_of(const Picture& p) {
  std::string out;
  for (int64_t i = 0; i < p.height * p.width; ++i) {
    for (int64_t c = 0; c < 3; ++c) {
      const double v = double(p.pixels[size_t(i * p.channels + (p.channels == 3 ? c : 0))]);
      out += fmt::format("{:02x}", std::clamp<int>(int(std::lround(255 * v)), 0, 255));
    }
  }
  return out;
}

std::vector<Exhibit> exhibits_of(const Results& r, int64_t count) {
  std::vector<Exhibit> out;
  for (int64_t i = 0; i < count; ++i) {  // of all sets in turn
    const size_t set = size_t(i) % r.task.sets.size(), item = size_t(i) / r.task.sets.size();
    if (item >= r.task.sets[set].items.size()) continue;
    const Described& d = r.task.sets[set].items[item];
    Exhibit e;
    e.asked = r.task.sets[set].title + (d.question.empty() ? "" : ": " + d.question + "?");
    e.truth = d.answer;
    e.width = d.picture.width;
    e.pixels = pixels_of(d.picture);
    for (size_t c = 0; c < kContenders; ++c) {
      e.said.push_back({kMultimodal[c].title, r.runs[c][0].answers[set].said[item]});
    }
    out.push_back(std::move(e));
  }
  return out;
}

// Share of right answers by kind, over all sets.
StudyTable by_kind(const Results& r) {
  StudyTable t{"By what was asked: % right, mean over seeds", {"asked", "items"}, {}};
  for (const MultimodalContender& c : kMultimodal) t.head.push_back(c.title);
  for (const DescribedSet& s : r.task.sets) {
    const size_t set = size_t(&s - r.task.sets.data());
    std::map<std::string, std::vector<size_t>> kinds;
    for (size_t i = 0; i < s.items.size(); ++i) kinds[s.items[i].kind].push_back(i);
    if (kinds.size() < 2) continue;
    for (const auto& [kind, items] : kinds) {
      std::vector<std::string> row = {fmt::format("{} ({})", kind, s.title.substr(s.title.find(", ") + 2)),
                                      std::to_string(items.size())};
      for (const auto& runs : r.runs) {
        double right = 0;
        for (const MultimodalResult& run : runs) {
          for (size_t i : items) right += run.answers[set].right[i] == '1';
        }
        row.push_back(fmt::format("{:.1f}", 100 * right / double(items.size() * runs.size())));
      }
      t.rows.push_back(std::move(row));
    }
  }
  return t;
}

StudyChart curves_of(const Results& r) {
  StudyChart chart{"Held-out loss while learning, nats per token, mean over seeds", "rows and tokens seen",
                   "nats per token", false, true};
  for (size_t c = 0; c < kContenders; ++c) {
    StudySeries line;
    line.label = kMultimodal[c].title;
    for (size_t p = 1; p < r.runs[c][0].curve.size(); ++p) {  // before the first step nothing is known

      double sum = 0;
      for (const MultimodalResult& run : r.runs[c]) sum += run.curve[p].loss;
      line.x.push_back(double(r.runs[c][0].curve[p].tokens));
      line.y.push_back(sum / double(r.runs[c].size()));
    }
    chart.series.push_back(std::move(line));
  }
  return chart;
}

// All pairs of those that are shown something, in every set: a table, and sentences.
void compare(const Results& r, const std::vector<double>& chance, StudyReport& out) {
  StudyTable table{
      "Differences of % right, paired by seeds and items", {"pair", "where", "points", "95 %", "shown"}, {}};
  const size_t sets = r.task.sets.size();
  std::vector<int> better_in(kContenders, 0), worse_in(kContenders, 0);  // the encoder-decoder than each
  std::vector<std::string> by_set;
  for (size_t set = 0; set < sets; ++set) {
    std::vector<std::string> clear, means;
    std::vector<std::pair<size_t, size_t>> pairs;
    std::vector<Difference> differences;
    for (size_t a = 0; a < kContenders; ++a) {
      if (kMultimodal[a].blind) continue;
      means.push_back(fmt::format("{} {:.1f} %", kMultimodal[a].title, 100 * r.right(a, set).mean()));
      for (size_t b = 0; b < a; ++b) {
        pairs.emplace_back(a, b);
        differences.push_back(difference(r.right(a, set), r.right(b, set)));
      }
    }
    const std::vector<bool> shown = claimed(differences);
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto& [a, b] = pairs[i];
      const Difference& d = differences[i];
      table.rows.push_back({fmt::format("{} - {}", kMultimodal[a].title, kMultimodal[b].title), r.task.sets[set].title,
                            fmt::format("{:+.1f}", 100 * d.mean),
                            fmt::format("[{:+.1f}, {:+.1f}]", 100 * d.interval.low, 100 * d.interval.high),
                            told(shown[i], d, "better", "worse")});
      if (!shown[i]) continue;
      if (kMultimodal[a].family == Family::encoder_decoder) ++(d.mean > 0 ? better_in : worse_in)[b];
      const auto [better, worse] = d.mean > 0 ? std::pair{a, b} : std::pair{b, a};
      clear.push_back(fmt::format("the {} is better than the {}", kMultimodal[better].title, kMultimodal[worse].title));
    }
    by_set.push_back(sentence_case(fmt::format(
        "{}: {} right; {:.1f} % without seeing anything, {:.1f} % by the most frequent answer. {}.",
        r.task.sets[set].title, fmt::join(means, ", "), 100 * r.right(kContenders - 1, set).mean(), 100 * chance[set],
        clear.empty() ? fmt::format("The three: not told apart by {} seeds", r.runs[0].size())
                      : fmt::format("Shown: {}", fmt::join(clear, "; ")))));
  }
  std::vector<std::string> counts;
  for (size_t b = 0; b < 2; ++b) {
    counts.push_back(fmt::format("better than the {} in {} of {} measures and worse in {}", kMultimodal[b].title,
                                 better_in[b], sets, worse_in[b]));
  }
  out.findings.push_back(fmt::format("The encoder-decoder is shown to be {}.", fmt::join(counts, ", ")));
  out.findings.insert(out.findings.end(), by_set.begin(), by_set.end());
  out.tables.push_back(std::move(table));
}

}  // namespace

std::optional<StudyReport> multimodal_study(const MultimodalTask& task, const MultimodalOptions& o,
                                            const StudyWork& work) {
  if (work.say) {
    const int64_t models = int64_t((kContenders - 1) * o.rates.size()) + int64_t(kContenders) * o.seeds;
    work.say("plan", fmt::format("{} models of width {}, {} steps on {} each", models, o.width, o.steps, task.title));
  }
  const auto rates = choose_rates(task, o, work);
  if (!rates) return std::nullopt;
  StudyWork runs = work;
  runs.folder /= "runs";
  std::vector<Part> parts;
  for (const MultimodalContender& c : kMultimodal) {
    for (int64_t seed = 1; seed <= o.seeds; ++seed) parts.push_back({fmt::format("{}-{}", c.name, seed), 1, 0});
  }
  const auto done = work_on<MultimodalResult>(runs, parts, [&](size_t i, const PartProgress& going) {
    const size_t c = i / size_t(o.seeds);
    return learn_multimodal(task, o, kMultimodal[c], rates->best[c], 1 + i % size_t(o.seeds), true, going);
  });
  if (!done) return std::nullopt;
  Results results{task, std::vector<std::vector<MultimodalResult>>(kContenders)};
  for (size_t i = 0; i < parts.size(); ++i) {
    require(!std::isnan((*done)[i].loss), "study multimodal: {} diverged; try smaller learning rates", parts[i].name);
    results.runs[i / size_t(o.seeds)].push_back((*done)[i]);
  }

  StudyReport r;
  r.name = "multimodal";
  r.title = "Saying what is seen or heard: " + task.title;
  r.question = fmt::format("Is an encoder before the decoder better than one decoder that has the {} as its prefix?",
                           task.thing);
  r.source =
      "Patches as tokens: Dosovitskiy et al. 2021 (arXiv 2010.11929); an encoder before a decoder for speech: Radford "
      "et al. 2022 (arXiv 2212.04356); pictures as a decoder's prefix: Tsimpoukelli et al. 2021 (arXiv 2106.13884); "
      "prefixes seen both ways: Beyer et al. 2024 (arXiv 2407.07726).";
  const std::vector<double> chance = most_frequent(task);
  StudyTable right{fmt::format("% right, word by word [95 %], {} seeds", o.seeds), head_of(task, "model"), {}};
  StudyTable loss{"Loss of the right answer, nats per token [95 %]", head_of(task, "model"), {}};
  StudyTable cost{"What they are, and the learning rates tried (share: held-out loss)",
                  {"model", "weights", "MFLOP per step", "share", "tried"},
                  {}};
  for (size_t c = 0; c < kContenders; ++c) {
    std::vector<std::string> share = {kMultimodal[c].title}, nats = share;
    for (size_t s = 0; s < task.sets.size(); ++s) {
      share.push_back(cell(results.right(c, s), 100, "{:.1f}", kShare));
      nats.push_back(cell(results.nats(c, s), 1, "{:.3f}", kPositive));
    }
    right.rows.push_back(std::move(share));
    loss.rows.push_back(std::move(nats));
    const MultimodalResult& run = results.runs[c][0];
    cost.rows.push_back({kMultimodal[c].title, human_count(double(run.parameters)),
                         fmt::format("{:.0f}", run.flops / 1e6), fmt::format("{}", rates->best[c]), rates->tried[c]});
  }
  right.rows.push_back({"most frequent answer"});
  for (double share : chance) right.rows.back().push_back(fmt::format("{:.1f}", 100 * share));
  r.tables = {std::move(right), std::move(loss)};
  compare(results, chance, r);
  if (StudyTable kinds = by_kind(results); !kinds.rows.empty()) r.tables.push_back(std::move(kinds));
  r.tables.push_back(std::move(cost));
  r.charts = {curves_of(results)};
  r.exhibits = exhibits_of(results, o.exhibits);
  r.method = task.notes;
  r.method.push_back(fmt::format(
      "Preset {}, width {}, {} layers (in each stack of the encoder-decoder), {} steps of {} examples: the same for "
      "all by seed. Rows are embedded by one linear layer and stand before the question, in the decoder's prefix or in "
      "the encoder. \"Shown nothing\" is a causal decoder whose rows are zeros: it knows but how many there are.",
      o.preset, o.width, o.layers, o.steps, o.batch));
  r.method.push_back(
      "Right: the most likely word at each place gives exactly the answer and ends there. Intervals: as far as a "
      "bootstrap over seeds and items or Student's t over seeds reaches; a difference counts as shown if its interval "
      "excludes 0, every seed agrees, and it holds after Holm's correction over the three pairs of a measure.");
  r.method.push_back(
      "Each model learns at the best of the learning rates that were tried with another seed on examples held out for "
      "that.");
  r.limits = {
      "An encoder-decoder has more weights than a decoder of as many layers at about the same operations per example; "
      "another match could decide otherwise.",
      "Small models that learn from little: what they find hard is not what large ones find hard, and none is given "
      "what was learnt from text before."};
  const auto [lowest, highest] = std::ranges::minmax(o.rates);
  for (size_t c = 0; c < kContenders && lowest < highest; ++c) {
    if (kMultimodal[c].blind || (rates->best[c] > lowest && rates->best[c] < highest)) continue;
    r.limits.push_back(fmt::format(
        "The {} was best at the {} of the learning rates tried: {} ones could be better still.", kMultimodal[c].title,
        rates->best[c] == lowest ? "lowest" : "highest", rates->best[c] == lowest ? "lower" : "higher"));
  }
  if (task.training > 0) {
    r.limits.push_back(
        "Examples are held out at random: the same writers, speakers or devices may be in training. Nothing is said of "
        "others.");
  } else {
    r.limits.push_back("Generated pictures are all alike but for what is asked: little noise, no clutter, few words.");
  }
  return r;
}

}  // namespace triarch
