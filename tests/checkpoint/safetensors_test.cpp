// Safetensors: what is written comes back, the bytes are what the format says, and damage is found.
#include "triarch/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/random.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

// In place where the length stays: file systems wait for the disk when a file is emptied and written again.
void overwrite(const fs::path& path, const std::string& bytes) {
  const bool in_place = fs::exists(path) && fs::file_size(path) == bytes.size();
  std::fstream(path, in_place ? std::ios::in | std::ios::out : std::ios::out) << bytes;
}

class Safetensors : public ::testing::Test {
 protected:
  void raw(const std::string& header, const std::string& data) {
    const uint64_t length = header.size();
    overwrite(path_, std::string(reinterpret_cast<const char*>(&length), 8) + header + data);
  }
  // The message with which opening is refused; "" if it is not.
  std::string refusal() {
    try {
      SafetensorsFile file(path_, "load");
    } catch (const Error& e) {
      EXPECT_EQ(e.code, ExitCode::corrupt);
      EXPECT_NE(std::string(e.what()).find(path_.string()), std::string::npos) << e.what();
      return e.what();
    }
    return "";
  }
  std::string header_refusal(const std::string& header, size_t data_bytes = 16) {
    raw(header, std::string(data_bytes, 'x'));
    return refusal();
  }
  const Scratch scratch_;
  const fs::path path_ = scratch_ / "a.safetensors";
};

TEST_F(Safetensors, RoundTripOfAllTypesAndShapes) {
  const std::vector<float> f(31 * 67, 1.5f);
  const std::vector<double> d = {1e300, -0.0, std::nan("")};
  const std::vector<bf16> b = {bf16(1.0f), bf16(-2.5f), bf16(3e38f)};
  const std::vector<int32_t> i = {1, -2, INT32_MIN};
  const std::vector<int64_t> l = {INT64_MAX};
  std::vector<float> rows(5 * 8);
  for (size_t k = 0; k < rows.size(); ++k) rows[k] = float(k);
  write_safetensors(path_,
                    {{"z.f32", FileType::f32, {31, 67}, f.data()},
                     {"d", FileType::f64, {3}, d.data()},
                     {"b", FileType::bf16, {3, 1, 1}, b.data()},
                     {"i", FileType::i32, {3}, i.data()},
                     {"scalar", FileType::i64, {}, l.data()},
                     {"none", FileType::f32, {0, 4}, nullptr},
                     {"name with \"quotes\" \xc3\xbc", Tensor(rows.data(), DType::f32, 5, 8)},
                     {"vector", Tensor(rows.data(), DType::f32, 1, 7), true}},
                    {{"step", "7"}, {"format", "pt"}}, "save");
  const SafetensorsFile file(path_, "load");
  ASSERT_EQ(file.tensors().size(), 8u);
  EXPECT_EQ(file.metadata(), (Metadata{{"format", "pt"}, {"step", "7"}}));
  const auto same = [&](const char* name, FileType type, const std::vector<int64_t>& shape, const void* data) {
    const NamedTensor& t = file.get(name, shape);
    EXPECT_EQ(t.type, type);
    EXPECT_EQ(std::memcmp(t.data, data, size_t(t.bytes())), 0) << name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.data) % uint64_t(size_of(type)), 0u) << name;
  };
  same("z.f32", FileType::f32, {31, 67}, f.data());
  same("d", FileType::f64, {3}, d.data());
  same("b", FileType::bf16, {3, 1, 1}, b.data());
  same("i", FileType::i32, {3}, i.data());
  same("scalar", FileType::i64, {}, l.data());
  same("vector", FileType::f32, {7}, rows.data());
  EXPECT_EQ(file.get("none", std::vector<int64_t>{0, 4}).count(), 0);
  EXPECT_EQ(file.get("name with \"quotes\" \xc3\xbc", std::vector<int64_t>{5, 8}).count(), 40);
  // As the format's own reader checks it.
  const std::string bytes = read_file(path_, "test");
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ((8 + length) % 64, 0u);
  EXPECT_EQ(bytes[8], '{');
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  EXPECT_EQ(header["z.f32"]["dtype"], "F32");
  EXPECT_EQ(header["b"]["dtype"], "BF16");
  EXPECT_EQ(header["__metadata__"]["format"], "pt");
}

TEST_F(Safetensors, AnEmptyFileOfTensors) {
  write_safetensors(path_, {}, {}, "save");
  EXPECT_TRUE(SafetensorsFile(path_, "load").tensors().empty());
}

TEST_F(Safetensors, CopyConverts) {
  const float f[] = {1.5f, -3};
  const double d[] = {0.1, 2};
  const bf16 b[] = {bf16(0.5f), bf16(-7)};
  const uint16_t h[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x7c00, 0x03ff, 0x0400};
  const int32_t i[] = {1, 2};
  write_safetensors(path_,
                    {{"f", FileType::f32, {2}, f},
                     {"d", FileType::f64, {2}, d},
                     {"b", FileType::bf16, {2}, b},
                     {"h", FileType::f16, {8}, h},
                     {"i", FileType::i32, {2}, i}},
                    {}, "save");
  const SafetensorsFile file(path_, "load");
  double out[8];
  file.copy_as(*file.find("f"), out);
  EXPECT_EQ(out[0], 1.5);
  file.copy_as(*file.find("d"), out);
  EXPECT_EQ(out[0], 0.1);
  float single[8];
  file.copy_as(*file.find("b"), single);
  EXPECT_EQ(single[1], -7.0f);
  file.copy_as(*file.find("h"), out);
  const double expected[] = {1, -2, 0x1p-24, 65504, -0.0, INFINITY, 1023 * 0x1p-24, 0x1p-14};
  for (int k = 0; k < 8; ++k) EXPECT_EQ(out[k], expected[k]) << k;
  EXPECT_TRUE(std::signbit(out[4]));
  EXPECT_THROW(file.copy_as(*file.find("i"), out), Error);
}

