// What captions say is what the pixels show.
#include "triarch/data/pictures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "triarch/base/error.h"

namespace triarch {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

// What a cell of 8 x 8 pixels shows, told by counting: empty, or its colour and shape.
struct Seen {
  std::string colour, shape;
};
Seen look(const Picture& p, int64_t top, int64_t left) {
  std::map<std::string, int> colours;
  std::vector<int> by_row;
  for (int64_t y = top; y < top + 8; ++y) {
    int count = 0;
    for (int64_t x = left; x < left + 8; ++x) {
      const float* v = &p.pixels[size_t((y * 16 + x) * 3)];
      if (std::max({v[0], v[1], v[2]}) < 0.5f) continue;
      ++count;
      ++colours[v[0] > 0.5f   ? (v[1] > 0.5f   ? (v[2] > 0.5f ? "white" : "yellow")
                                 : v[2] > 0.5f ? "purple"
                                               : "red")
                : v[2] > 0.5f ? "blue"
                              : "green"];
    }
    if (count > 0) by_row.push_back(count);
  }
  if (by_row.empty()) return {};
  EXPECT_EQ(colours.size(), 1u);
  EXPECT_EQ(by_row.size(), 6u);
  const int first = by_row.front(), last = by_row.back();
  const char* shape = first == 6 ? "square" : first == last ? (by_row[1] == 4 ? "circle" : "cross") : "triangle";
  return {colours.begin()->first, shape};
}

TEST(Pictures, PatchesByHand) {
  // 3 rows of 2 pixels with 1 channel, in squares of 2.
  const Picture p{3, 2, 1, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(patches(p, 2), (std::vector<float>{1, 2, 3, 4, 5, 6, 0, 0}));
  const Picture colour{1, 2, 3, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(patches(colour, 1), colour.pixels);
  EXPECT_THROW(patches(p, 0), Error);
  EXPECT_THROW(patches({3, 2, 3, {1}}, 2), Error);
}

TEST(Pictures, CaptionsSayWhatIsSeen) {
  const std::vector<std::string> list = scene_words();
  const std::set<std::string> words(list.begin(), list.end());
  const std::map<std::string, std::string> kept = {
      {"circle", "red"}, {"square", "green"}, {"triangle", "blue"}, {"cross", "yellow"}};
  std::map<std::string, int> captions;
  for (uint64_t i = 0; i < 600; ++i) {
    const bool back = i % 3 == 0;
    const Scene s = draw_scene(Key(4, Purpose::test).with(i), back ? Combinations::kept_back : Combinations::common);
    const std::vector<std::string> caption = split(s.caption);
    for (const std::string& w : caption) EXPECT_TRUE(words.contains(w)) << w;
    std::vector<Seen> seen;
    std::vector<int> where;
    for (int cell = 0; cell < 4; ++cell) {
      const Seen c = look(s.picture, cell / 2 * 8, cell % 2 * 8);
      if (c.colour.empty()) continue;
      seen.push_back(c);
      where.push_back(cell);
      EXPECT_EQ(kept.at(c.shape) == c.colour, back) << s.caption;
    }
    std::string expected;
    if (caption.size() == 3) {
      const char* numbers[] = {"one", "two", "three", "four"};
      const std::string shape = seen[0].shape == "cross" && seen.size() > 1 ? "crosse" : seen[0].shape;
      expected =
          std::string(numbers[seen.size() - 1]) + " " + seen[0].colour + " " + shape + (seen.size() > 1 ? "s" : "");
    } else {
      ASSERT_EQ(seen.size(), 2u) << s.caption;
      const bool beside = where[1] - where[0] == 1;
      EXPECT_TRUE(beside || where[1] - where[0] == 2);
      expected = "a " + seen[0].colour + " " + seen[0].shape + (beside ? " left of a " : " above a ") + seen[1].colour +
                 " " + seen[1].shape;
    }
    EXPECT_EQ(s.caption, expected);
    ++captions[s.caption];
    for (const Question& q : s.questions) {
      for (const std::string& w : split(q.text + " " + q.answer)) EXPECT_TRUE(words.contains(w)) << w;
      const auto answer_is_said = [&] {
        if (q.kind == "where") return true;
        return std::ranges::find(caption, q.answer) != caption.end() || caption.back().starts_with(q.answer);
      };
      EXPECT_TRUE(answer_is_said()) << s.caption << ": " << q.text << " " << q.answer;
    }
  }
  EXPECT_GT(captions.size(), 100u);
  // The same key, the same scene.
  const Key key(5, Purpose::test);
  EXPECT_EQ(draw_scene(key, Combinations::common).picture.pixels, draw_scene(key, Combinations::common).picture.pixels);
}

}  // namespace
}  // namespace triarch
