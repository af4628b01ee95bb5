// Labelled sounds from WAV files, and sounds as frames of a log-mel spectrum: feature vectors.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace triarch {

struct Sound {
  std::string label;
  int rate = 0;                // samples per second
  std::vector<float> samples;  // in [-1, 1], channels averaged
};

// The WAV files of a folder, labelled as label_of says (image_files.h). Usage error if there are none, error (corrupt)
// for damaged ones.
std::vector<Sound> read_sounds(const std::filesystem::path& folder);

struct FrameOptions {
  double window = 0.025, hop = 0.02;  // seconds
  int64_t bands = 40;                 // triangles, evenly spaced in mel = 2595 log10(1 + f / 700), up to half the rate
};

// [frames, bands]: log10 of the power in each band, at least -8, of Hann windows. A sound shorter than a window is one
// frame.
std::vector<float> log_mel(std::span<const float> samples, int rate, const FrameOptions& options = {});

}  // namespace triarch
