// Inside the room: models as they begin.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triarch/study/rank.h"

namespace triarch {

// A model at its initial weights, with a text of random tokens.
struct Beginning {
  std::unique_ptr<Model> model;
  StudiedModel studied;
};

// In float64, of a vocabulary of bytes; `spec` needs no more than its shape.
inline Beginning beginning(ModelSpec spec, const std::string& title, const Tokenizer& bytes, int64_t length,
                           int64_t seed) {
  spec.vocabulary = bytes.vocabulary();
  spec.max_positions = length + 8;
  Beginning b;
  b.model = std::make_unique<Model>(spec, Precision::float64(), false);
  b.model->parameters().initialise(uint64_t(seed));
  Draw draw(Key(uint64_t(seed), Purpose::test));
  std::vector<int32_t> text;
  const int32_t first = bytes.specials().size();
  for (int64_t i = 0; i < length; ++i) text.push_back(first + int32_t(draw.below(uint64_t(spec.vocabulary - first))));
  b.studied = {title, b.model.get(), &bytes, {text}};
  return b;
}

}  // namespace triarch