TEST_F(Safetensors, MissingAndMisshapenTensorsAreNamed) {
  const float f[6] = {};
  write_safetensors(path_, {{"layer.0.weight", FileType::f32, {2, 3}, f}}, {}, "save");
  const SafetensorsFile file(path_, "load model");
  const auto message = [&](const char* name, std::vector<int64_t> shape) {
    try {
      file.get(name, shape);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("layer.0.weight", {2, 3}), "");
  EXPECT_NE(message("layer.0.wieght", {2, 3}).find("did you mean 'layer.0.weight'?"), std::string::npos);
  EXPECT_NE(message("layer.0.weight", {3, 2}).find("expected shape [3, 2], found [2, 3]"), std::string::npos);
  EXPECT_THROW(write_safetensors(path_, {{"a", FileType::f32, {1}, f}, {"a", FileType::f32, {1}, f}}, {}, "save"),
               Error);
  EXPECT_THROW(NamedTensor("a", Tensor(const_cast<float*>(f), DType::f32, 2, 2, 3)), Error);
}

TEST_F(Safetensors, DamageIsFound) {
  const auto one = [](const std::string& type, const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  EXPECT_EQ(header_refusal(one("F32", "[4]", "[0,16]")), "");
  const std::pair<std::string, const char*> wrong[] = {
      {one("F33", "[4]", "[0,16]"), "tensor 'a': expected a known type, found 'F33'"},
      {one("F32", "[4]", "[0,12]"), "tensor 'a': expected 16 bytes for F32 [4], found 12 bytes"},
      {one("F32", "[5]", "[0,20]"), "tensor 'a': expected data within 16 bytes, found [0,20]"},
      {one("F32", "[3]", "[0,12]"), "data: expected 12 bytes, found 16 bytes"},
      {one("F32", "[3]", "[4,16]"), "data: expected a tensor at byte 0, found one at 4"},
      {one("F32", "[4]", "[16,0]"), "expected data within"},
      {one("F32", "[-4]", "[0,16]"), "expected sides of at least 0, found -4"},
      {one("F32", "[4.0]", "[0,16]"), "expected sides"},
      {one("F32", "[4611686018427387905]", "[0,4]"), "fewer than 2^64 bytes"},
      {one("F32", "[4]", "[0]"), "two data offsets"},
      {one("F32", "\"4\"", "[0,16]"), "expected sides of at least 0"},
      {R"({"a":{"dtype":"F32","shape":[4]}})", "expected a JSON header"},
      {R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]})", "expected a JSON header"},
      {R"({"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "expected a JSON header"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})",
       "expected different names, found 'a' twice"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
       "data: expected a tensor at byte 12, found one at 8"},
      {"[]", "expected a JSON object, found array"},
      {"", "expected a JSON header"},
  };
  for (const auto& [header, expected] : wrong) {
    EXPECT_NE(header_refusal(header).find(expected), std::string::npos) << header << "\n" << header_refusal(header);
  }
  overwrite(path_, "short");
  EXPECT_NE(refusal().find("expected at least 8 bytes, found 5"), std::string::npos);
  overwrite(path_, "");
  EXPECT_NE(refusal(), "");
  overwrite(path_, "This is a text, not tensors.");
  EXPECT_NE(refusal().find("expected a header of at most 100 MB"), std::string::npos);
}

TEST_F(Safetensors, EveryTruncationIsFound) {
  const float f[33] = {};
  write_safetensors(path_, {{"a", FileType::f32, {3, 11}, f}, {"b", FileType::f32, {2}, f}}, {}, "save");
  const std::string whole = read_file(path_, "test");
  for (size_t n = 0; n < whole.size(); ++n) {
    overwrite(path_, whole.substr(0, n));
    EXPECT_NE(refusal(), "") << n;
  }
  overwrite(path_, whole + "x");
  EXPECT_NE(refusal(), "");
}

// Random bytes in the header are refused or harmless, never a crash (run it under the sanitizers too).
TEST_F(Safetensors, RandomHeaders) {
  const float f[33] = {};
  write_safetensors(path_, {{"a", FileType::f32, {3, 11}, f}, {"b", FileType::bf16, {2}, f}}, {}, "save");
  const std::string whole = read_file(path_, "test");
  Draw draw(Key(1, Purpose::test));
  for (int round = 0; round < 500; ++round) {
    std::string changed = whole;
    for (uint64_t k = 0; k <= draw.below(3); ++k) changed[draw.below(192)] = char(draw.below(256));
    overwrite(path_, changed);
    try {
      const SafetensorsFile file(path_, "load");
      for (const NamedTensor& t : file.tensors()) {
        EXPECT_LE(t.bytes(), int64_t(whole.size()));
        volatile char last = t.bytes() ? static_cast<const char*>(t.data)[t.bytes() - 1] : 0;
        (void)last;
      }
    } catch (const Error& e) {
      EXPECT_EQ(e.code, ExitCode::corrupt);
    }
  }
}

}  // namespace
}  // namespace triarch
