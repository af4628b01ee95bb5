#include "triarch/study/trial.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/data/vocabulary.h"
#include "triarch/inference/generate.h"
#include "triarch/study/batches.h"
#include "triarch/study/samples.h"
#include "triarch/train/learner.h"

namespace triarch {
namespace {

// A contender made real: model, objective and how its steps are laid out.
struct Entrant {
  Entrant(const Contender& contender, const TrialInputs& in)
      : spec(model_of(contender, in.preset, in.width, in.layers, in.vocabulary->size, in.context)),
        objective(make_objective(contender.objectives, *in.vocabulary)),
        rows(rows_of_step(in.step_tokens, in.context)),
        batches(layout_of(contender.family), in.tokenizer->specials(), rows) {
    for (const ObjectiveSpec& o : contender.objectives) check_pairing(contender.family, o.kind);
    if (in.instructions) {
      ObjectiveSpec o;
      o.kind = contender.family == Family::encoder ? ObjectiveKind::masked_target : ObjectiveKind::seq2seq;
      answering = make_objective(o, *in.vocabulary);
    }
  }

  std::vector<Batch> step(const Curriculum& curriculum, int64_t i) {
    for (const Curriculum::Shown& shown : curriculum.step(i)) {
      const Passage passage = curriculum.passage(shown);
      const bool question = answering && !passage.target.empty();
      batches.add((question ? answering : objective)->example(passage, curriculum.key(shown)));
    }
    return batches.take();
  }

  // Held-out pieces, always the same examples: about `tokens` of them, evenly spread.
  std::vector<Batch> held_out(const TrialInputs& in, int64_t tokens) {
    const Documents documents = in.validation->view();
    struct Place {
      int64_t document, begin, end;
    };
    std::vector<Place> places;
    int64_t total = 0;
    for (int64_t d = 0; d < documents.size(); ++d) {
      const int64_t n = documents.begins[size_t(d + 1)] - documents.begins[size_t(d)];
      const int64_t step = in.cut ? in.context : std::max<int64_t>(1, n);
      for (int64_t b = 0; b < n; b += step) places.push_back({d, b, std::min(n, b + step)});
      total += n;
    }
    const size_t all = places.size();
    const size_t count = std::clamp(size_t(double(all) * double(tokens) / double(std::max<int64_t>(1, total))),
                                    std::min<size_t>(all, 1), all);
    for (size_t i = 0; i < count; ++i) {
      const Place& p = places[i * all / count];
      const Key key = Key(0, Purpose::corruption).with(uint64_t(p.document)).with(uint64_t(p.begin));
      batches.add(objective->example(documents.passage(p.document, p.begin, p.end), key));
    }
    return batches.take();
  }

  ModelSpec spec;
  std::unique_ptr<Objective> objective, answering;  // the latter of prompts, in finetuning
  int64_t rows;
  Batches batches;
};

double own_loss(Learner& learner, const std::vector<Batch>& batches) {
  Tally tally;
  for (const Batch& b : batches) tally.add(learner.evaluate(b));
  return tally.mean_nll();
}

double unigram_entropy(const std::vector<Batch>& batches, int64_t vocabulary) {
  std::vector<double> counts(size_t(vocabulary), 0.0);
  double total = 0, entropy = 0;
  for (const Batch& b : batches) {
    for (int32_t t : b.targets) {
      counts[size_t(t)] += 1;
      total += 1;
    }
  }
  for (double c : counts) {
    if (c > 0) entropy -= c / total * std::log(c / total);
  }
  return entropy;
}

// Every k-th item, for the curve.
SuffixSet part_of(const SuffixSet& all, size_t most) {
  SuffixSet part;
  const size_t n = all.items.size(), count = std::min(n, most);
  for (size_t i = 0; i < count; ++i) {
    const size_t k = i * n / count;
    part.items.push_back(all.items[k]);
    part.tokens.push_back(all.tokens[k]);
    part.bytes.push_back(all.bytes[k]);
  }
  return part;
}

double sum(const std::vector<double>& x) {
  double s = 0;
  for (double v : x) s += v;
  return s;
}

// Reports progress, in tokens learnt from; answering a question is taken as learning from a few.
class Work {
 public:
  Work(const TrialEvents& events, int64_t all) : events_(events), all_(double(std::max<int64_t>(1, all))) {}
  static int64_t of_questions(std::span<const ChoiceTask> tasks) {
    int64_t n = 0;
    for (const ChoiceTask& t : tasks) n += int64_t(t.choices.size());
    return 8 * n;
  }
  // False if the trial is to stop.
  bool done(int64_t more, int64_t tokens_seen) {
    done_ += double(more);
    return !events_.progress || events_.progress(std::min(1.0, done_ / all_), tokens_seen);
  }

