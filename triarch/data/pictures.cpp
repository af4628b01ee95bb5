#include "triarch/data/pictures.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <set>
#include <sstream>

#include "triarch/base/error.h"

namespace triarch {
namespace {

constexpr int kShapeCount = 4, kColourCount = 6;
constexpr const char* kShapes[kShapeCount] = {"circle", "square", "triangle", "cross"};
constexpr const char* kShapesOf[kShapeCount] = {"circles", "squares", "triangles", "crosses"};
constexpr const char* kColours[kColourCount] = {"red", "green", "blue", "yellow", "purple", "white"};
constexpr float kPaint[kColourCount][3] = {{1, 0.1f, 0.1f}, {0.1f, 0.8f, 0.1f},   {0.15f, 0.25f, 1},
                                           {1, 0.9f, 0.1f}, {0.75f, 0.1f, 0.85f}, {1, 1, 1}};
constexpr const char* kNumbers[] = {"one", "two", "three", "four"};

constexpr int kCell = 8, kCells = 2, kSize = 6;  // pixels of a cell, cells in a row, pixels of a shape

// A shape of a colour; those with the same number are kept back.
struct Thing {
  int shape = 0, colour = 0;
  bool operator==(const Thing&) const = default;
};

bool covers(int shape, int y, int x) {
  const double middle = (kSize - 1) / 2.0, dy = y - middle, dx = x - middle;
  switch (shape) {
    case 0:
      return dx * dx + dy * dy <= 7;
    case 1:
      return true;
    case 2:
      return std::abs(dx) <= (y + 1) / 2.0;
    default:
      return std::abs(dx) < 1 || std::abs(dy) < 1;
  }
}

Thing draw_thing(Draw& draw, Combinations combinations) {
  Thing t;
  t.shape = int(draw.below(kShapeCount));
  t.colour = combinations == Combinations::kept_back ? t.shape
                                                     : (t.shape + 1 + int(draw.below(kColourCount - 1))) % kColourCount;
  return t;
}

// Somewhere in its cell, a little darker or lighter than others of its colour.
void paint(Picture& p, const Thing& t, int cell, Draw& draw) {
  const int top = cell / kCells * kCell + int(draw.below(kCell - kSize + 1));
  const int left = cell % kCells * kCell + int(draw.below(kCell - kSize + 1));
  const float light = float(0.75 + 0.25 * draw.uniform());
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      if (!covers(t.shape, y, x)) continue;
      for (int c = 0; c < 3; ++c)
        p.pixels[size_t(((top + y) * p.width + left + x) * 3 + c)] = light * kPaint[t.colour][c];
    }
  }
}

void same_things(Scene& s, Draw& draw, Combinations combinations) {
  const Thing t = draw_thing(draw, combinations);
  const int count = 1 + int(draw.below(kCells * kCells));
  std::array<int, kCells* kCells> cells = {0, 1, 2, 3};
  draw.shuffle(cells.data(), cells.size());
  for (int i = 0; i < count; ++i) paint(s.picture, t, cells[size_t(i)], draw);
  s.caption = fmt::format("{} {} {}", kNumbers[count - 1], kColours[t.colour],
                          count == 1 ? kShapes[t.shape] : kShapesOf[t.shape]);
  s.questions = {{"how many", "how many", kNumbers[count - 1]},
                 {"which colour", "which colour", kColours[t.colour]},
                 {"which shape", "which shape", kShapes[t.shape]}};
}

void two_things(Scene& s, Draw& draw, Combinations combinations) {
  const Thing a = draw_thing(draw, combinations);
  Thing b = a;
  while (b.shape == a.shape || b.colour == a.colour) b = draw_thing(draw, combinations);
  const bool beside = draw.below(2) == 0;
  const int first = beside ? kCells * int(draw.below(kCells)) : int(draw.below(kCells));
  paint(s.picture, a, first, draw);
  paint(s.picture, b, first + (beside ? 1 : kCells), draw);
  s.caption = fmt::format("a {} {} {} a {} {}", kColours[a.colour], kShapes[a.shape], beside ? "left of" : "above",
                          kColours[b.colour], kShapes[b.shape]);
  for (const Thing& t : {a, b}) {
    const char* place = beside ? (t == a ? "left" : "right") : (t == a ? "above" : "below");
    s.questions.push_back({"colour of", fmt::format("which colour is the {}", kShapes[t.shape]), kColours[t.colour]});
    s.questions.push_back({"shape of", fmt::format("which shape is {}", kColours[t.colour]), kShapes[t.shape]});
    s.questions.push_back({"where", fmt::format("where is the {}", kShapes[t.shape]), place});
  }
}

}  // namespace

std::vector<float> patches(const Picture& p, int64_t side) {
  require(side > 0 && p.channels > 0 && int64_t(p.pixels.size()) == p.height * p.width * p.channels,
          "patches: expected squares of 1 pixel or more of a picture of {} x {} x {} numbers, found {} and {} numbers",
          p.height, p.width, p.channels, side, p.pixels.size());
  std::vector<float> out;
  for (int64_t top = 0; top < p.height; top += side) {
    for (int64_t left = 0; left < p.width; left += side) {
      for (int64_t y = top; y < top + side; ++y) {
        for (int64_t x = left; x < left + side; ++x) {
          for (int64_t c = 0; c < p.channels; ++c) {
            const bool inside = y < p.height && x < p.width;
            out.push_back(inside ? p.pixels[size_t((y * p.width + x) * p.channels + c)] : 0);
          }
        }
      }
    }
  }
  return out;
}

Scene draw_scene(Key key, Combinations combinations) {
  Draw draw(key);
  Scene s;
  s.picture = {kCells * kCell, kCells * kCell, 3, {}};
  // A dark ground with some noise, so that no two pictures are the same.
  for (int i = 0; i < kCells * kCells * kCell * kCell * 3; ++i) s.picture.pixels.push_back(float(0.2 * draw.uniform()));
  if (draw.below(2) == 0) {
    same_things(s, draw, combinations);
  } else {
    two_things(s, draw, combinations);
  }
  return s;
}

std::vector<std::string> scene_words() {
  std::vector<std::string> words = {"a",    "left",  "right",  "of",    "above", "below", "how",
                                    "many", "which", "colour", "shape", "where", "is",    "the"};
  for (const auto& list : {kShapes, kShapesOf, kNumbers}) words.insert(words.end(), list, list + kShapeCount);
  words.insert(words.end(), kColours, kColours + kColourCount);
  return words;
}

}  // namespace triarch
