#include "triarch/checkpoint/weights.h"

#include "triarch/base/error.h"
#include "triarch/checkpoint/checkpoint.h"
#include "triarch/model/names.h"

namespace triarch {

std::filesystem::path find_model(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  if (!fs::exists(path))
    fail("load model: there is no '{}'; expected a run's folder, a checkpoint or a model", path.string());
  for (const fs::path& folder : {path, path / "model"}) {
    if (fs::is_regular_file(folder / model_file::weights) && fs::is_regular_file(folder / model_file::spec))
      return folder;
  }
  if (const auto newest = newest_checkpoint(path)) return newest->path;
  if (fs::exists(path / "report.json") || (fs::exists(path / "queue") && fs::exists(path / "tokenizer.bin"))) {
    fail(ExitCode::usage, "load model: '{}' is a comparison, which keeps no models; see triarch report {}",
         path.string(), path.string());
  }
  fail("load model: '{}' holds no model ({} and {}) and no checkpoint of a run; give the folder that training printed",
       path.string(), model_file::weights, model_file::spec);
}

ModelSpec read_spec(const std::filesystem::path& folder) {
  ModelSpec spec;
  load_yaml(folder / model_file::spec, spec);
  spec.check();
  return spec;
}

bool is_vector(const Parameter& p) { return p.kind == ParameterKind::vector; }

std::vector<NamedTensor> tensors_of(const Parameters& parameters) {
  std::vector<NamedTensor> out;
  for (const Parameter& p : parameters.all()) {
    require(!p.value.empty(), "save weights: '{}' is there for use only, as {}", p.name, name_of(p.operand.dtype()));
    out.emplace_back(p.name, p.value, is_vector(p));
  }
  return out;
}

void load_tensor(const SafetensorsFile& file, const std::string& name, const Parameter& p, const Tensor& to) {
  const std::vector<int64_t> shape = is_vector(p) ? std::vector<int64_t>{p.cols} : std::vector<int64_t>{p.rows, p.cols};
  const NamedTensor& t = file.get(name, shape);
  if (to.dtype() == DType::f64) {
    file.copy_as(t, to.data<double>());
  } else {
    file.copy_as(t, to.data<float>());
  }
}

namespace {

// Heads over classes and tags belong to a task; all else is the model.
bool is_task_head(const std::string& name) { return name.rfind("classes.", 0) == 0 || name.rfind("tags.", 0) == 0; }

// Each has what the other has, task heads apart if they may differ.
void check_names(const SafetensorsFile& file, Parameters& parameters, bool other_heads, ExitCode code) {
  for (const Parameter& p : parameters.all()) {
    if (file.find(p.name) || (other_heads && is_task_head(p.name))) continue;
    fail(code, "load weights: '{}' does not hold '{}', which this model has; is it of another family or size?",
         file.path().string(), p.name);
  }
  for (const NamedTensor& t : file.tensors()) {
    if (parameters.find(t.name) || (other_heads && is_task_head(t.name))) continue;
    fail(code, "load weights: '{}' holds '{}', which this model does not have; is it of another family or size?",
         file.path().string(), t.name);
  }
}

}  // namespace

void load_known_parameters(const SafetensorsFile& file, Parameters& parameters, bool same_labels) {
  check_names(file, parameters, true, ExitCode::usage);
  for (Parameter& p : parameters.all()) {
    if (is_task_head(p.name) && !(same_labels && file.find(p.name))) continue;
    parameters.write(p, [&](const Tensor& to) { load_tensor(file, p.name, p, to); });
  }
}

void load_parameters(const SafetensorsFile& file, Parameters& parameters) {
  check_names(file, parameters, false, ExitCode::corrupt);
  for (Parameter& p : parameters.all()) {
    parameters.write(p, [&](const Tensor& to) { load_tensor(file, p.name, p, to); });
  }
}

}  // namespace triarch
