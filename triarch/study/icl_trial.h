// One model that learns to learn from demonstrations, and what demonstrations do to it beside what finetuning on them
// does: a part of the study of in-context learning (icl.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "triarch/model/names.h"
#include "triarch/study/parts.h"

namespace triarch {

struct IclOptions {
  int64_t width = 64, layers = 2;
  int64_t steps = 1000, documents = 64;  // optimizer steps, documents in each
  double learning_rate = 0.4;            // as a share of the optimizer's own
  int64_t demonstrations = 8;
  int64_t tasks = 24, validation_tasks = 8;  // tasks that are measured, and those that choose finetuning's rate
  int64_t queries = 8;                       // of a task
  int64_t seeds = 3;
  std::vector<double> rates = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10};  // of finetuning
};

// How far what an update does at one kind of attention is what demonstrations do there.
struct IclAgreement {
  std::string place;            // AttentionPlace::title
  int64_t first_layer = 0;      // that demonstrations reach: the second of a decoder behind an encoder
  std::vector<double> outputs;  // SimAOU by layer from there on: cos(h_ICL - h_ZSL, h - h_ZSL) of the answering row
  // SimAM: cosine of scores to the query's tokens with ICL's, mean over heads and layers; none where they are not seen.
  std::optional<double> weights;
  // Kendall's tau of ICL's attention to demonstrations with inner products of the query's q and the q of finetuning.
  std::optional<double> tau_tokens, tau_demonstrations;

  template <class V>
  void fields(V& v) {
    v("place", place, "which attention");
    v("first_layer", first_layer, "that demonstrations reach");
    v("outputs", outputs, "SimAOU by layer from there on");
    v("weights", weights, "SimAM");
    v("tau_tokens", tau_tokens, "Kendall's tau over the demonstrations' tokens");
    v("tau_demonstrations", tau_demonstrations, "Kendall's tau over demonstrations");
  }
};

struct IclUpdate {
  std::string name;
  double accuracy = 0;   // of the updated model, without demonstrations
  double moved = 0;      // of the keys' and values' norm
  int64_t learnt = 0;    // queries that were wrong zero-shot and are right now
  int64_t recalled = 0;  // those of them that are right in context: Rec2FTP is the share
  std::vector<IclAgreement> agreement;

  template <class V>
  void fields(V& v) {
    v("name", name, "what was done");
    v("accuracy", accuracy, "afterwards, without demonstrations");
    v("moved", moved, "change, as a share of the keys' and values' norm");
    v("learnt", learnt, "queries wrong zero-shot and right now");
    v("recalled", recalled, "those of them that are right in context");
    v("agreement", agreement, "with in-context learning, by kind of attention");
  }
};

struct IclResult {
  Family family = Family::causal;
  uint64_t seed = 0;
  int64_t parameters = 0, tokens = 0;
  double rate = 0;                       // of finetuning, chosen on validation tasks
  double zero_shot = 0, in_context = 0;  // accuracies
  double in_context_of_wrong = 0;        // in context, of the queries that are wrong zero-shot
  std::vector<int64_t> counts;           // numbers of demonstrations ...
  std::vector<double> by_count;          // ... and accuracies with them
  std::vector<double> weights_before;    // SimAM of the model as it is, by place
  std::vector<IclUpdate> updates;

  template <class V>
  void fields(V& v) {
    v("family", family, "of the model");
    v("seed", seed, "of weights and documents");
    v("parameters", parameters, "weights");
    v("tokens", tokens, "seen");
    v("rate", rate, "of finetuning");
    v("zero_shot", zero_shot, "accuracy without demonstrations");
    v("in_context", in_context, "accuracy with all demonstrations");
    v("in_context_of_wrong", in_context_of_wrong, "the same, of queries wrong without");
    v("counts", counts, "numbers of demonstrations");
    v("by_count", by_count, "accuracies with them");
    v("weights_before", weights_before, "SimAM of the model as it is");
    v("updates", updates, "finetuning and its controls");
  }
};

// Names of updates.
constexpr const char* kFinetuned = "finetuned";
constexpr const char* kShuffled = "labels shuffled";
constexpr const char* kOtherTask = "another task";
constexpr const char* kRandom = "random";
constexpr const char* kReordered = "reordered";  // no update, but the demonstrations in another order, in context

// Nothing if it was told to stop.
std::optional<IclResult> icl_trial(Family family, uint64_t seed, const IclOptions& options, const PartProgress& going);

}  // namespace triarch
