#include "triarch/train/run.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"

namespace triarch {

namespace {

std::vector<ObjectiveSpec> default_objectives(Family family) {
  ObjectiveSpec o;
  switch (family) {
    case Family::encoder:
      o.kind = ObjectiveKind::masked_lm;
      break;
    case Family::causal:
      o.kind = ObjectiveKind::next_token;
      break;
    case Family::prefix:
      o.kind = ObjectiveKind::prefix_lm;
      break;
    case Family::encoder_decoder:
      o.kind = ObjectiveKind::span_corruption;
      break;
    case Family::permutation:
      o.kind = ObjectiveKind::permutation_lm;
      break;
  }
  return {o};
}

void check_objectives(const TrainConfig& config, const std::vector<ObjectiveSpec>& objectives) {
  for (const ObjectiveSpec& o : objectives) {
    o.check();
    check_pairing(config.model.family, o.kind);
  }
}

// As the decoder's from some step on.
void check_visibility(ModelSpec model, const std::string& name) {
  const auto visibility = enum_value<Visibility>(name);
  if (!visibility) {
    fail(ExitCode::usage, "phases: '{}' is no visibility{}", name,
         did_you_mean(name, {"causal", "prefix", "forward_backward", "turn_prefix"}));
  }
  if (!model.has_decoder()) {
    fail(ExitCode::usage, "phases: expected no visibility for a model without a decoder, found '{}'", name);
  }
  model.decoder.visibility = *visibility;
  model.check();
}

}  // namespace

void resolve(TrainConfig& config, const RunData& data) {
  config.check();
  ModelSpec& m = config.model;
  m.vocabulary = data.tokenizer.vocabulary();
  // bos or cls and eos stand beside a piece's tokens.
  m.max_positions = std::max(m.max_positions, config.context + 2);
  const bool pairs = !data.train.target_begins.empty() && data.labels.empty();
  if (config.objectives.empty()) {
    config.objectives = default_objectives(m.family);
    if (pairs) {
      config.objectives[0].kind = m.family == Family::encoder ? ObjectiveKind::masked_target : ObjectiveKind::seq2seq;
    }
  }
  check_objectives(config, config.objectives);
  if (!data.labels.empty()) {
    m.labels = data.labels;
    // One head: the names are its own, and another's would be called by them.
    const bool tags = config.objectives.front().kind == ObjectiveKind::tagging;
    m.tags = tags ? int64_t(data.labels.size()) : 0;
    m.classes = tags ? 0 : int64_t(data.labels.size());
  }
  m.check();
  double begin = 0;
  for (const PhaseConfig& p : config.phases) {
    check_objectives(config, p.objectives);
    if (!(p.begin > begin && p.begin < 1)) {
      fail(ExitCode::usage, "phases: expected ascending begins inside (0, 1), shares of the run, found {} after {}",
           p.begin, begin);
    }
    begin = p.begin;
    if (!p.visibility.empty()) check_visibility(m, p.visibility);
  }
  if (config.budget.empty()) {
    // Twenty passes over a small text, one over a large one, in between by the root.
    const double tokens = double(data.train.tokens());
    config.budget.tokens = int64_t(tokens * std::clamp(20 * std::sqrt(1e5 / std::max(1.0, tokens)), 1.0, 20.0));
  }
}

Task::Task(const TrainConfig& config, const std::vector<ObjectiveSpec>& objectives, const RunData& data) : data_(data) {
  objective_ = make_objective(objectives, *data.vocabulary);
  options_.layout = layout_of(config.model.family);
  options_.capacity = config.batch_rows;
  options_.context = config.context + 2;
  options_.seed = config.seed;
  if (objective_->takes_text()) {
    if (!data.train.target_begins.empty()) {
      fail(ExitCode::usage,
           "train: {} learns from plain texts, found pairs (of an input and its target); take --objective seq2seq, "
           "classification or tagging, or masked_target for an encoder",
           enum_name(objectives.front().kind));
    }
    options_.piece = longest_passage(*objective_, options_.layout, options_.context, options_.capacity);
  }
}

Loader Task::loader(const Documents& documents, bool shuffle) const {
  LoaderOptions options = options_;
  options.shuffle = shuffle;
  const std::shared_ptr<const Objective> objective = objective_;
  return Loader(
      documents, [objective](const Passage& p, Key key) { return objective->example(p, key); },
      data_.tokenizer.specials(), options);
}

Loader Task::train_loader() const { return loader(data_.train_documents(), true); }
Loader Task::validation_loader() const { return loader(data_.validation_documents(), false); }

Evaluation evaluate(Learner& learner, Loader loader, int64_t rows, bool all) {
  Evaluation e;
  std::vector<double> counts;
  double total = 0;
  while (true) {
    const bool begins = rows <= 0 || e.tally.rows < rows;
    if (!begins && !all) break;
    const Batch& batch = loader.next();
    if (batch.rows() == 0) break;
    const Tally seen = learner.evaluate(batch);
    if (begins) e.beginning.add(seen);
    e.tally.add(seen);
    for (int32_t t : batch.targets) {
      if (t < 0) continue;
      if (size_t(t) >= counts.size()) counts.resize(size_t(t) + 1, 0);
      ++counts[size_t(t)];
      ++total;
    }
  }
  for (double c : counts) {
    e.majority = std::max(e.majority, total > 0 ? c / total : 0);
    if (c > 0) e.unigram_entropy -= c / total * std::log(c / total);
  }
  return e;
}

}  // namespace triarch
