// What is shown to models that see or hear, what they are asked, and what is right: generated pictures, or files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "triarch/data/example.h"
#include "triarch/data/pictures.h"
#include "triarch/text/tokenizer.h"

namespace triarch {

// One thing that is shown, and what is to be said about it.
struct Described {
  std::vector<float> rows;  // [rows, MultimodalTask::features]
  std::string kind;         // of the answer
  std::string question;     // words behind the rows; empty: it is to be named or described
  std::string answer;
  Picture picture;  // as a person sees it
};

struct DescribedSet {
  std::string title;  // "captions, new combinations"
  std::vector<Described> items;
};

struct MultimodalTask {
  std::string title, thing;   // "generated pictures", "picture"
  Tokenizer tokenizer;        // of all words
  int64_t features = 0;       // numbers in a row
  int64_t rows = 0;           // of one thing, at most
  int64_t answer_tokens = 0;  // at most, with eos
  int64_t training = 0;       // things to learn from; 0: each is new
  // What training shows at a place, by a seed: a pure function.
  std::function<Described(uint64_t seed, int64_t place)> show;
  std::vector<Described> validation;  // held out, to choose learning rates by and for curves
  std::vector<DescribedSet> sets;     // held out, for the figures
  std::vector<std::string> notes;     // how it was made

  // The row numbers and words as an example: rows, then the question; the answer and eos.
  Example example(const Described& d) const;
};

// Scenes (data/pictures.h), a caption or a question with equal chance, with `items` captions and `items` questions
// about new pictures of common combinations, and the same of those that training never shows.
MultimodalTask scene_task(int64_t items);
// Files: the label is what is to be said. A part is held out, at most `items` of them for each use.
MultimodalTask picture_task(const std::filesystem::path& path, int64_t items);
MultimodalTask sound_task(const std::filesystem::path& folder, int64_t items);

}  // namespace triarch
