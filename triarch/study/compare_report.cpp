#include "triarch/study/compare_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include "triarch/base/human.h"
#include "triarch/base/version.h"
#include "triarch/evaluate/text_metrics.h"
#include "triarch/kernels/isa.h"
#include "triarch/study/compare_answer.h"

namespace triarch {
namespace {

// "0.11M (causal decoder) to 0.24M (encoder-decoder)"
template <class F>
std::string range(const std::vector<ContenderReport>& all, const F& value) {
  const auto low = std::ranges::min_element(all, {}, value), high = std::ranges::max_element(all, {}, value);
  return fmt::format("{} ({}) to {} ({})", human_count(double(value(*low))), low->label,
                     human_count(double(value(*high))), high->label);
}

// Of all stages.
double total(const ContenderReport& c, double StageReport::*field) {
  double sum = 0;
  for (const StageReport& s : c.stages) sum += s.*field;
  return sum;
}

// "sees 400k tokens"
std::string given(const CompareConfig& k) {
  const std::string tokens = human_count(double(k.tokens));
  switch (k.match) {
    case Match::flops:
      return fmt::format("executes the operations of {} tokens on average", tokens);
    case Match::time:
      return fmt::format("takes the time of {} tokens on average", tokens);
    case Match::parameters:
      return fmt::format("has as many parameters and sees {} tokens", tokens);
    case Match::tokens:
      break;
  }
  return fmt::format("sees {} tokens", tokens);
}

void equalities(const Comparison& comparison, CompareReport& r) {
  const CompareConfig& k = comparison.config();
  const std::vector<ContenderReport>& all = r.contenders;
  r.equal = {"the text, its split and the tokenizer", "the seeds, and with each seed the order of the text"};
  if (k.match == Match::parameters) {
    std::string widths;
    for (size_t i = 0; i < k.contenders.size(); ++i) {
      const int64_t width = k.contenders[i].width > 0 ? k.contenders[i].width : k.width;
      widths += fmt::format("{}{} ({})", i == 0 ? "" : ", ", width, all[i].label);
    }
    r.equal.push_back(fmt::format("layers per stack {}, preset {}, optimizer", k.layers, k.preset));
    r.unequal.push_back("width, chosen for as many parameters: " + widths);
  } else {
    r.equal.push_back(fmt::format("width {}, layers per stack {}, preset {}, optimizer", k.width, k.layers, k.preset));
  }
  // What was matched need not be equal to the last digit.
  const auto tell = [&](const char* what, const auto& value, bool matched = false) {
    const auto [low, high] = std::ranges::minmax(all, {}, value);
    if (value(low) == value(high)) {
      r.equal.push_back(fmt::format("{} ({})", what, human_count(double(value(low)))));
    } else {
      (matched && double(value(high)) < 1.05 * double(value(low)) ? r.equal : r.unequal)
          .push_back(fmt::format("{}: {}{}", what, range(all, value), matched ? ", matched" : ""));
    }
  };
  const bool same_tokens = k.match == Match::tokens || k.match == Match::parameters;
  tell(same_tokens ? "tokens seen, every step the same pieces for all" : "tokens seen",
       [](const ContenderReport& c) { return std::round(total(c, &StageReport::tokens)); });
  tell("optimizer steps", [](const ContenderReport& c) { return std::round(total(c, &StageReport::steps)); });
  tell(
      "parameters", [](const ContenderReport& c) { return c.parameters; }, k.match == Match::parameters);
  tell("tokens with a loss", [](const ContenderReport& c) { return std::round(total(c, &StageReport::targets)); });
  tell(
      "floating-point operations", [](const ContenderReport& c) { return std::round(total(c, &StageReport::flops)); },
      k.match == Match::flops);
  if (k.match == Match::time) {
    tell(
        "seconds", [](const ContenderReport& c) { return total(c, &StageReport::seconds); }, true);
  }
  r.unequal.push_back(
      "what own losses measure: each is of its own objective's targets; compare a contender's with the "
      "unigram entropy beside it, not with another's");
  // Where each contender's rate is from.
  const bool width_swept = std::ranges::find(kSweptWidths, k.width) != std::end(kSweptWidths);
  std::string rates, unswept;
  for (const Contender& c : k.contenders) {
    rates += fmt::format("{}{:.2g} ({})", rates.empty() ? "" : ", ", c.rate, c.title());
    if (!comparison.data().world || !width_swept || !was_swept(c)) unswept += (unswept.empty() ? "" : ", ") + c.title();
  }
  r.unequal.push_back(fmt::format(
      "learning rates: {} of Muon {} and AdamW {}, {}", rates, k.optimizer.muon_learning_rate,
      k.optimizer.learning_rate,
      !k.swept.empty()  ? "for each the best by its own loss on these held-out texts, with a seed of its own"
      : unswept.empty() ? "found for each on the built-in world's held-out texts, with seeds of their own"
                        : fmt::format("not swept for {} on this text at this width (the sweep was on the built-in "
                                      "world at widths of 32, 64 and 128); --sweep finds them on these data",
                                      unswept.size() > 200 ? "most of them" : unswept)));
}

// All that differs from the defaults, as flags: resolved sizes too, so that a repetition is one on any machine.
std::string command_of(const CompareConfig& config) {
  std::string command = "triarch compare";
  for (const std::string& input : config.data.inputs) command += " " + shell_word(input);
  command += fmt::format(" --budget {}tokens", config.tokens);
  std::string contenders;
  for (const Contender& c : config.contenders) contenders += (contenders.empty() ? "" : ",") + c.text();
  command += " --contenders " + contenders;
  CompareConfig now = config, usual;
  const std::vector<Field> is = flatten(fields_of(now)), was = flatten(fields_of(usual));
  for (const Field& f : is) {
    const auto before = std::ranges::find(was, f.name, &Field::name);
    if (f.kind() != Field::Kind::scalar || before == was.end() || f.print() == before->print()) continue;
    if (f.name == "tokens" || f.name == "seconds" || f.name == "hash" || f.name == "sweep") continue;
    std::string flag = f.name;
    std::ranges::replace(flag, '_', '-');
    command += fmt::format(" --{}={}", flag, f.quoted() ? shell_word(f.print()) : f.print());
  }
  const auto add = [&](const char* flag, const std::vector<std::string>& files) {
    for (const std::string& file : files) command += fmt::format(" --{} {}", flag, shell_word(file));
  };
  add("tasks", config.tasks);
  add("minimal-pairs", config.minimal_pairs);
  add("classify", config.classify);
  add("tag", config.tag);
  return command;
}

// "200 questions", or "20 to 200 questions".
std::string questions(std::span<const ChoiceTask> tasks) {
  const auto [low, high] = std::ranges::minmax_element(tasks, {}, [](const ChoiceTask& t) { return t.choices.size(); });
  const size_t least = low->choices.size(), most = high->choices.size();
  return (least < most ? fmt::format("{} to ", least) : "") + fmt::format("{} questions", most);
}

// Groups of tasks that are scored, of the tasks there are.
std::vector<TaskGroup> groups_of(std::span<const ChoiceTask> tasks) {
  std::vector<TaskGroup> all = {
      {"seen", [](const ChoiceTask& t) { return t.seen; }},
      {"all", [](const ChoiceTask&) { return true; }},
      {"training", [](const ChoiceTask& t) { return !t.held_out; }},
      {"held_out", [](const ChoiceTask& t) { return t.held_out; }},
      {"understand", [](const ChoiceTask& t) { return t.use == "understand"; }},
      {"transform", [](const ChoiceTask& t) { return t.use == "transform"; }},
      {"judge", [](const ChoiceTask& t) { return t.use == "judge"; }},
  };
  // These are of questions asked alone.
  for (TaskGroup& g : all) {
    g.holds = [holds = g.holds](const ChoiceTask& t) { return t.shots == 0 && holds(t); };
  }
  std::set<std::pair<std::string, int>> few;  // tasks and templates with demonstrations
  for (const ChoiceTask& t : tasks) {
    if (t.shots > 0) few.insert({t.name, t.wrapper});
  }
  all.push_back({"few_shot", [](const ChoiceTask& t) { return t.shots > 0; }});
  all.push_back({"few_shot_without", [few](const ChoiceTask& t) {
                   return t.shots == 0 && few.contains({t.name, t.wrapper});
                 }});
  std::erase_if(all, [&](const TaskGroup& g) { return std::ranges::none_of(tasks, g.holds); });
  return all;
}

std::string title_of_group(const std::string& name) {
  static const std::map<std::string, std::string> titles = {
      {"seen", "all tasks, under prompts that occur in the text"},
      {"all", "all tasks, all prompts"},
      {"few_shot", "tasks with demonstrations before a question"},
      {"few_shot_without", "the same tasks and prompts without them"},
      {"training", "tasks of finetuning"},
      {"held_out", "held-out tasks"},
      {"understand", "questions about a text"},
      {"transform", "sequences made from a text"},
      {"judge", "minimal pairs of sentences"}};
  return titles.at(name);
}

// What figures can be.
constexpr Interval kScore = {-HUGE_VAL, 1};

// What one contender measured in all seeds, stage by stage.
struct Measured {
  std::vector<Estimate> suffix;  // [stages]; no runs: it does not generate
  Estimate bleu;
  Estimate heads[2];                         // mean accuracy of classification and of tagging; no runs: it has none
  std::vector<std::vector<Estimate>> tasks;  // [stages][groups]
};

// A stage of a contender, from all its seeds.
class StageOf {
 public:
  StageOf(const char* name, const SuffixSet& suffixes) { stage_.stage = name, suffix_.weights = suffixes.tokens; }

