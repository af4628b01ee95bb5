// The command line: `triarch VERB ...`. Each verb is one file that declares its arguments, calls the library and
// prints: results on stdout, progress and remarks on stderr.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/train/config.h"

namespace triarch::cli {

// What a verb does once its arguments are parsed.
using Action = std::function<ExitCode()>;

// Declares the verb's arguments on `app` and says what to do with them.
using Declare = Action (*)(CLI::App& app);

// Flags from the fields of a configuration: --optimizer.beta2, or --beta2 where only one field has that name, and
// further names for fields that people know by another. Values are collected, to be applied by configure().
class FieldFlags {
 public:
  // `aliases`: further name -> field's dotted name.
  void declare(CLI::App& app, const std::vector<Field>& fields, const std::map<std::string, std::string>& aliases);
  const std::vector<Assignment>& assignments() const { return assignments_; }

 private:
  std::vector<Assignment> assignments_;
};

// Flags by the names of Hugging Face and of papers -> fields of TrainConfig.
const std::map<std::string, std::string>& train_aliases();

// True where stderr is a terminal that shows colours.
bool colours();

// train, or finetune with MODEL as first argument.
Action declare_training(CLI::App& app, bool finetune);

Action declare_train(CLI::App& app);
Action declare_compare(CLI::App& app);
Action declare_report(CLI::App& app);
Action declare_study(CLI::App& app);
Action declare_finetune(CLI::App& app);
Action declare_generate(CLI::App& app);
Action declare_fill(CLI::App& app);
Action declare_embed(CLI::App& app);
Action declare_score(CLI::App& app);
Action declare_classify(CLI::App& app);
Action declare_tag(CLI::App& app);
Action declare_tokenize(CLI::App& app);
Action declare_inspect(CLI::App& app);
Action declare_forward(CLI::App& app);
Action declare_doctor(CLI::App& app);

}  // namespace triarch::cli
