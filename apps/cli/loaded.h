// What the verbs that use a trained model share: its flags, its texts, loading it, and asking it in the way that it has
// learnt.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "triarch/evaluate/suffix.h"
#include "triarch/inference/generate.h"
#include "triarch/model/model.h"
#include "triarch/objective/objective.h"
#include "triarch/text/tokenizer.h"

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
  // `whole_files` a .txt is one text, else each line of it is. Pairs of .jsonl and .tsv keep their target.
  struct Text {
    std::string text, target;
    bool pair = false;
  };
  std::vector<Text> texts(bool whole_files = false) const;
  // The same without targets.
  std::vector<std::string> plain_texts(bool whole_files = false) const;

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
  std::vector<ObjectiveSpec> objectives;  // what it has learnt from, of the last phase; empty: unknown

  const ModelSpec& spec() const { return model->spec(); }
  const Specials& specials() const { return tokenizer.specials(); }
};
Loaded load(const ModelFlags& flags);
// Usage error for a model that learnt nothing but labels.
void refuse_labeller(const Loaded& model, const char* verb);

// True if the objectives have one of this kind.
bool learns(const std::vector<ObjectiveSpec>& objectives, ObjectiveKind kind);

// How a model is asked to go on: as suffix_format() says; plainly if that knows no way.
SuffixFormat manner_of(Family family, const std::vector<ObjectiveSpec>& objectives);
// The request that continues `ids` in this manner.
Request continuation(SuffixFormat manner, const Specials& specials, std::vector<int32_t> ids, GenerateOptions options);

// One line: a label of ten columns and a text, on stderr.
void say(const std::string& label, const std::string& text);
// One line of JSON on stdout; bytes that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& value);
// A token or span as one sees it on one line: newlines and tabs as \n and \t.
std::string visible(const std::string& text);
// At most `most` bytes of a text on one line, for tables and remarks.
std::string shortened(const std::string& text, size_t most = 60);

}  // namespace triarch::cli
