// Trained models from disk, for use.
#pragma once

#include <filesystem>
#include <memory>

#include "triarch/model/model.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// The folder of a model's files (find_model). Where it has a manifest, what is read is checked against it first,
// as are the lengths of the others: a damaged file is an error with ExitCode::corrupt.
std::filesystem::path open_model(const std::filesystem::path& path);

// From a folder that open_model returned.
std::unique_ptr<Model> load_model(const std::filesystem::path& folder, Precision precision);
// Error if the model has fewer ids than the tokenizer.
Tokenizer load_tokenizer(const std::filesystem::path& folder, const ModelSpec& spec);

}  // namespace triarch
