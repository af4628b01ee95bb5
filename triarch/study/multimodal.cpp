#include "triarch/study/multimodal.h"

#include <limits>

#include "triarch/base/error.h"
#include "triarch/inference/generate.h"
#include "triarch/inference/packed.h"
#include "triarch/study/batches.h"
#include "triarch/train/learner.h"
#include "triarch/train/schedule.h"

namespace triarch {
namespace {

constexpr int64_t kQuestion = 8;  // tokens, at most; with bos and eos
constexpr int64_t kRows = 2048;   // of a pass

class Pupil {
 public:
  Pupil(const MultimodalTask& task, const MultimodalOptions& o, const MultimodalContender& c, double rate,
        uint64_t seed)
      : task_(task),
        options_(o),
        blind_(c.blind),
        learner_(spec(task, o, c), Precision::float32(), OptimizerConfig().scaled(rate)) {
    learner_.model().parameters().initialise(seed);
  }

  Learner& learner() { return learner_; }

  Example example(const Described& d) const {
    Example e = task_.example(d);
    if (blind_) std::fill(e.features.begin(), e.features.end(), 0.0f);
    return e;
  }

  std::vector<double> nats(const std::vector<Described>& items) {
    std::vector<double> out(items.size(), 0.0);
    Model& model = learner_.model();
    packed(
        model, task_.tokenizer.specials(), kRows, items.size(), [&](size_t i) { return example(items[i]); },
        [&](Context& ctx, const Batch& batch, size_t first, size_t count) {
          const ops::Loss loss = model.loss(ctx, model.forward(ctx, batch), batch, {}, true);
          size_t row = 0;
          for (size_t i = first; i < first + count; ++i) {
            for (size_t t = 0; t < example(items[i]).target.size(); ++t) out[i] += loss.rows[row++];
          }
        });
    return out;
  }

  double loss(const std::vector<Described>& items) {
    double sum = 0, tokens = 0;
    for (double n : nats(items)) sum += n;
    for (const Described& d : items) tokens += double(task_.example(d).target.size());
    return sum / tokens;
  }

  MultimodalAnswers answers(const std::vector<Described>& items) {
    MultimodalAnswers out;
    out.nats = nats(items);
    std::vector<Request> requests;
    for (const Described& d : items) {
      Example e = example(d);
      Request r;
      r.source = std::move(e.source);
      r.features = std::move(e.features);
      r.options.sampling.temperature = 0;
      r.options.max_tokens = task_.answer_tokens;
      requests.push_back(std::move(r));
    }
    const Model& model = learner_.model();
    Session session(model, task_.tokenizer.specials(), room_for(model.spec(), requests));
    const auto said = generate(session, task_.tokenizer, std::move(requests));
    for (size_t i = 0; i < items.size(); ++i) {
      const Generation& g = said[i][0];
      const std::string text = g.text.substr(g.text.starts_with(' '));
      out.right += text == items[i].answer && g.finish == Finish::eos ? '1' : '0';
      out.said.push_back(text);
    }
    return out;
  }

  std::vector<Batch> batches(uint64_t seed, int64_t step) const {
    Batches out(layout_of(learner_.model().spec().family), task_.tokenizer.specials(),
                options_.batch * (task_.rows + kQuestion + task_.answer_tokens));
    for (int64_t i = 0; i < options_.batch; ++i) out.add(example(task_.show(seed, step * options_.batch + i)));
    return out.take();
  }

 private:
  static ModelSpec spec(const MultimodalTask& task, const MultimodalOptions& o, const MultimodalContender& c) {
    ModelSpec s = preset(o.preset, c.family, o.width, o.layers);
    s.vocabulary = task.tokenizer.vocabulary();
    s.features = task.features;
    s.max_positions = task.rows + kQuestion + task.answer_tokens;
    return s;
  }

  const MultimodalTask& task_;
  const MultimodalOptions& options_;
  bool blind_;
  mutable Learner learner_;
};

}  // namespace

std::optional<MultimodalResult> learn_multimodal(const MultimodalTask& task, const MultimodalOptions& o,
                                                 const MultimodalContender& contender, double rate, uint64_t seed,
                                                 bool asked, const PartProgress& going) {
  Pupil pupil(task, o, contender, rate, seed);
  MultimodalResult out;
  out.parameters = pupil.learner().model().parameters().count();
  const Schedule schedule;
  int64_t tokens = 0;
  double flops = 0;
  out.curve = {{0, pupil.loss(task.validation)}};
  try {
    for (int64_t i = 0; i < o.steps; ++i) {
      const Tally t = pupil.learner().step(pupil.batches(seed, i), schedule.factor(i, o.steps));
      tokens += t.tokens;
      flops += t.flops;
      if (!going(double(i + 1) / double(o.steps + 1), tokens)) return std::nullopt;
      if ((i + 1) * o.points / o.steps != i * o.points / o.steps) {
        out.curve.push_back({tokens, pupil.loss(task.validation)});
      }
    }
  } catch (const Error& e) {
    if (e.code != ExitCode::diverged) throw;
    out.loss = std::numeric_limits<double>::quiet_NaN();
    return out;
  }
  out.flops = flops / double(o.steps);
  out.loss = out.curve.back().loss;
  for (const DescribedSet& set : task.sets) {
    if (asked) out.answers.push_back(pupil.answers(set.items));
  }
  return out;
}

}  // namespace triarch
