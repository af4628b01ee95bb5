// What came of a comparison, as report.json holds it: figures with their intervals, what was equal between the
// contenders and what was not, and the answer. Pages and tables are made from it (report/).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "triarch/evaluate/serving.h"
#include "triarch/evaluate/task_scores.h"
#include "triarch/study/compare.h"

namespace triarch {

// The score of a group of tasks.
struct GroupReport {
  std::string name;
  Figure score;

  template <class V>
  void fields(V& v) {
    v("name", name, "of the group");
    v("score", score, "mean over tasks of (accuracy - max(bare, chance)) / (1 - chance), medians over prompts");
  }
};

// What was measured after a stage of learning: pretraining, or multitask finetuning on top of it.
struct StageReport {
  std::string stage;                                                  // pretrained, finetuned
  double steps = 0, tokens = 0, targets = 0, flops = 0, seconds = 0;  // of the stage alone, means over seeds
  std::vector<Figure> suffix;                                         // none or one: nats per token
  double suffix_bits_per_byte = 0;
  std::vector<GroupReport> scores;
  int64_t above = 0;  // tasks above chance in every seed
  std::vector<TaskFigures> tasks;

  template <class V>
  void fields(V& v) {
    v("stage", stage, "pretrained or finetuned");
    v("steps", steps, "optimizer steps of the stage, mean over seeds");
    v("tokens", tokens, "tokens seen in the stage, mean over seeds");
    v("targets", targets, "tokens with a loss in the stage, mean over seeds");
    v("flops", flops, "floating-point operations executed in its steps, mean over seeds");
    v("seconds", seconds, "wall time in its steps, mean over seeds");
    v("suffix", suffix, "nats per token of the second halves; empty: it does not generate");
    v("suffix_bits_per_byte", suffix_bits_per_byte, "the same in bits per byte of text");
    v("scores", scores, "of groups of tasks; empty: none were asked");
    v("above", above, "tasks above chance in every seed");
    v("tasks", tasks, "each kind of questions");
  }
};

// Labelling with a finetuned head.
struct HeadReport {
  std::string name, title;
  double majority = 0;
  Figure accuracy;

  template <class V>
  void fields(V& v) {
    v("name", name, "of the texts");
    v("title", title, "what was labelled");
    v("majority", majority, "accuracy of always saying the most frequent label");
    v("accuracy", accuracy, "on held-out texts or words");
  }
};

// From one family to another (study/adapt.h), over all seeds.
struct AdaptationReport {
  std::string name, from, to;                     // the latter as titles
  int64_t tokens = 0;                             // of each of the three runs
  double target_loss = 0;                         // the lowest loss that both reach, mean over seeds
  double adapted_tokens = 0, scratch_tokens = 0;  // to it, means over seeds
  std::vector<Figure> speedup;  // none or one: of those seeds where the adapted model was not there at once
  int64_t runs = 0, at_once = 0;

  template <class V>
  void fields(V& v) {
    v("name", name, "of the adaptation");
    v("from", from, "what has learnt first");
    v("to", to, "what went on with its weights");
    v("tokens", tokens, "that each of the three runs saw");
    v("target_loss", target_loss, "the lowest loss that both reach, mean over seeds");
    v("adapted_tokens", adapted_tokens, "tokens to it with the weights of the first, mean over seeds");
    v("scratch_tokens", scratch_tokens, "tokens to it from scratch, mean over seeds");
    v("speedup", speedup, "scratch_tokens / adapted_tokens; empty: there at once in every seed");
    v("runs", runs, "seeds with a result");
    v("at_once", at_once, "seeds where the adapted model was there before its first step");
  }
};

struct ContenderReport {
  std::string name, title;
  std::string label;          // the family alone where it is the only one, else the title
  std::string suffix_format;  // none: it does not generate
  int64_t runs = 0;           // with a result
  std::vector<std::string> failures;
  int64_t parameters = 0;
  double peak_bytes = 0;
  double own_loss = 0, unigram_entropy = 0;  // after pretraining, nats per target
  std::optional<double> entropy_floor;       // of the same targets, where it is known
  std::vector<StageReport> stages;           // pretrained, finetuned
  std::vector<Figure> bleu, chrf;            // none or one: of outputs for held-out inputs, 0 to 100
  double exact_match = 0;                    // share of them, mean over seeds
  std::vector<HeadReport> heads;
  std::vector<ServingCost> serving;             // none or one
  std::vector<Sample> samples;                  // of the first seed
  std::vector<AttentionPicture> attention;      // of the first seed
  std::vector<std::vector<CurvePoint>> curves;  // of each seed

