// Pictures and sounds from files: what was written is what is read, and what is wrong is said.
#include <gtest/gtest.h>
#include <png.h>

#include <cmath>
#include <filesystem>
#include <numbers>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/data/image_files.h"
#include "triarch/data/sounds.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

class MediaFiles : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) { scratch_.write(name, bytes); }
  void write_png(const fs::path& name, uint32_t format, uint32_t height, uint32_t width, std::vector<uint8_t> pixels) {
    fs::create_directories((folder_ / name).parent_path());
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.height = height;
    image.width = width;
    image.format = format;
    ASSERT_TRUE(png_image_write_to_file(&image, (folder_ / name).c_str(), 0, pixels.data(), 0, nullptr));
  }
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path();
};

std::string big_endian(uint32_t v) { return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; }
std::string little(uint32_t v, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += char(v >> (8 * i));
  return out;
}

// 16-bit samples in so many channels.
std::string wav(uint32_t rate, uint32_t channels, const std::vector<int16_t>& samples) {
  std::string data;
  for (int16_t s : samples) data += little(uint16_t(s), 2);
  return "RIFF" + little(uint32_t(36 + data.size()), 4) + "WAVEfmt " + little(16, 4) + little(1, 2) +
         little(channels, 2) + little(rate, 4) + little(rate * channels * 2, 4) + little(channels * 2, 2) +
         little(16, 2) + "data" + little(uint32_t(data.size()), 4) + data;
}

TEST_F(MediaFiles, Idx) {
  const std::string head(std::string("\0\0\x08\x03", 4) + big_endian(2) + big_endian(1) + big_endian(3));
  write("a-images-idx3-ubyte", head + std::string("\x00\x33\xff\x01\x02\x03", 6));
  EXPECT_THROW(read_pictures(folder_), Error);  // no labels
  write("a-labels-idx1-ubyte", std::string("\0\0\x08\x01", 4) + big_endian(2) + std::string("\x07\x00", 2));
  for (const fs::path& path : {folder_, folder_ / "a-images-idx3-ubyte"}) {
    const auto p = read_pictures(path);
    ASSERT_EQ(p.size(), 2u);
    EXPECT_EQ(p[0].label, "7");
    EXPECT_EQ(p[1].label, "0");
    EXPECT_EQ(p[0].picture.height, 1);
    EXPECT_EQ(p[0].picture.width, 3);
    EXPECT_EQ(p[0].picture.pixels, (std::vector<float>{0, 0.2f, 1}));
  }
  write("a-images-idx3-ubyte", head + "short");
  EXPECT_THROW(read_pictures(folder_), Error);
  write("a-images-idx3-ubyte", "x");
  EXPECT_THROW(read_pictures(folder_), Error);
}

TEST_F(MediaFiles, Png) {
  write_png("cat/1.png", PNG_FORMAT_RGB, 1, 2, {255, 0, 51, 0, 255, 102});
  write_png("dog/1.png", PNG_FORMAT_RGB, 1, 2, {0, 0, 0, 1, 1, 1});
  const auto p = read_pictures(folder_);
  ASSERT_EQ(p.size(), 2u);
  EXPECT_EQ(p[0].label, "cat");
  EXPECT_EQ(p[1].label, "dog");
  EXPECT_EQ(p[0].picture.channels, 3);
  EXPECT_EQ(p[0].picture.pixels, (std::vector<float>{1, 0, 0.2f, 0, 1, 0.4f}));
  write_png("dog/2.png", PNG_FORMAT_GRAY, 1, 2, {255, 0});
  EXPECT_THROW(read_pictures(folder_), Error);  // another size
  const Picture grey = read_png(folder_ / "dog/2.png");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.pixels, (std::vector<float>{1, 0}));
  write("dog/2.png", "no picture");
  EXPECT_THROW(read_png(folder_ / "dog/2.png"), Error);
  EXPECT_THROW(read_pictures(folder_ / "none"), Error);
}

TEST_F(MediaFiles, Wav) {
  write("7_ann_0.wav", wav(8000, 1, {0, 16384, -32768}));
  write("3.wav", wav(16000, 2, {16384, 0, 0, -16384}));
  const auto s = read_sounds(folder_);
  ASSERT_EQ(s.size(), 2u);
  EXPECT_EQ(s[0].label, "3");
  EXPECT_EQ(s[0].rate, 16000);
  EXPECT_EQ(s[0].samples, (std::vector<float>{0.25f, -0.25f}));
  EXPECT_EQ(s[1].label, "7");
  EXPECT_EQ(s[1].samples, (std::vector<float>{0, 0.5f, -1}));
  write("3.wav", "no sound");
  EXPECT_THROW(read_sounds(folder_), Error);
  EXPECT_THROW(read_sounds(folder_ / "none"), Error);
}

TEST(LogMel, TonesAreInTheirBands) {
  const FrameOptions o;
  const auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  for (double hertz : {200.0, 500.0, 1000.0, 3000.0}) {
    std::vector<float> tone, loud;
    for (int i = 0; i < 1000; ++i) {
      tone.push_back(float(0.1 * std::sin(2 * std::numbers::pi * hertz * i / 8000)));
      loud.push_back(10 * tone.back());
    }
    const std::vector<float> frames = log_mel(tone, 8000, o), louder = log_mel(loud, 8000, o);
    // Windows of 200 samples every 160.
    ASSERT_EQ(int64_t(frames.size()), 6 * o.bands);
    for (size_t f = 0; f < 6; ++f) {
      const float* frame = &frames[f * size_t(o.bands)];
      const int64_t best = std::max_element(frame, frame + o.bands) - frame;
      EXPECT_LE(std::abs(mel(hertz) * double(o.bands + 1) / mel(4000) - double(best + 1)), 1.2) << hertz;
      EXPECT_NEAR(louder[f * size_t(o.bands) + size_t(best)] - frame[best], 2, 1e-4);
    }
    // All power of a Hann window is that of its tone: N sum (w x)^2, of which positive frequencies have half.
    double power = 0, sum = 0;
    for (int i = 0; i < 200; ++i) {
      const double w = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / 200);
      power += 100 * std::pow(w * double(tone[size_t(i)]), 2);
    }
    for (int64_t b = 0; b < o.bands; ++b) sum += std::pow(10, double(frames[size_t(b)]));
    // Triangles overlap so that their sum is 1 between the first and the last middle.
    EXPECT_NEAR(sum / power, 1, 0.05) << hertz;
  }
  EXPECT_EQ(log_mel(std::vector<float>(50, 0.0f), 8000, o), std::vector<float>(40, -8.0f));  // silence, shorter
  EXPECT_THROW(log_mel({}, 8000, o), Error);
}

}  // namespace
}  // namespace triarch
