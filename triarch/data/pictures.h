// Pictures as rows of feature vectors, and a small world of them that says what is in each: coloured shapes, with a
// caption and questions whose answers are there to be seen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triarch/base/random.h"

namespace triarch {

// Rows of pixels from the top, the channels of a pixel side by side, from 0 (dark) to 1.
struct Picture {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<float> pixels;  // [height, width, channels]
};

// A picture cut into squares of `side` pixels (Dosovitskiy et al. 2021, section 3.1): feature vectors of side * side *
// channels numbers, in reading order. What squares reach beyond the picture is 0.
std::vector<float> patches(const Picture& picture, int64_t side);

struct Question {
  std::string kind;    // "how many", "where"
  std::string text;    // "where is the circle"
  std::string answer;  // one word
};

// 16 x 16 pixels, three channels: one to four shapes of one kind and colour ("two red circles"), or two shapes that
// differ in both, side by side or one above the other ("a red circle left of a blue square").
struct Scene {
  Picture picture;
  std::string caption;
  std::vector<Question> questions;
};

// Which of the 24 pairs of four shapes and six colours are drawn: the 20 to learn from, or the 4 that are kept back,
// one of each shape, none of them of one colour.
enum class Combinations : uint8_t { common, kept_back };

// A pure function of the key.
Scene draw_scene(Key key, Combinations combinations);
// All words of captions, questions and answers.
std::vector<std::string> scene_words();

}  // namespace triarch
