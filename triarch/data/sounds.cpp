#include "triarch/data/sounds.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "triarch/base/error.h"
#include "triarch/data/image_files.h"

namespace triarch {
namespace {

double mel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz(double mels) { return 700 * (std::pow(10, mels / 2595) - 1); }

// [bands][frequencies]: how much of each frequency k rate / window belongs to each band.
std::vector<std::vector<double>> triangles(int64_t bands, int64_t frequencies, double spacing, double top) {
  const auto edge = [&](int64_t i) { return hertz(mel(top) * double(i) / double(bands + 1)); };
  std::vector<std::vector<double>> out(static_cast<size_t>(bands), std::vector<double>(size_t(frequencies), 0.0));
  for (int64_t b = 0; b < bands; ++b) {
    const double low = edge(b), middle = edge(b + 1), high = edge(b + 2);
    double sum = 0;
    for (int64_t k = 0; k < frequencies; ++k) {
      const double f = double(k) * spacing;
      const double share = std::min((f - low) / (middle - low), (high - f) / (high - middle));
      sum += out[size_t(b)][size_t(k)] = std::max(0.0, share);
    }
    // A band that is narrower than a frequency takes the nearest.
    if (sum == 0) out[size_t(b)][size_t(std::clamp<int64_t>(std::llround(middle / spacing), 0, frequencies - 1))] = 1;
  }
  return out;
}

}  // namespace

std::vector<Sound> read_sounds(const std::filesystem::path& folder) {
  std::vector<Sound> out;
  for (const std::filesystem::path& file : files_below(folder, ".wav")) {
    SF_INFO info{};
    SNDFILE* from = sf_open(file.c_str(), SFM_READ, &info);
    if (!from) fail(ExitCode::corrupt, "read sounds: '{}': {}", file.string(), sf_strerror(nullptr));
    std::vector<float> all(size_t(info.frames * info.channels));
    const sf_count_t read = sf_readf_float(from, all.data(), info.frames);
    sf_close(from);
    if (read != info.frames || read == 0) {
      fail(ExitCode::corrupt, "read sounds: '{}': expected {} samples, found {}", file.string(), info.frames, read);
    }
    Sound s{label_of(file, folder), info.samplerate, {}};
    for (sf_count_t i = 0; i < read; ++i) {
      float sum = 0;
      for (int c = 0; c < info.channels; ++c) sum += all[size_t(i * info.channels + c)];
      s.samples.push_back(sum / float(info.channels));
    }
    out.push_back(std::move(s));
  }
  return out;
}

std::vector<float> log_mel(std::span<const float> samples, int rate, const FrameOptions& o) {
  const int64_t window = std::llround(o.window * rate), hop = std::llround(o.hop * rate);
  require(window >= 2 && hop >= 1 && o.bands >= 1 && !samples.empty(),
          "log mel: expected samples, windows of 2 or more of them, and bands, found {} samples at {} a second and {} "
          "bands",
          samples.size(), rate, o.bands);
  const int64_t frequencies = window / 2 + 1;
  const double turn = 2 * std::numbers::pi / double(window);
  std::vector<double> cosine, sine, hann;
  for (int64_t i = 0; i < window; ++i) {
    cosine.push_back(std::cos(turn * double(i)));
    sine.push_back(std::sin(turn * double(i)));
    hann.push_back(0.5 - 0.5 * cosine.back());
  }
  const auto bands = triangles(o.bands, frequencies, double(rate) / double(window), rate / 2.0);
  std::vector<float> out;
  std::vector<double> frame(static_cast<size_t>(window)), power(static_cast<size_t>(frequencies));
  const int64_t n = int64_t(samples.size());
  for (int64_t begin = 0; begin == 0 || begin + window <= n; begin += hop) {
    for (int64_t i = 0; i < window; ++i) {
      frame[size_t(i)] = begin + i < n ? hann[size_t(i)] * double(samples[size_t(begin + i)]) : 0;
    }
    // Its discrete Fourier transform as it is defined: windows are short.
    for (int64_t k = 0; k < frequencies; ++k) {
      double re = 0, im = 0;
      for (int64_t i = 0, at = 0; i < window; ++i) {
        re += frame[size_t(i)] * cosine[size_t(at)];
        im += frame[size_t(i)] * sine[size_t(at)];
        at += k;
        if (at >= window) at -= window;
      }
      power[size_t(k)] = re * re + im * im;
    }
    for (const std::vector<double>& band : bands) {
      double sum = 0;
      for (int64_t k = 0; k < frequencies; ++k) sum += band[size_t(k)] * power[size_t(k)];
      out.push_back(float(std::max(-8.0, std::log10(std::max(sum, 1e-30)))));
    }
  }
  return out;
}

}  // namespace triarch