 private:
  const TrialEvents& events_;
  double all_, done_ = 0;
};

// The stages as a contender sees them.
std::vector<Curriculum::Stage> stages_of(const Contender& contender, std::vector<Curriculum::Stage> stages) {
  for (Curriculum::Stage& s : stages) s.tokens = std::llround(double(s.tokens) * contender.token_share);
  return stages;
}

// Those that the family can learn.
std::vector<const HeadTask*> heads_of(const Contender& contender, const TrialInputs& in) {
  std::vector<const HeadTask*> out;
  for (const HeadTask& t : in.heads) {
    if (pairs(contender.family, t.kind())) out.push_back(&t);
  }
  return out;
}

int64_t tokens_of(const std::vector<const HeadTask*>& heads) {
  int64_t sum = 0;
  for (const HeadTask* t : heads) sum += t->tokens;
  return sum;
}

struct Stopped {};  // thrown inside of a trial

// One trial on its way.
class Trial {
 public:
  Trial(const Contender& contender, uint64_t seed, const TrialInputs& in, const TrialEvents& events)
      : contender_(contender),
        in_(in),
        entrant_(contender, in),
        pretraining_(stages_of(contender, in.stages), in.cut ? in.context : 0, in.step_tokens, seed),
        learner_(entrant_.spec, in.precision, optimizer_of(contender, in)),
        format_(suffix_format(contender.family, contender.objectives)),
        few_(part_of(*in.suffixes, 64)),
        some_(entrant_.held_out(in, in.validation_tokens)),
        asks_(!in.tasks.empty() && can_choose(contender.family, format_)),
        heads_(heads_of(contender, in)),
        instruction_tokens_(in.instructions ? std::llround(double(in.instruction_tokens) * contender.token_share) : 0),
        work_(events, pretraining_.tokens() + instruction_tokens_ + tokens_of(heads_) +
                          (asks_ ? times_asked() * Work::of_questions(in.tasks) : 0)) {
    learner_.model().parameters().initialise(seed);
    out_.contender = contender.name;
    out_.seed = seed;
    out_.parameters = learner_.model().parameters().count();
  }

  TrialResult run() {
    try {
      learn(pretraining_, 1, out_, in_.points, out_.curve);
      measure_pretrained();
      if (in_.instructions) {
        Finetuned& f = out_.finetuned.emplace_back();
        const Curriculum instructions({{in_.instructions, instruction_tokens_}}, 0, in_.step_tokens, out_.seed);
        // Whatever it learnt before, prompts and their answers show it plain continuation.
        if (format_ != SuffixFormat::none) format_ = SuffixFormat::continuation;
        learn(instructions, in_.finetune_rate, f, in_.finetune_points, f.curve);
        f.suffix_losses = suffix();
        f.answers = answers();
        f.exact = exact();
      }
    } catch (const Error& e) {
      if (e.code != ExitCode::diverged) throw;
      const char* stage = !out_.finetuned.empty() ? " in finetuning" : out_.own_loss != 0 ? " in a head" : "";
      out_.failure = fmt::format("diverged{}: {}", stage, e.what());
    }
    return out_;
  }

 private:
  // How often all questions are answered.
  int64_t times_asked() const {
    const int64_t stages = in_.instructions ? 2 : 1;
    return in_.ask_at_points ? stages + in_.points + in_.finetune_points : stages;
  }