  template <class V>
  void fields(V& v) {
    v("name", name, "its name");
    v("title", title, "family and objectives in words");
    v("label", label, "the family alone where it is the only one, else the title");
    v("suffix_format", suffix_format, "how it is asked to continue; none: it does not generate");
    v("runs", runs, "seeds with a result");
    v("failures", failures, "why others have none");
    v("parameters", parameters, "weights");
    v("peak_bytes", peak_bytes, "weights, gradients, moments and activations");
    v("own_loss", own_loss, "own objective, held out, nats per target, mean over seeds");
    v("unigram_entropy", unigram_entropy, "of the same targets: what knowing only their frequencies gives");
    v("entropy_floor", entropy_floor, "of the same targets, where it is known: what no model is below in the long run");
    v("stages", stages, "what was measured after pretraining, and after finetuning");
    v("bleu", bleu, "pairs: corpus BLEU of the outputs, as sacreBLEU counts it; empty: no pairs");
    v("chrf", chrf, "pairs: chrF of the outputs, as sacreBLEU counts it; empty: no pairs");
    v("exact_match", exact_match, "pairs: share of outputs that are their references");
    v("heads", heads, "labelling with a finetuned head");
    v("serving", serving, "what it costs to serve; empty: not measured");
    v("samples", samples, "of the first seed");
    v("attention", attention, "who looks at whom, of the first seed");
    v("curves", curves, "of each seed");
  }
};

// A measure of a minus that of b.
struct DifferenceReport {
  std::string measure;  // MeasureReport::name
  std::string a, b;
  double mean = 0, low = 0, high = 0;
  bool same_direction = false, significant = false;

  template <class V>
  void fields(V& v) {
    v("measure", measure, "what is compared");
    v("a", a, "a contender");
    v("b", b, "another");
    v("mean", mean, "the measure of a minus that of b");
    v("low", low, "95 %: as far as a bootstrap over seeds and items or Student's t over seeds reaches");
    v("high", high, "95 %: as low");
    v("same_direction", same_direction, "every seed agrees");
    v("significant", significant, "claimed: the interval excludes 0 and every seed agrees");
  }
};

// Something by which contenders are ranked.
struct MeasureReport {
  std::string name;   // generate, understand, transform
  std::string title;  // "suffix loss after pretraining, nats per token"
  bool lower_is_better = false;
  std::string answer = {};             // in words
  std::string best = {};               // name of the best contender, or empty
  std::vector<std::string> ties = {};  // not significantly worse than it

  template <class V>
  void fields(V& v) {
    v("name", name, "the use: generate, understand or transform");
    v("title", title, "what is measured");
    v("lower_is_better", lower_is_better, "of its values");
    v("answer", answer, "which contender to take, in words");
    v("best", best, "name of the best contender, or empty");
    v("ties", ties, "contenders not significantly worse");
  }
};

struct CompareReport {
  std::string name, data, question;
  std::vector<MeasureReport> uses;  // what contenders are ranked by, with the answer to each
  std::vector<std::string> equal, unequal, notes;
  int64_t trials = 0, finished = 0, seeds = 0, suffix_items = 0;
  double suffix_tokens = 0, suffix_bytes = 0;
  std::string precision, instruction_set, version;
  std::vector<ContenderReport> contenders;
  std::vector<DifferenceReport> differences;
  std::vector<AdaptationReport> adaptations;
  CompareConfig config;
  std::string command;  // how to repeat it

  template <class V>
  void fields(V& v) {
    v("name", name, "folder");
    v("data", data, "what all learnt from");
    v("question", question, "what was asked");
    v("uses", uses, "what contenders are ranked by, and the answer to each");
    v("equal", equal, "what was equal between contenders");
    v("unequal", unequal, "what was not");
    v("notes", notes, "how to read the figures");
    v("trials", trials, "runs");
    v("finished", finished, "runs with a result");
    v("seeds", seeds, "runs of each contender");
    v("suffix_items", suffix_items, "held-out texts behind the suffix loss");
    v("suffix_tokens", suffix_tokens, "tokens of their second halves");
    v("suffix_bytes", suffix_bytes, "bytes of their second halves");
    v("precision", precision, "of the arithmetic");
    v("instruction_set", instruction_set, "of the machine that wrote the report");
    v("version", version, "of the program");
    v("contenders", contenders, "each with its figures");
    v("differences", differences, "between contenders, paired");
    v("adaptations", adaptations, "families that began with the weights of others");
    v.group("config", config, "all settings");
    v("command", command, "how to repeat it");
  }
};

CompareReport report_of(const Comparison& comparison);

}  // namespace triarch
