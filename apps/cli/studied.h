// The models that a study looks at: those that the user names, or small ones trained on the spot.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/loaded.h"
#include "triarch/study/compare.h"
#include "triarch/study/course.h"
#include "triarch/study/rank.h"

namespace triarch::cli {

struct StudyOptions {
  std::string name;
  std::vector<std::string> models;
  std::string text;
  std::string images, sounds;
  int64_t tokens = 0, length = 48, texts = 16;
  double watts = 10;
  bool heads = false, full = false;

  template <class V>
  void fields(V& v) {
    v("name", name, "of the study");
    v("models", models, "folders of models; none: small ones are trained on the built-in world first");
    v("text", text, "what models are shown: a file, or the text itself");
    v("images", images, "multimodal: pictures to name");
    v("sounds", sounds, "multimodal: sounds to name");
    v("tokens", tokens, "tokens that each model learns from; 0: by the study");
    v("length", length, "tokens of a text, at most");
    v("texts", texts, "texts, at most");
    v("watts", watts, "power of a busy core with its share of the machine");
    v("heads", heads, "attention: a picture for every head");
    v("full", full, "the long form");
  }
};

// Holds all that its models need.
struct Studied {
  std::vector<StudiedModel> models;

  std::vector<Loaded> loaded;
  std::unique_ptr<Comparison> world;
  std::unique_ptr<TrialInputs> inputs;
  std::vector<std::unique_ptr<Course>> courses;
};

// Nothing if a signal stopped the training. Usage error for models without a text.
std::optional<Studied> studied(const StudyOptions& options);

}  // namespace triarch::cli
