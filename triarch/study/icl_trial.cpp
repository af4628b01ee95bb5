#include "triarch/study/icl_trial.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/error.h"
#include "triarch/inference/packed.h"
#include "triarch/inference/sampling.h"
#include "triarch/study/agreement.h"
#include "triarch/study/attention_view.h"
#include "triarch/study/batches.h"
#include "triarch/study/demonstrations.h"
#include "triarch/study/key_value_tuning.h"
#include "triarch/train/schedule.h"

namespace triarch {
namespace {

constexpr size_t kWords = DemonstrationWorld::kWords, kLabels = DemonstrationWorld::kLabels;
// What keys are for.
enum class IclUse : uint64_t { learning, choosing, measuring };

// An attention of the row that answers.
struct IclPlace {
  AttentionPlace at;
  size_t first_layer;          // that demonstrations reach
  bool demonstrations, query;  // which keys are there
};

std::vector<IclPlace> places_of(Family family) {
  if (family != Family::encoder_decoder) return {{{false, false}, 0, true, true}};
  return {{{false, true}, 0, true, false}, {{false, false}, 1, false, true}};
}
std::vector<AttentionPlace> watched(const std::vector<IclPlace>& places) {
  std::vector<AttentionPlace> out;
  for (const IclPlace& p : places) out.push_back(p.at);
  return out;
}

ModelSpec spec_of(Family family, const IclOptions& o, int64_t vocabulary) {
  ModelSpec s = preset("llama", family, o.width, o.layers);
  s.vocabulary = vocabulary;
  if (o.layers < 2) fail(ExitCode::usage, "icl: expected at least 2 layers, found {}", o.layers);
  s.max_positions = (o.demonstrations + 1) * int64_t(kWords + 1) + 8;
  s.check();
  return s;
}

// An answer and what led to it.
struct Answer {
  bool right = false;
  double nll = 0;  // nats, among the labels
  std::vector<AttentionView> views;
};

// Sums that become an IclAgreement.
struct Sums {
  std::vector<double> outputs;
  double weights = 0, tokens = 0, demonstrations = 0, n = 0;
};

class IclTrial {
 public:
  IclTrial(Family family, uint64_t seed, const IclOptions& o)
      : o_(o),
        family_(family),
        seed_(seed),
        places_(places_of(family)),
        learner_(spec_of(family, o, world_.tokenizer().vocabulary()), Precision::float32(),
                 OptimizerConfig().scaled(o.learning_rate)) {
    learner_.model().parameters().initialise(seed);
  }

  bool learn(const PartProgress& going);
  IclResult measure();

 private:
  void only_labels(Batch& batch) const {
    for (int32_t& target : batch.targets) target = world_.is_label(target) ? target : -1;
  }
  Batch batch_of(const Example& example) const;
  // The row that answers a question, in every place.
  std::vector<int64_t> looking_rows(const Example& question) const;
  // Answers, with the views if there is a watch.
  Answer ask(std::span<const Demonstration> shown, const Demonstration& query, AttentionWatch* watch);
  // One epoch. The views of each step, if there is a watch.
  std::vector<std::vector<AttentionView>> finetune(KeyValueTuning& tuning, std::span<const Demonstration> examples,
                                                   double rate, AttentionWatch* watch);
  // A rate and what finetuning with it answers on the validation tasks.
  struct Tried {
    double rate, right, nll;
  };
  // The best first, without those that diverge.
  std::vector<Tried> try_rates(KeyValueTuning& tuning);
  IclResult measure(KeyValueTuning& tuning, double rate);

  // Agreement of scores to the query's words.
  static double weights_agreement(const IclPlace& place, const AttentionView& icl, const AttentionView& other);
  void add_taus(size_t place, const AttentionView& icl, const AttentionView& tuned,
                const std::vector<std::vector<AttentionView>>& steps, Sums& sums) const;

