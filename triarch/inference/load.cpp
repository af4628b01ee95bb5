#include "triarch/inference/load.h"

#include "triarch/base/error.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/checkpoint/weights.h"

namespace triarch {

std::filesystem::path open_model(const std::filesystem::path& path) {
  const std::filesystem::path folder = find_model(path);
  if (std::filesystem::exists(folder / checkpoint_file::manifest)) {
    // Not the moments, which are twice as large and are not read.
    Checkpoint(folder, {model_file::weights, model_file::spec, model_file::tokenizer, checkpoint_file::config,
                        checkpoint_file::state});
  }
  return folder;
}

std::unique_ptr<Model> load_model(const std::filesystem::path& folder, Precision precision) {
  auto model = std::make_unique<Model>(read_spec(folder), precision, false);
  load_parameters(SafetensorsFile(folder / model_file::weights, "load model"), model->parameters());
  return model;
}

Tokenizer load_tokenizer(const std::filesystem::path& folder, const ModelSpec& spec) {
  Tokenizer tokenizer = Tokenizer::load(folder / model_file::tokenizer);
  require(tokenizer.vocabulary() <= spec.vocabulary,
          "load model: the tokenizer in '{}' has {} tokens and the model {}; take the one that it was trained with",
          folder.string(), tokenizer.vocabulary(), spec.vocabulary);
  return tokenizer;
}

}  // namespace triarch
