// From the user's files to token ids: read, split, tokenizer, tokenised.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "triarch/data/corpus.h"
#include "triarch/data/loader.h"
#include "triarch/data/tokenized_corpus.h"
#include "triarch/data/vocabulary.h"
#include "triarch/objective/objective.h"
#include "triarch/text/tokenizer.h"
#include "triarch/train/config.h"

namespace triarch {

// What a run learns from and is measured on. Shared between the runs of a comparison.
struct RunData {
  Tokenizer tokenizer;
  std::shared_ptr<const Vocabulary> vocabulary;
  TokenizedCorpus train, validation;
  SplitSummary split;
  uint64_t hash = 0;  // of the texts, in their order
  std::string name;   // "emma", "emma+2": for folders and titles
  int64_t bytes = 0;
  std::vector<std::string> skipped;  // files of other kinds in the given folders

  // Classification and tagging: the names of the classes or tags, and what each document or token has.
  std::vector<std::string> labels;
  struct Labelled {
    std::vector<int32_t> classes;  // per document
    std::vector<int32_t> tags;     // per token, -1: none
  };
  Labelled train_labels, validation_labels;

  Documents train_documents() const { return documents(train, train_labels); }
  Documents validation_documents() const { return documents(validation, validation_labels); }

 private:
  static Documents documents(const TokenizedCorpus& corpus, const Labelled& labels);
};

// Reads config.inputs. `known` is a tokenizer to use instead of training one (resume,
// finetuning), `labels` names that are known already. Errors: as
// read_corpus; a text too short for two examples says how many bytes are needed.
RunData prepare_data(const DataConfig& config, uint64_t seed, ObjectiveKind kind, const Tokenizer* known = nullptr,
                     const std::vector<std::string>& labels = {});
// The same from documents at hand; `kind` says what pairs are for: classification and tagging read the target as a
// class or as one tag per word.
RunData prepare_data(Corpus corpus, const DataConfig& config, uint64_t seed, ObjectiveKind kind,
                     const Tokenizer* known = nullptr, const std::vector<std::string>& labels = {});

}  // namespace triarch