  const IclOptions& o_;
  const Family family_;
  const uint64_t seed_;
  const DemonstrationWorld world_;
  const std::vector<IclPlace> places_;
  Learner learner_;
  int64_t tokens_ = 0;
};

bool IclTrial::learn(const PartProgress& going) {
  const auto examples = size_t(o_.demonstrations + 1);
  Batches batches(layout_of(family_), world_.tokenizer().specials(), 4096);
  Schedule schedule;
  for (int64_t step = 0; step < o_.steps; ++step) {
    for (int64_t i = 0; i < o_.documents; ++i) {
      const Key key =
          Key(seed_, Purpose::world).with(uint64_t(IclUse::learning)).with(uint64_t(step)).with(uint64_t(i));
      const DemonstrationTask task = world_.task(key);
      Draw draw(key.with(1));
      std::vector<Demonstration> document;
      while (document.size() < examples) document.push_back(world_.draw(task, size_t(draw.below(kLabels)), draw));
      // A causal model learns from every label of a document; others from those behind what they see as a whole.
      const size_t known = family_ == Family::causal ? 0 : size_t(draw.below(examples));
      batches.add(world_.document(document, known));
    }
    std::vector<Batch> all = batches.take();
    for (Batch& b : all) {
      only_labels(b);
      tokens_ += b.rows();
    }
    learner_.step(all, schedule.factor(step, o_.steps));
    if (!going(double(step + 1) / double(o_.steps), tokens_)) return false;
  }
  return true;
}

Batch IclTrial::batch_of(const Example& example) const {
  const int64_t rows = int64_t(example.source.size() + example.target.size()) + 8;
  Packer packer(layout_of(family_), world_.tokenizer().specials(), rows, rows);
  require(packer.add(example), "icl: an example of {} rows was refused", rows);
  return packer.batch();
}

std::vector<int64_t> IclTrial::looking_rows(const Example& question) const {
  // bos, demonstrations unless an encoder has them, and the query's words.
  const size_t before = family_ == Family::encoder_decoder ? 0 : question.source.size();
  return std::vector<int64_t>(places_.size(), int64_t(before + kWords));
}

Answer IclTrial::ask(std::span<const Demonstration> shown, const Demonstration& query, AttentionWatch* watch) {
  const Example example = world_.question(shown, query);
  const Batch batch = batch_of(example);
  Answer answer;
  if (watch) watch->look(looking_rows(example));
  {
    Model& model = learner_.model();
    Context ctx{learner_.arena(), nullptr, model.parameters().precision()};
    const std::vector<double> logits =
        doubles_of(model.logits(ctx, model.forward(ctx, batch), std::span(&batch.loss_rows.back(), 1)));
    std::vector<double> among;
    for (int32_t id : world_.labels()) among.push_back(logits[size_t(id)]);
    answer.right = world_.labels()[size_t(argmax(among))] == query.label;
    answer.nll = logsumexp(among) - logits[size_t(query.label)];
  }
  if (watch) answer.views = watch->take();
  return answer;
}

std::vector<std::vector<AttentionView>> IclTrial::finetune(KeyValueTuning& tuning,
                                                           std::span<const Demonstration> examples, double rate,
                                                           AttentionWatch* watch) {
  std::vector<std::vector<AttentionView>> out;
  tuning.reset();
  for (const Demonstration& d : examples) {
    Example example = world_.question({}, d);
    if (watch) watch->look(looking_rows(example));
    // A row more, so that the label is among those with a query of its own; nothing is learnt there.
    example.target.push_back(world_.tokenizer().specials().eos);
    Batch batch = batch_of(example);
    only_labels(batch);
    if (!tuning.step(batch, rate)) fail(ExitCode::diverged, "icl: finetuning diverged at a rate of {}", rate);
    if (watch) out.push_back(watch->take());
  }
  // The last step's loss is from before it.
  if (!std::isfinite(tuning.moved())) fail(ExitCode::diverged, "icl: finetuning diverged at a rate of {}", rate);
  return out;
}

std::vector<IclTrial::Tried> IclTrial::try_rates(KeyValueTuning& tuning) {
  std::vector<Tried> out;
  for (double rate : o_.rates) {
    Tried tried{rate, 0, 0};
    try {
      for (int64_t t = 0; t < o_.validation_tasks; ++t) {
        const Key key = Key(1, Purpose::test).with(uint64_t(IclUse::choosing)).with(uint64_t(t));
        const DemonstrationTask task = world_.task(key);
        Draw draw(key.with(1));
        finetune(tuning, world_.balanced(task, size_t(o_.demonstrations), draw), rate, nullptr);
        for (const Demonstration& q : world_.balanced(task, size_t(o_.queries), draw)) {
          const Answer a = ask({}, q, nullptr);
          tried.right += a.right;
          tried.nll += a.nll;
        }
      }
    } catch (const Error& e) {
      if (e.code != ExitCode::diverged) throw;
      continue;
    }
    if (std::isfinite(tried.nll)) out.push_back(tried);
  }
  std::ranges::stable_sort(
      out, [](const Tried& a, const Tried& b) { return a.right != b.right ? a.right > b.right : a.nll < b.nll; });
  return out;
}

double IclTrial::weights_agreement(const IclPlace& place, const AttentionView& icl, const AttentionView& other) {
  double sum = 0, n = 0;
  for (size_t l = place.first_layer; l < icl.layers.size(); ++l) {
    for (int64_t h = 0; h < icl.heads; ++h) {
      // The query's words are the last keys.
      const auto to_query = [&](const AttentionView& v) {
        return std::span(v.layers[l].scores).subspan(size_t((h + 1) * v.keys) - kWords, kWords);
      };
      sum += cosine(to_query(icl), to_query(other));
      n += 1;
    }
  }
  return sum / n;
}

void IclTrial::add_taus(size_t place, const AttentionView& icl, const AttentionView& tuned,
                        const std::vector<std::vector<AttentionView>>& steps, Sums& sums) const {
  // Without demonstrations the rows are bos, the words and, in finetuning, the label.
  constexpr int64_t kAnswers = kWords;
  const size_t first_key = places_[place].at.cross ? 0 : 1;
  for (size_t l = 0; l < icl.layers.size(); ++l) {
    const std::vector<double> attention = icl.attention(l);
    const std::vector<double>& q = tuned.layers[l].queries;
    const auto width = int64_t(q.size()) / tuned.rows;
    std::vector<double> to_tokens, to_all, token_products, answer_products;
    for (size_t i = 0; i < steps.size(); ++i) {
      const std::vector<double>& trained = steps[i][place].layers[l].queries;
      const auto product = [&](int64_t row) {
        double dot = 0;
        for (int64_t c = 0; c < width; ++c) dot += q[size_t(kAnswers * width + c)] * trained[size_t(row * width + c)];
        return dot;
      };
      double all = 0;
      for (size_t w = 0; w <= kWords; ++w) {
        to_tokens.push_back(attention[first_key + i * (kWords + 1) + w]);
        token_products.push_back(product(int64_t(w) + 1));
        all += to_tokens.back();
      }
      to_all.push_back(all);
      answer_products.push_back(product(kAnswers));
    }
    const double share = 1 / double(icl.layers.size());
    sums.tokens += share * kendall_tau(to_tokens, token_products);
    sums.demonstrations += share * kendall_tau(to_all, answer_products);
  }
}

IclResult IclTrial::measure() {
  KeyValueTuning tuning(learner_);
  double limit = HUGE_VAL;
  for (const Tried& tried : try_rates(tuning)) {
    if (tried.rate >= limit) continue;
    try {
      return measure(tuning, tried.rate);
    } catch (const Error& e) {
      if (e.code != ExitCode::diverged) throw;
      limit = tried.rate;  // the validation tasks bore a rate that another does not
    }
  }
  fail(ExitCode::diverged, "icl: expected a rate with which finetuning converges, found that it diverges from {} on",
       std::ranges::min(o_.rates));
}

IclResult IclTrial::measure(KeyValueTuning& tuning, double rate) {
  IclResult out;
  out.family = family_;
  out.seed = seed_;
  out.parameters = learner_.model().parameters().count();
  out.tokens = tokens_;
  out.rate = rate;
  for (int64_t k = 0; k < o_.demonstrations; k = std::max<int64_t>(1, 2 * k)) out.counts.push_back(k);
  out.counts.push_back(o_.demonstrations);
  out.by_count.assign(out.counts.size(), 0.0);
  out.weights_before.assign(places_.size(), 0.0);

  AttentionWatch watch(learner_.model(), watched(places_));
  const std::vector<std::string> names = {kFinetuned, kShuffled, kOtherTask, kRandom, kReordered};
  for (const std::string& name : names) out.updates.push_back({name, 0, 0, 0, 0, {}});
  std::vector<std::vector<Sums>> sums(names.size(), std::vector<Sums>(places_.size()));
  double n = 0, wrong = 0, right_of_wrong = 0;
  for (int64_t t = 0; t < o_.tasks; ++t) {
    const Key key = Key(1, Purpose::test).with(uint64_t(IclUse::measuring)).with(uint64_t(t));
    const DemonstrationTask task = world_.task(key);
    Draw draw(key.with(1));
    const auto count = size_t(o_.demonstrations);
    const std::vector<Demonstration> shown = world_.balanced(task, count, draw);
    const std::vector<Demonstration> queries = world_.balanced(task, size_t(o_.queries), draw);
    const std::vector<Demonstration> other = world_.balanced(world_.task(key.with(2)), count, draw);
    std::vector<Demonstration> shuffled = shown, reordered = shown;
    std::vector<int32_t> labels;
    for (const Demonstration& d : shown) labels.push_back(d.label);
    draw.shuffle(labels.data(), labels.size());
    for (size_t i = 0; i < count; ++i) shuffled[i].label = labels[i];
    draw.shuffle(reordered.data(), count);

    tuning.reset();
    std::vector<Answer> zero, icl;
    for (const Demonstration& q : queries) {
      zero.push_back(ask({}, q, &watch));
      icl.push_back(ask(shown, q, &watch));
      for (size_t k = 0; k < out.counts.size(); ++k) {
        out.by_count[k] += ask(std::span(shown).first(size_t(out.counts[k])), q, nullptr).right;
      }
      for (size_t p = 0; p < places_.size(); ++p) {
        if (places_[p].query) {
          out.weights_before[p] += weights_agreement(places_[p], icl.back().views[p], zero.back().views[p]);
        }
      }
      n += 1;
      out.zero_shot += zero.back().right;
      out.in_context += icl.back().right;
      wrong += !zero.back().right;
      right_of_wrong += !zero.back().right && icl.back().right;
    }
    for (size_t u = 0; u < names.size(); ++u) {
      std::vector<std::vector<AttentionView>> steps;
      if (names[u] == kFinetuned) steps = finetune(tuning, shown, out.rate, &watch);
      if (names[u] == kShuffled) steps = finetune(tuning, shuffled, out.rate, &watch);
      if (names[u] == kOtherTask) steps = finetune(tuning, other, out.rate, &watch);
      if (names[u] == kRandom) {
        finetune(tuning, shown, out.rate, nullptr);
        tuning.randomise(uint64_t(t) + 1);
      }
      if (names[u] == kReordered) tuning.reset();
      IclUpdate& update = out.updates[u];
      update.moved += tuning.moved() / double(o_.tasks);
      for (size_t i = 0; i < queries.size(); ++i) {
        const Answer a =
            ask(names[u] == kReordered ? std::span<const Demonstration>(reordered) : std::span<const Demonstration>(),
                queries[i], &watch);
        update.accuracy += double(a.right) / double(o_.tasks * o_.queries);
        update.learnt += a.right && !zero[i].right;
        update.recalled += a.right && !zero[i].right && icl[i].right;
        for (size_t p = 0; p < places_.size(); ++p) {
          Sums& s = sums[u][p];
          const AttentionView &x = icl[i].views[p], &z = zero[i].views[p], &y = a.views[p];
          const size_t first = places_[p].first_layer;
          s.outputs.resize(x.layers.size() - first, 0.0);
          for (size_t l = first; l < x.layers.size(); ++l) {
            s.outputs[l - first] += cosine_from(z.layers[l].output, x.layers[l].output, y.layers[l].output);
          }
          if (places_[p].query) s.weights += weights_agreement(places_[p], x, y);
          if (places_[p].demonstrations && !steps.empty()) add_taus(p, x, y, steps, s);
          s.n += 1;
        }
      }
    }
  }
  out.zero_shot /= n;
  out.in_context /= n;
  out.in_context_of_wrong = wrong > 0 ? right_of_wrong / wrong : 0;
  for (double& x : out.by_count) x /= n;
  for (double& x : out.weights_before) x /= n;
  for (size_t u = 0; u < names.size(); ++u) {
    const bool trained = names[u] != kRandom && names[u] != kReordered;
    for (size_t p = 0; p < places_.size(); ++p) {
      const Sums& s = sums[u][p];
      IclAgreement a;
      a.place = places_[p].at.title();
      a.first_layer = int64_t(places_[p].first_layer);
      for (double x : s.outputs) a.outputs.push_back(x / s.n);
      if (places_[p].query) a.weights = s.weights / s.n;
      if (places_[p].demonstrations && trained) {
        a.tau_demonstrations = s.demonstrations / s.n;
        a.tau_tokens = s.tokens / s.n;
      }
      out.updates[u].agreement.push_back(a);
    }
  }
  return out;
}

}  // namespace

std::optional<IclResult> icl_trial(Family family, uint64_t seed, const IclOptions& options, const PartProgress& going) {
  IclTrial trial(family, seed, options);
  if (!trial.learn(going)) return std::nullopt;
  return trial.measure();
}

}  // namespace triarch