  // With so many points of its curve.
  void learn(const Curriculum& curriculum, double rate, TrialCounters& c, int64_t points,
             std::vector<CurvePoint>& curve) {
    const int64_t steps = curriculum.steps();
    size_t state_bytes = 0;
    for (int64_t i = 0; i < steps; ++i) {
      const std::vector<Batch> batches = entrant_.step(curriculum, i);
      if (i == 0) {
        state_bytes = learner_.plan(batches).state_bytes;
        learner_.arena().reset_peak();
      }
      const Stopwatch watch;
      const Tally tally = learner_.step(batches, rate * in_.schedule.factor(i, steps));
      c.seconds += watch.seconds();
      since_.add(tally);
      c.steps = i + 1;
      c.tokens += tally.tokens;
      c.targets += int64_t(tally.weight);
      c.flops += tally.flops;
      c.examples += std::ranges::count_if(
          curriculum.step(i), [&](const Curriculum::Shown& s) { return !curriculum.passage(s).target.empty(); });
      seen_ += tally.tokens;
      if (!work_.done(tally.tokens, seen_)) throw Stopped{};
      // The memory of steps, not of evaluations.
      out_.peak_bytes = std::max(out_.peak_bytes, double(state_bytes + learner_.arena().peak()));
      if ((i + 1) * points / steps != i * points / steps) point(c, curve);
      learner_.arena().reset_peak();
    }
  }

  void point(const TrialCounters& c, std::vector<CurvePoint>& curve) {
    CurvePoint p;
    p.step = c.steps;
    p.tokens = c.tokens;
    p.targets = c.targets;
    p.examples = c.examples;
    p.flops = c.flops;
    p.seconds = c.seconds;
    p.train_loss = since_.mean_nll();
    p.own_loss = own_loss(learner_, some_);
    if (format_ != SuffixFormat::none) {
      p.suffix_loss =
          sum(suffix_losses(learner_.model(), *in_.tokenizer, few_, format_, entrant_.rows)) / sum(few_.tokens);
    }
    if (asks_ && in_.ask_at_points) p.accuracy = accuracy();
    curve.push_back(p);
    since_ = {};
  }

  void measure_pretrained() {
    const std::vector<Batch> many = entrant_.held_out(in_, 4 * in_.validation_tokens);
    out_.own_loss = own_loss(learner_, many);
    out_.unigram_entropy = unigram_entropy(many, in_.vocabulary->size);
    out_.suffix_losses = suffix();
    if (format_ != SuffixFormat::none) out_.outputs = outputs();
    out_.answers = answers();
    out_.exact = exact();
    for (const HeadTask* head : heads_) {
      out_.heads.push_back(learn_head(contender_, out_.seed, learner_.model(), *head, in_, [&](int64_t tokens) {
        if (!work_.done(tokens, seen_)) throw Stopped{};
      }));
    }
    out_.samples = samples_of(learner_.model(), contender_, *in_.tokenizer, *in_.suffixes);
    if (out_.seed == 1) out_.attention = attention_of(learner_.model(), *in_.tokenizer, *in_.suffixes);
  }

  std::vector<double> suffix() {
    if (format_ == SuffixFormat::none) return {};
    return suffix_losses(learner_.model(), *in_.tokenizer, *in_.suffixes, format_, entrant_.rows);
  }

  std::vector<std::string> outputs() {
    std::vector<Request> requests;
    for (size_t i = 0; i < in_.translations; ++i) {
      const ScoreItem& pair = in_.suffixes->items[i];
      Request& r = requests.emplace_back();
      r.source = pair.context;
      r.options.sampling.temperature = 0;
      r.options.max_tokens = int64_t(2 * pair.continuation.size() + 8);
    }
    std::vector<std::string> out;
    Session session(learner_.model(), in_.tokenizer->specials(), room_for(entrant_.spec, requests));
    for (const auto& choices : generate(session, *in_.tokenizer, std::move(requests))) out.push_back(choices[0].text);
    return out;
  }

