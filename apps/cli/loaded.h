// What the verbs that use a trained model share: its flags, its texts, loading it, and asking it in the way that it has
// learnt.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "triarch/base/error.h"
#include "triarch/data/corpus.h"
#include "triarch/evaluate/suffix.h"
#include "triarch/inference/generate.h"
#include "triarch/model/model.h"
#include "triarch/objective/objective.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
struct TrainConfig;  // train/config.h
}

namespace triarch::cli {

// MODEL TEXT... and what goes with them. The model may also be given as -m, and then all the rest are texts.
class ModelFlags {
 public:
  // `texts`: what the texts are called in the help, in brackets if there may be none; empty: the verb takes none.
  void declare(Arguments& app, const std::string& texts);
  // Usage error if there is none.
  std::string model() const;
  // Without a command line.
  void use(const std::string& model) { flag_ = model; }
  // From the command line, or --file, or standard input (when neither is given and it is not a terminal). With
  // `whole_files` a .txt is one text, else each line of it is; standard input is as a .txt. Pairs of .jsonl and .tsv
  // keep their target.
  std::vector<Document> texts(bool whole_files = false) const;
  // The same without targets.
  std::vector<std::string> plain_texts(bool whole_files = false) const;
  // What --input-field and --target-field say.
  ReadOptions read_options(DocumentBreak breaks = DocumentBreak::automatic) const;

  std::string precision = "float32";
  bool json = false;

 private:
  std::string first_, flag_, file_, noun_, input_field_, target_field_;
  std::vector<std::string> rest_;
};

struct Loaded {
  std::filesystem::path folder;
  std::unique_ptr<Model> model;
  Tokenizer tokenizer;
  std::vector<ObjectiveSpec> objectives;  // what it has learnt from, of the phase it is in; empty: unknown

  const ModelSpec& spec() const { return model->spec(); }
  const Specials& specials() const { return tokenizer.specials(); }
};
Loaded load(const ModelFlags& flags);
// What a run learns from once it has entered so many of its phases.
std::vector<ObjectiveSpec> objectives_at(const TrainConfig& config, int64_t phases);
// Usage error for a model that learnt nothing but labels.
void refuse_labeller(const Loaded& model, const char* verb);
// Usage error for that and for an encoder.
void require_generator(const Loaded& model, const char* verb);

// True if the objectives have one of this kind.
bool learns(const std::vector<ObjectiveSpec>& objectives, ObjectiveKind kind);

// How a model is asked to go on: as suffix_format() says; plainly if that knows no way.
SuffixFormat manner_of(Family family, const std::vector<ObjectiveSpec>& objectives);
// The request that continues `ids` in this manner.
Request continuation(SuffixFormat manner, const Specials& specials, std::vector<int32_t> ids, GenerateOptions options);

// Calls f; the message of an error begins with where the text is from, if that is known.
template <class F>
void about(const Document& text, const F& f) {
  try {
    f();
  } catch (const Error& e) {
    throw Error((text.source.empty() ? "" : text.source + ": ") + e.what(), e.code);
  }
}
// Calls f(first, count) for parts of the texts, one after the other, and flushes what it prints: results come as they
// are made. A part fills some passes of a model.
void in_parts(const std::vector<std::vector<int32_t>>& texts, const std::function<void(size_t, size_t)>& f);

// Labels of texts that the model does not know.
class Unknown {
 public:
  void add(const std::string& name);
  // How many, if any, and the first few of their names. `what` has labels: texts, words.
  void say_of(const std::string& what) const;

 private:
  int64_t count_ = 0;
  std::set<std::string> names_;
};

// One line: a label of ten columns and a text, on stderr.
void say(const std::string& label, const std::string& text);
// One line of JSON on stdout; bytes that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& value);
// [{token, id, probability}]
nlohmann::ordered_json candidates_json(const Tokenizer& tokenizer, const std::vector<Candidate>& candidates);
// At most `most` bytes of a text on one line, for tables and remarks.
std::string shortened(const std::string& text, size_t most = 60);

}  // namespace triarch::cli
