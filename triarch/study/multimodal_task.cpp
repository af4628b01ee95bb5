#include "triarch/study/multimodal_task.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>

#include "triarch/base/error.h"
#include "triarch/data/image_files.h"
#include "triarch/data/sounds.h"
#include "triarch/text/words.h"

namespace triarch {
namespace {

constexpr int64_t kScenePatch = 4;
constexpr size_t kHeldOutEach = 8;  // a file in so many is held out, and another for validation
constexpr size_t kFrames = 64;      // of a sound, at most

// Numbers of mean 0 and deviation 1 over generated pictures; what they are is no secret of training.
std::vector<float> scene_rows(const Picture& p) {
  std::vector<float> rows = patches(p, kScenePatch);
  for (float& x : rows) x = (x - 0.2f) / 0.25f;
  return rows;
}

Described caption_of(Scene scene) {
  const std::string kind = words_of(scene.caption).size() == 3 ? "caption: a number of shapes" : "caption: two shapes";
  return {scene_rows(scene.picture), kind, "", scene.caption, std::move(scene.picture)};
}
Described question_of(Scene scene, uint64_t which) {
  const Question& q = scene.questions[which % scene.questions.size()];
  return {scene_rows(scene.picture), "question: " + q.kind, q.text, q.answer, std::move(scene.picture)};
}

Tokenizer tokenizer_of(const std::set<std::string>& words) {
  return Tokenizer::of_words({words.begin(), words.end()}, 0);
}

std::string last_name(const std::filesystem::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

// A part of the files in an order of their own is held out; training goes through the rest, in another order in every
// pass. Rows are scaled by the mean and the deviation of what training shows.
MultimodalTask file_task(std::vector<Described> all, int64_t features, int64_t items) {
  MultimodalTask t;
  t.features = features;
  Draw(Key(1, Purpose::data_split)).shuffle(all.data(), all.size());
  const size_t held_out = std::min(size_t(items), all.size() / kHeldOutEach);
  if (held_out == 0) {
    fail(ExitCode::usage, "study multimodal: expected at least {} examples, so that some can be held out, found {}",
         kHeldOutEach, all.size());
  }
  const auto from = [&](size_t i) { return all.begin() + ptrdiff_t(i * held_out); };
  std::vector<Described> asked(from(0), from(1));
  t.validation.assign(from(1), from(2));
  auto shown = std::make_shared<std::vector<Described>>(from(2), all.end());
  double sum = 0, squares = 0, n = 0;
  for (const Described& d : *shown) {
    for (float x : d.rows) sum += double(x), squares += double(x) * double(x), n += 1;
  }
  const double mean = sum / n, deviation = std::sqrt(std::max(1e-12, squares / n - mean * mean));
  std::set<std::string> words;
  for (auto* list : {&asked, &t.validation, shown.get()}) {
    for (Described& d : *list) {
      for (float& x : d.rows) x = float((double(x) - mean) / deviation);
      t.rows = std::max(t.rows, int64_t(d.rows.size()) / features);
      const std::vector<Word> label = words_of(d.answer);
      for (const Word& w : label) words.insert(d.answer.substr(w.begin, w.end - w.begin));
      t.answer_tokens = std::max(t.answer_tokens, int64_t(label.size()) + 1);
    }
  }
  t.tokenizer = tokenizer_of(words);
  t.training = int64_t(shown->size());
  t.show = [shown](uint64_t seed, int64_t place) {
    const int64_t count = int64_t(shown->size());
    std::vector<int32_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    Draw(Key(seed, Purpose::data_order).with(uint64_t(place / count))).shuffle(order.data(), order.size());
    return (*shown)[size_t(order[size_t(place % count)])];
  };
  t.notes = {fmt::format("{} examples: {} are shown in training, {} choose learning rates, {} are asked.", all.size(),
                         shown->size(), held_out, held_out)};
  t.sets = {{"labels", std::move(asked)}};
  return t;
}

}  // namespace

Example MultimodalTask::example(const Described& d) const {
  Example e;
  e.features = d.rows;
  e.source.assign(d.rows.size() / size_t(features), kFeatureRow);
  const std::vector<int32_t> question = tokenizer.encode(d.question);
  e.source.insert(e.source.end(), question.begin(), question.end());
  e.target = tokenizer.encode(d.answer);
  e.target.push_back(tokenizer.specials().eos);
  e.tokens = int64_t(e.source.size() + e.target.size());
  return e;
}

MultimodalTask scene_task(int64_t items) {
  MultimodalTask t;
  t.title = "generated pictures";
  t.thing = "picture";
  const std::vector<std::string> words = scene_words();
  t.tokenizer = tokenizer_of({words.begin(), words.end()});
  t.features = kScenePatch * kScenePatch * 3;
  t.rows = 16;
  t.answer_tokens = 9;
  const auto show = [](Key key) {
    Scene scene = draw_scene(key.with(0), Combinations::common);
    const uint64_t which = key.bits(1);
    return which % 2 == 0 ? caption_of(std::move(scene)) : question_of(std::move(scene), which / 2);
  };
  t.show = [show](uint64_t seed, int64_t place) { return show(Key(seed, Purpose::world).with(uint64_t(place))); };
  for (int64_t i = 0; i < items; ++i) t.validation.push_back(show(Key(1, Purpose::test).with(uint64_t(i))));
  for (const auto& [combinations, name] :
       {std::pair{Combinations::common, "new pictures"}, std::pair{Combinations::kept_back, "new combinations"}}) {
    DescribedSet captions{fmt::format("captions, {}", name), {}}, questions{fmt::format("questions, {}", name), {}};
    for (int64_t i = 0; i < items; ++i) {
      const Key key = Key(0, Purpose::test).with(uint64_t(combinations)).with(uint64_t(i));  // no seed of training's
      captions.items.push_back(caption_of(draw_scene(key, combinations)));
      questions.items.push_back(question_of(draw_scene(key.with(1), combinations), key.bits(1)));
    }
    t.sets.push_back(std::move(captions));
    t.sets.push_back(std::move(questions));
  }
  t.notes = {
      "Pictures are generated: 16 x 16 pixels, one to four equal shapes or two that differ, in cells of 8 x 8 where "
      "they are moved by up to two pixels, on a ground with noise; cut into 16 patches of 4 x 4. Every picture of "
      "training is new. Half of the examples ask for a caption, half ask a question that the picture answers in a "
      "word.",
      "New combinations: 4 of the 24 pairs of a shape and a colour never occur in training, though each shape and each "
      "colour does. Those held-out pictures show nothing else."};
  return t;
}

MultimodalTask picture_task(const std::filesystem::path& path, int64_t items) {
  std::vector<Described> all;
  std::vector<LabelledPicture> files = read_pictures(path);
  // At most four by four patches.
  const Picture& first = files.front().picture;
  const int64_t side = (std::max(first.height, first.width) + 3) / 4, features = side * side * first.channels;
  for (LabelledPicture& p : files) {
    all.push_back({patches(p.picture, side), "label", "", p.label, std::move(p.picture)});
  }
  MultimodalTask t = file_task(std::move(all), features, items);
  t.title = fmt::format("pictures of '{}'", last_name(path));
  t.thing = "picture";
  t.notes.push_back(fmt::format("Patches of {0} x {0} pixels.", side));
  return t;
}

MultimodalTask sound_task(const std::filesystem::path& folder, int64_t items) {
  const FrameOptions frames;
  std::vector<Described> all;
  int64_t cut = 0;
  for (const Sound& s : read_sounds(folder)) {
    Described d;
    d.rows = log_mel(s.samples, s.rate, frames);
    const size_t most = kFrames * size_t(frames.bands);
    cut += d.rows.size() > most;
    d.rows.resize(std::min(d.rows.size(), most));
    d.kind = "label";
    d.answer = s.label;
    // Time from left to right, high bands above.
    d.picture = {frames.bands, int64_t(d.rows.size()) / frames.bands, 1, {}};
    const auto [low, high] = std::ranges::minmax(d.rows);
    for (int64_t b = frames.bands - 1; b >= 0; --b) {
      for (int64_t f = 0; f < d.picture.width; ++f) {
        d.picture.pixels.push_back((d.rows[size_t(f * frames.bands + b)] - low) / std::max(1e-6f, high - low));
      }
    }
    all.push_back(std::move(d));
  }
  MultimodalTask t = file_task(std::move(all), frames.bands, items);
  t.title = fmt::format("sounds of '{}'", last_name(folder));
  t.thing = "sound";
  t.notes.push_back(
      fmt::format("Frames of {:.0f} ms every {:.0f} ms, {} bands of a log-mel spectrum each; {} sounds were cut to {} "
                  "frames.",
                  1000 * frames.window, 1000 * frames.hop, frames.bands, cut, kFrames));
  return t;
}

}  // namespace triarch
