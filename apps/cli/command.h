// The command line: `triarch VERB ...`. Each verb is one file that declares its arguments, calls the library and
// prints: results on stdout, progress and remarks on stderr.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/train/config.h"

namespace triarch::cli {

// What a verb does once its arguments are parsed.
using Action = std::function<ExitCode()>;

// Declares the verb's arguments on `app` and says what to do with them.
using Declare = Action (*)(Arguments& app);

// Flags from the fields of a configuration: --optimizer.beta2, or --beta2 where only one field has that name, and
// further names for fields that people know by another. Values are collected, to be applied by configure().
class FieldFlags {
 public:
  // `aliases`: further name -> field's dotted name. `usual`: those that --help shows; --help-all shows all.
  void declare(Arguments& app, const std::vector<Field>& fields, const std::map<std::string, std::string>& aliases,
               const std::set<std::string>& usual);
  const std::vector<Assignment>& assignments() const { return assignments_; }

 private:
  std::vector<Assignment> assignments_;
};

// Flags by the names of Hugging Face and of papers -> fields of TrainConfig.
const std::map<std::string, std::string>& train_aliases();

// True where stderr is a terminal that shows colours.
bool colours();

// train, or finetune with MODEL as first argument.
Action declare_training(Arguments& app, bool finetune);

Action declare_train(Arguments& app);
Action declare_compare(Arguments& app);
Action declare_report(Arguments& app);
Action declare_study(Arguments& app);
Action declare_finetune(Arguments& app);
Action declare_generate(Arguments& app);
Action declare_fill(Arguments& app);
Action declare_embed(Arguments& app);
Action declare_score(Arguments& app);
Action declare_evaluate(Arguments& app);
Action declare_classify(Arguments& app);
Action declare_tag(Arguments& app);
Action declare_tokenize(Arguments& app);
Action declare_inspect(Arguments& app);
Action declare_forward(Arguments& app);
Action declare_doctor(Arguments& app);

}  // namespace triarch::cli