  std::vector<TaskAnswers> answers() {
    std::vector<TaskAnswers> out;
    if (!asks_) return out;
    for (const ChoiceTask& task : in_.tasks) {
      ChoiceAnswers a = answer(learner_.model(), *in_.tokenizer, format_, task, in_.ranking, entrant_.rows);
      out.push_back({task.name, task.wrapper, std::move(a.right), std::move(a.bare)});
      // Long enough to ask whether to go on.
      if (!work_.done(Work::of_questions({&task, 1}), seen_)) throw Stopped{};
    }
    return out;
  }

  double accuracy() {
    double right = 0, all = 0;
    for (const TaskAnswers& a : answers()) {
      right += double(std::ranges::count(a.right, '1'));
      all += double(a.right.size());
    }
    return right / all;
  }

  std::vector<ExactAnswers> exact() {
    std::vector<ExactAnswers> out;
    if (format_ == SuffixFormat::none) return out;
    for (const ExactTask& task : in_.exact) {
      out.push_back(answer_exactly(learner_.model(), *in_.tokenizer, format_, task, entrant_.rows));
    }
    return out;
  }

  const Contender& contender_;
  const TrialInputs& in_;
  Entrant entrant_;
  const Curriculum pretraining_;
  Learner learner_;
  SuffixFormat format_;
  const SuffixSet few_;
  const std::vector<Batch> some_;
  const bool asks_;
  const std::vector<const HeadTask*> heads_;
  const int64_t instruction_tokens_;
  Work work_;
  int64_t seen_ = 0;
  Tally since_;
  TrialResult out_;
};

}  // namespace

OptimizerConfig optimizer_of(const Contender& contender, const TrialInputs& in) {
  require(contender.rate > 0,
          "trial: expected the learning rates of {} to be decided (swept_rate), found a share of {}", contender.name,
          contender.rate);
  return in.optimizer.scaled(contender.rate);
}

std::optional<TrialResult> run_trial(const Contender& contender, uint64_t seed, const TrialInputs& in,
                                     const TrialEvents& events) {
  try {
    return Trial(contender, seed, in, events).run();
  } catch (const Stopped&) {
    return std::nullopt;
  }
}

TrialCost trial_cost(const Contender& contender, const TrialInputs& in, double seconds_to_time) {
  TrialInputs small = in;
  for (Curriculum::Stage& s : small.stages) s.tokens = std::min<int64_t>(s.tokens, 32 * in.step_tokens);
  Entrant entrant(contender, small);
  const Curriculum curriculum(small.stages, in.cut ? in.context : 0, in.step_tokens, 1);
  Learner learner(entrant.spec, in.precision, in.optimizer);
  learner.model().parameters().initialise(1);
  TrialCost cost;
  cost.parameters = learner.model().parameters().count();
  int64_t tokens = 0;
  double flops = 0;
  const int64_t looked_at = std::min<int64_t>(curriculum.steps(), 4);
  for (int64_t i = 0; i < looked_at; ++i) {
    const std::vector<Batch> batches = entrant.step(curriculum, i);
    const Learner::Plan plan = learner.plan(batches);
    flops += plan.flops;
    cost.peak_bytes = std::max(cost.peak_bytes, double(plan.state_bytes + plan.activation_peak));
    for (const Batch& b : batches) tokens += b.tokens;
  }
  cost.flops_per_token = flops / double(tokens);
  if (seconds_to_time <= 0) return cost;
  // The first steps take memory; then until the time is up.
  Stopwatch watch;
  tokens = 0;
  for (int64_t i = 0; i < 2 || watch.seconds() < seconds_to_time; ++i) {
    if (i == 2) {
      watch.restart();
      tokens = 0;
    }
    const std::vector<Batch> batches = entrant.step(curriculum, i % curriculum.steps());
    tokens += learner.step(batches, 1e-3).tokens;
  }
  cost.seconds_per_token = watch.seconds() / double(std::max<int64_t>(1, tokens));
  return cost;
}

}  // namespace triarch
