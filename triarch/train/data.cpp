#include "triarch/train/data.h"

#include <cctype>
#include <filesystem>
#include <map>

#include "triarch/base/error.h"
#include "triarch/data/labels.h"
#include "triarch/text/words.h"

namespace triarch {
namespace {

constexpr int64_t kSmallestText = 1024;  // bytes: a few examples on either side of the split

DocumentBreak document_break(const std::string& name) {
  if (name == "auto") return DocumentBreak::automatic;
  if (name == "file") return DocumentBreak::file;
  if (name == "line") return DocumentBreak::line;
  if (name == "blank_line") return DocumentBreak::blank_line;
  if (name == "endoftext") return DocumentBreak::endoftext;
  fail(ExitCode::usage, "data.documents: expected auto, file, line, blank_line or endoftext, found '{}'", name);
}

Tokenizer tokenizer_for(const DataConfig& config, const std::vector<Document>& documents) {
  if (std::filesystem::is_regular_file(config.tokenizer)) return Tokenizer::load(config.tokenizer);
  TokenizerOptions options;
  options.vocabulary = int32_t(config.vocabulary);
  if (config.tokenizer != "auto") {
    const auto kind = enum_value<TokenizerKind>(config.tokenizer);
    if (!kind) {
      fail(ExitCode::usage,
           "data.tokenizer: expected auto, bytes, characters, words, unigram, bpe or a tokenizer file, found '{}'{}",
           config.tokenizer,
           did_you_mean(config.tokenizer, {"auto", "bytes", "characters", "words", "unigram", "bpe", "sentencepiece"}));
    }
    options.kind = *kind;
  }
  std::vector<std::string_view> texts;
  int64_t bytes = 0;
  for (const Document& d : documents) {
    texts.push_back(d.text);
    if (d.pair) texts.push_back(d.target);
    bytes += d.bytes();
  }
  // Sub-words of a very small text would be learnt by heart.
  if (config.tokenizer == "auto" && config.vocabulary == 0 && bytes < 50'000) options.kind = TokenizerKind::bytes;
  return Tokenizer::train(options, texts);
}

std::string name_of_inputs(const std::vector<std::string>& inputs) {
  if (inputs.empty()) return "text";
  std::filesystem::path p = std::filesystem::path(inputs.front()).lexically_normal();
  if (!p.has_filename()) p = p.parent_path();
  // A glob's texts are named after the folder above it.
  std::error_code error;
  while (p.string().find_first_of("*?[") != std::string::npos && !std::filesystem::exists(p, error))
    p = p.parent_path();
  std::string name = p.filename().string();
  name = name.substr(0, name.find('.'));
  std::string clean;
  for (char c : name) clean += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '-';
  if (clean.empty()) clean = "text";
  if (inputs.size() > 1) clean += fmt::format("+{}", inputs.size() - 1);
  return clean;
}

// Reads targets as classes, or as one tag per word, which goes to the token that holds the word's first byte.
class Labeller {
 public:
  Labeller(ObjectiveKind kind, const Tokenizer& tokenizer, std::vector<std::string>& names)
      : tagging_(kind == ObjectiveKind::tagging), tokenizer_(tokenizer), names_(names) {
    for (size_t i = 0; i < names.size(); ++i) numbers_[names[i]] = int32_t(i);
    fixed_ = !names.empty();
  }

  // All names first, so that their numbers do not depend on the split.
  void learn(const std::vector<Document>& documents) {
    if (fixed_) return;
    for (const Document& d : documents) {
      for (const std::string& name : labels_of(d, tagging_)) numbers_.emplace(name, 0);
    }
    names_.clear();
    for (auto& [name, number] : numbers_) {
      number = int32_t(names_.size());
      names_.push_back(name);
    }
  }

  RunData::Labelled label(const std::vector<Document>& documents, const TokenizedCorpus& corpus) const {
    RunData::Labelled out;
    if (tagging_) out.tags.assign(corpus.ids.size(), -1);
    for (size_t i = 0; i < documents.size(); ++i) {
      const Document& d = documents[i];
      std::vector<int32_t> numbers;
      for (const std::string& name : labels_of(d, tagging_)) {
        const auto found = numbers_.find(name);
        if (found == numbers_.end()) fail("read labels: {}: '{}' is none of the model's labels", d.source, name);
        numbers.push_back(found->second);
      }
      if (!tagging_) {
        out.classes.push_back(numbers[0]);
        continue;
      }
      const auto words = words_of(d.text);
      const int64_t first = corpus.begins[i];
      const std::span ids(corpus.ids.data() + first, size_t(corpus.begins[i + 1] - first));
      const std::vector<int64_t> tokens = tokens_of_words(tokenizer_, ids, words);
      for (size_t w = 0; w < words.size(); ++w) {
        if (tokens[w] >= 0) out.tags[size_t(first + tokens[w])] = numbers[w];
      }
    }
    return out;
  }

 private:
  bool tagging_, fixed_ = false;
  const Tokenizer& tokenizer_;
  std::vector<std::string>& names_;
  std::map<std::string, int32_t> numbers_;
};

}  // namespace

Documents RunData::documents(const TokenizedCorpus& corpus, const Labelled& labelled) {
  Documents d = corpus.view();
  if (!labelled.classes.empty() || !labelled.tags.empty()) {
    d.target_ids = {};
    d.target_begins = {};
    d.labels = labelled.classes;
    d.tags = labelled.tags;
  }
  return d;
}

RunData prepare_data(const DataConfig& config, uint64_t seed, ObjectiveKind kind, const Tokenizer* known,
                     const std::vector<std::string>& labels) {
  if (config.inputs.empty()) {
    fail(ExitCode::usage,
         "train: expected a text to learn from (a .txt, .jsonl or .tsv file, a folder, a glob), found none");
  }
  ReadOptions options;
  options.breaks = document_break(config.documents);
  options.input_field = config.input_field;
  options.target_field = config.target_field;
  return prepare_data(read_corpus(config.inputs, options), config, seed, kind, known, labels);
}

RunData prepare_data(Corpus corpus, const DataConfig& config, uint64_t seed, ObjectiveKind kind, const Tokenizer* known,
                     const std::vector<std::string>& labels) {
  config.check();
  RunData data;
  data.skipped = corpus.skipped;
  data.name = name_of_inputs(config.inputs);
  data.hash = corpus.hash();
  data.bytes = corpus.bytes();
  require(data.bytes >= kSmallestText,
          "train: expected at least {} bytes of text to have something to learn and something to test on, found {}",
          kSmallestText, data.bytes);
  Split split = split_corpus(std::move(corpus), {config.validation, seed});
  data.split = split.summary;
  data.tokenizer = known ? *known : tokenizer_for(config, split.train);
  data.vocabulary = std::make_shared<Vocabulary>(vocabulary_of(data.tokenizer));
  data.train = tokenize(split.train, data.tokenizer);
  data.validation = tokenize(split.validation, data.tokenizer);
  if (kind == ObjectiveKind::classification || kind == ObjectiveKind::tagging) {
    data.labels = labels;
    Labeller labeller(kind, data.tokenizer, data.labels);
    std::vector<Document> all = split.train;
    all.insert(all.end(), split.validation.begin(), split.validation.end());
    labeller.learn(all);
    data.train_labels = labeller.label(split.train, data.train);
    data.validation_labels = labeller.label(split.validation, data.validation);
  }
  return data;
}

}  // namespace triarch
