// A trained model as files: its specification, its weights and its tokenizer. Every checkpoint of a run is such a
// folder too, so whatever runs a model takes either.
#pragma once

#include <filesystem>
#include <vector>

#include "triarch/checkpoint/safetensors.h"
#include "triarch/model/parameters.h"
#include "triarch/model/spec.h"

namespace triarch {

namespace model_file {
inline constexpr const char* weights = "model.safetensors";
inline constexpr const char* spec = "model.yaml";
inline constexpr const char* tokenizer = "tokenizer.bin";
}  // namespace model_file

// The folder that holds a model's files: `path` itself, a run's `model` folder, or its newest checkpoint. Errors say
// what was looked for.
std::filesystem::path find_model(const std::filesystem::path& path);
// The specification in a model's folder.
ModelSpec read_spec(const std::filesystem::path& folder);

// All parameters, by name; vectors have one dimension.
std::vector<NamedTensor> tensors_of(const Parameters& parameters);
// Reads every parameter. Errors (ExitCode::corrupt) name the tensor that is missing, too many or of another shape.
void load_parameters(const SafetensorsFile& file, Parameters& parameters);

// The same for another task: heads over classes and tags that the file lacks keep their values, and all of them unless
// `same_labels`, as equally many may mean something else. Usage error if anything else differs.
void load_known_parameters(const SafetensorsFile& file, Parameters& parameters, bool same_labels);

// One parameter from the tensor called `name`, into `to` of its shape.
void load_tensor(const SafetensorsFile& file, const std::string& name, const Parameter& shape, const Tensor& to);
bool is_vector(const Parameter& parameter);

}  // namespace triarch