  void add(const TrialCounters& c, const std::vector<double>& suffix_losses, const std::vector<TaskAnswers>& answers) {
    ++runs_;
    stage_.steps += double(c.steps);
    stage_.tokens += double(c.tokens);
    stage_.targets += double(c.targets);
    stage_.flops += c.flops;
    stage_.seconds += c.seconds;
    if (!suffix_losses.empty()) suffix_.values.push_back(suffix_losses);
    if (!answers.empty()) answers_.runs.push_back(answers);
  }
  bool empty() const { return runs_ == 0; }
  AnswerSet& answers() { return answers_; }
  Estimate suffix() const { return suffix_.runs() > 0 ? estimate(suffix_) : Estimate{}; }
  StageReport report() const {
    StageReport s = stage_;
    for (double* x : {&s.steps, &s.tokens, &s.targets, &s.flops, &s.seconds}) *x /= double(runs_);
    return s;
  }

 private:
  int64_t runs_ = 0;
  StageReport stage_;
  Measurements suffix_;
  AnswerSet answers_;
};

// The mean of figures of the same runs.
Estimate mean_of(const std::vector<Estimate>& all) {
  Estimate out;
  for (const Estimate& e : all) {
    out.runs.resize(e.runs.size());
    out.resamples.resize(e.resamples.size());
    for (size_t i = 0; i < e.runs.size(); ++i) out.runs[i] += e.runs[i] / double(all.size());
    for (size_t i = 0; i < e.resamples.size(); ++i) out.resamples[i] += e.resamples[i] / double(all.size());
  }
  return out;
}

// Labels that each seed got right, by texts: words of one text are not independent.
Measurements marks_of(const std::vector<std::string>& right, bool tagging) {
  Measurements m;
  for (const std::string& r : right) {
    std::vector<double>&sums = m.values.emplace_back(), labels;
    for (size_t i = 0; i < r.size(); ++i) {
      if (i == 0 || !tagging || r[i - 1] == ' ') sums.push_back(0), labels.push_back(0);
      if (r[i] == ' ') continue;
      sums.back() += r[i] == '1';
      labels.back() += 1;
    }
    m.weights = std::move(labels);
  }
  return m;
}

// The heads of a contender of one kind, from its seeds, and the mean of their accuracies; no runs if it has none.
Estimate add_heads(const std::vector<HeadTask>& tasks, bool tagging, const std::vector<TrialResult>& trials,
                   ContenderReport& c) {
  std::vector<Estimate> all;
  for (const HeadTask& t : tasks) {
    if (t.tagging != tagging) continue;
    std::vector<std::string> right;
    for (const TrialResult& trial : trials) {
      const auto at = std::ranges::find(trial.heads, t.name, &HeadAnswers::task);
      if (at != trial.heads.end()) right.push_back(at->right);
    }
    if (right.empty()) return {};
    all.push_back(estimate(marks_of(right, tagging)));
    c.heads.push_back({t.name, t.title, t.majority, figure_of(all.back(), kShare)});
  }
  return mean_of(all);
}

AdaptationReport adaptation_of(const AdaptationPlan& plan, const std::vector<std::optional<Adaptation>>& results) {
  AdaptationReport r;
  r.name = plan.name();
  r.from = plan.from.title();
  r.to = plan.to.title();
  std::vector<double> speedups;
  for (const std::optional<Adaptation>& a : results) {
    if (!a || !a->failure.empty()) continue;
    ++r.runs;
    r.tokens = a->first_tokens;
    r.target_loss += a->target_loss;
    r.adapted_tokens += a->adapted_tokens;
    r.scratch_tokens += a->scratch_tokens;
    if (a->speedup) {
      speedups.push_back(*a->speedup);
    } else {
      ++r.at_once;
    }
  }
  for (double* x : {&r.target_loss, &r.adapted_tokens, &r.scratch_tokens}) *x /= double(std::max<int64_t>(1, r.runs));
  if (!speedups.empty()) r.speedup.push_back(figure_of(estimate_of(speedups), kPositive));
  return r;
}

}  // namespace

CompareReport report_of(const Comparison& comparison) {
  const CompareConfig& k = comparison.config();
  const CompareData& data = comparison.data();
  CompareReport r;
  r.name = comparison.folder().filename().string();
  r.data = data.description;
  r.config = k;
  r.seeds = k.seeds;
  r.trials = int64_t(comparison.trials().size());
  r.suffix_items = int64_t(data.suffixes.items.size());
  for (size_t i = 0; i < data.suffixes.items.size(); ++i) {
    r.suffix_tokens += data.suffixes.tokens[i];
    r.suffix_bytes += data.suffixes.bytes[i];
  }
  r.precision = enum_name(k.precision);
  r.instruction_set = kernels::name_of(kernels::active_isa());
  r.version = kVersion;
  std::vector<std::string> titles;
  const std::vector<ServingCost> serving = comparison.serving();
  std::vector<Measured> measured;
  std::vector<AnswerSet> sets;  // of each contender's stages
  for (const Contender& contender : k.contenders) {
    ContenderReport c;
    c.name = contender.name;
    c.title = contender.title();
    const auto same = [&](const Contender& o) { return o.family == contender.family; };
    c.label = std::ranges::count_if(k.contenders, same) == 1 ? title_of(contender.family) : c.title;
    titles.push_back(c.label);
    const SuffixFormat format = suffix_format(contender.family, contender.objectives);
    c.suffix_format = enum_name(format);
    std::vector<double> own;
    std::vector<std::vector<std::string>> outputs;  // of each seed
    std::vector<TrialResult> trials;
    Measured m;
    StageOf pretrained("pretrained", data.suffixes), finetuned("finetuned", data.suffixes);
    for (const std::optional<TrialResult>& t : comparison.results(contender)) {
      if (!t) continue;
      ++r.finished;
      c.parameters = t->parameters;
      if (!t->failure.empty()) {
        c.failures.push_back(fmt::format("seed {}: {}", t->seed, t->failure));
        continue;
      }
      ++c.runs;
      c.curves.push_back(t->curve);
      c.peak_bytes = std::max(c.peak_bytes, t->peak_bytes);
      c.unigram_entropy = t->unigram_entropy;
      own.push_back(t->own_loss);
      if (!t->outputs.empty()) outputs.push_back(t->outputs);
      if (c.samples.empty()) c.samples = t->samples;
      if (c.attention.empty()) c.attention = t->attention;
      pretrained.add(*t, t->suffix_losses, t->answers);
      for (const Finetuned& f : t->finetuned) finetuned.add(f, f.suffix_losses, f.answers);
      trials.push_back(*t);
    }
    for (int tagging : {0, 1}) m.heads[tagging] = add_heads(data.heads, tagging == 1, trials, c);
    if (c.runs > 0) {
      c.own_loss = mean(own);
      if (std::ranges::all_of(contender.objectives,
                              [](const ObjectiveSpec& o) { return o.kind == ObjectiveKind::next_token; })) {
        c.entropy_floor = data.entropy_floor;
      }
    }
    if (!outputs.empty()) {
      for (const std::vector<std::string>& o : outputs) {
        c.exact_match += token_overlap(o, data.references).exact_match / double(outputs.size());
      }
      m.bleu = corpus_estimate<BleuCounts>(outputs, data.references, bleu_counts);
      c.bleu.push_back(figure_of(m.bleu, kPercent));
      c.chrf.push_back(figure_of(corpus_estimate<ChrfCounts>(outputs, data.references, chrf_counts), kPercent));
    }
    // Before finetuning a model has met only the prompts of its text.
    pretrained.answers().shown = [](const ChoiceTask& t) { return t.seen && t.shots == 0; };
    finetuned.answers().shown = [](const ChoiceTask& t) { return t.shots == 0; };
    for (StageOf* stage : {&pretrained, &finetuned}) {
      if (stage->empty()) continue;
      StageReport s = stage->report();
      m.suffix.push_back(stage->suffix());
      if (!m.suffix.back().runs.empty()) {
        s.suffix.push_back(figure_of(m.suffix.back(), kPositive));
        if (r.suffix_bytes > 0) {
          s.suffix_bits_per_byte = s.suffix.front().mean * r.suffix_tokens / r.suffix_bytes / std::numbers::ln2;
        }
      }
      c.stages.push_back(std::move(s));
      sets.push_back(stage->answers());
    }
    if (serving.size() == k.contenders.size()) c.serving.push_back(serving[r.contenders.size()]);
    r.contenders.push_back(std::move(c));
    measured.push_back(std::move(m));
  }
  const std::vector<TaskGroup> groups = groups_of(data.tasks);
  const std::vector<TaskScores> scores = task_scores(sets, data.tasks, groups);
  size_t at = 0;
  for (size_t i = 0; i < r.contenders.size(); ++i) {
    for (StageReport& s : r.contenders[i].stages) {
      const TaskScores& of_stage = scores[at];
      measured[i].tasks.push_back(of_stage.groups);
      if (!sets[at++].runs.empty()) {
        s.above = of_stage.above;
        s.tasks = of_stage.tasks;
        for (size_t g = 0; g < groups.size(); ++g) {
          s.scores.push_back({groups[g].name, figure_of(of_stage.groups[g], kScore)});
        }
      }
    }
  }
  std::vector<Estimate> estimates(measured.size());
  for (size_t i = 0; i < measured.size(); ++i) {
    if (!measured[i].suffix.empty()) estimates[i] = measured[i].suffix.front();
  }
  rank(r, {"generate", "suffix loss after pretraining, nats per token", true}, estimates,
       {" nats per token", 3, kPositive});
  if (!data.references.empty()) {
    for (size_t i = 0; i < measured.size(); ++i) estimates[i] = measured[i].bleu;
    rank(r, {"transform", fmt::format("BLEU of {} held-out outputs", data.references.size()), false}, estimates,
         {" BLEU", 1, kPercent});
  }
  const char* last = data.instruction_tokens > 0 ? "after finetuning" : "after pretraining";
  for (const char* use : {"understand", "transform", "judge"}) {
    const auto group = std::ranges::find(groups, use, &TaskGroup::name);
    if (group == groups.end()) continue;
    for (size_t i = 0; i < measured.size(); ++i) {
      estimates[i] = measured[i].tasks.empty() ? Estimate{} : measured[i].tasks.back()[size_t(group - groups.begin())];
    }
    rank(r, {use, fmt::format("score {} on {}", last, title_of_group(use)), false}, estimates, {" of 1", 3, kScore});
  }
  for (const bool tagging : {false, true}) {
    if (std::ranges::find(data.heads, tagging, &HeadTask::tagging) == data.heads.end()) continue;
    for (size_t i = 0; i < measured.size(); ++i) estimates[i] = measured[i].heads[tagging ? 1 : 0];
    std::vector<double> majorities;
    for (const HeadTask& t : data.heads) {
      if (t.tagging == tagging) majorities.push_back(t.majority);
    }
    const double majority = mean(majorities);
    rank(r,
         {tagging ? "tag" : "classify",
          fmt::format("accuracy of heads finetuned on {}", tagging ? "a tag for each word" : "a class for each text"),
          false},
         estimates, {" of 1", 3, kShare},
         {majority, fmt::format("always saying the most frequent label ({:.3f})", majority)});
  }
  for (const AdaptationPlan& plan : k.adaptations) {
    const std::vector<std::optional<Adaptation>> results = comparison.results(plan);
    r.adaptations.push_back(adaptation_of(plan, results));
    for (const std::optional<Adaptation>& a : results) {
      if (!a) continue;
      ++r.finished;
      if (!a->failure.empty()) {
        r.notes.push_back(
            fmt::format("{} to {}, seed {}: {}", plan.from.title(), plan.to.title(), a->seed, a->failure));
      }
    }
  }
  r.question = fmt::format("Which learns most from {}, when each {}: {}?",
                           data.world ? "the built-in world" : data.name, given(k), listed(titles, "or"));
  equalities(comparison, r);
  r.notes.push_back(fmt::format(
      "Suffix loss: the second half of {} held-out {} given the first, {} tokens; every generator predicts the same "
      "tokens. Lower is better.",
      r.suffix_items, data.pairs ? "pairs (the target given the input)" : "pieces of text",
      human_count(r.suffix_tokens)));
  for (size_t i = 0; i < k.contenders.size(); ++i) {
    const std::string& format = r.contenders[i].suffix_format;
    if (format == "none" || format == "continuation") continue;
    r.notes.push_back(fmt::format("The {} was asked for the second half in the form it had learnt ({}).",
                                  r.contenders[i].label, format));
  }
  for (const Contender& c : k.contenders) {
    if (c.family == Family::encoder_decoder && c.objectives.size() > 1) {
      r.notes.push_back(
          fmt::format("The {} learns from its objectives in equal shares: from spans alone it would "
                      "never have seen a continuation.",
                      c.title()));
    }
  }
  if (!data.tasks.empty()) {
    r.notes.push_back(fmt::format(
        "Tasks: {} of each kind under each prompt template, answered by the candidate with the largest log-probability "
        "({}). The score is (accuracy - max(bare, chance)) / (1 - chance): bare is what is right with the context left "
        "out, chance one in the number of candidates; median over templates, mean over kinds. Above chance: better "
        "than guessing and better than without the context, one-sided tests, Holm over the kinds, p < .01, in every "
        "seed.",
        questions(data.tasks), k.ranking == Ranking::sum ? "summed" : enum_name(k.ranking)));
  }
  if (data.instruction_tokens > 0) {
    r.notes.push_back(fmt::format(
        "Finetuning: {} tokens of prompts with their answers, of the tasks that are not held out, under all templates, "
        "with {:.0f} % texts as before, at {} of the learning rates. Decoders learn from the answer's tokens only; the "
        "encoder fills masks in their place.",
        human_count(double(data.instruction_tokens)), 100 * k.rehearsal, k.finetune_rate));
  }
  for (const HeadTask& t : data.heads) {
    r.notes.push_back(fmt::format(
        "To label {} ({}): a head on a copy of the pretrained model, all weights learnt on for {} tokens; {} classes "
        "or tags, {:.1f} % have the most frequent one.",
        t.name, t.title, human_count(double(t.tokens)), t.data.labels.size(), 100 * t.majority));
  }
  if (!r.adaptations.empty()) {
    r.notes.push_back(fmt::format(
        "Adaptation: `from` learns for {0} tokens, `to` goes on with its weights for as many, and another `to` learns "
        "from scratch; at a constant learning rate, the last two on the same pieces. The speed-up is how many times "
        "more tokens the latter takes to the lowest held-out loss of its objective that both reach; the first "
        "training is not counted (Wang et al. 2022, section 6, who had much longer ones).",
        human_count(double(r.adaptations.front().tokens))));
  }
  const auto shots = std::ranges::max_element(data.tasks, {}, &ChoiceTask::shots);
  if (shots != data.tasks.end() && shots->shots > 0) {
    r.notes.push_back(fmt::format(
        "Few-shot: up to {} questions of the same kind with their answers before each question, as many as a text of "
        "{} tokens has room for; kinds without room for one are left out, in the figure beside it, too.",
        shots->shots, k.context));
  }
  for (const std::string& note : data.notes) r.notes.push_back(note);
  r.notes.push_back(
      "Intervals: 95 %, as far as a bootstrap over seeds and items or Student's t over seeds reaches; a difference is "
      "claimed only if its interval excludes 0 and every seed agrees, each for itself: among many pairs, some would be "
      "claimed by chance.");
  r.notes.push_back(
      "Seconds are wall time of training steps, each run on one core beside others; memory is what a run "
      "holds (weights, gradients, moments, activations).");

  r.command = command_of(k);
  return r;
}

}  // namespace triarch
