#include "triarch/checkpoint/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "triarch/base/error.h"
#include "triarch/base/fields.h"

namespace triarch {
namespace {

using nlohmann::json;

struct TypeRow {
  const char* name;
  int64_t size;
};
// In the order of FileType.
constexpr TypeRow types[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                             {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

constexpr uint64_t length_bytes = 8;
constexpr uint64_t most_header_bytes = 100'000'000;  // as the reference implementation
constexpr uint64_t alignment = 64;                   // of the data, in the file and so in memory

std::string shape_text(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

float from_half(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 0x3ffu;
  uint32_t bits;
  if (exponent == 31) {
    bits = sign | 0x7f800000u | (fraction << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112) << 23) | (fraction << 13);
  } else {
    const float value = float(fraction) * 0x1p-24f;  // subnormal or zero
    return sign ? -value : value;
  }
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace

int64_t size_of(FileType type) { return types[size_t(type)].size; }
const char* name_of(FileType type) { return types[size_t(type)].name; }
FileType file_type(DType type) {
  switch (type) {
    case DType::f32:
      return FileType::f32;
    case DType::bf16:
      return FileType::bf16;
    case DType::f64:
      return FileType::f64;
    case DType::i32:
      return FileType::i32;
    case DType::i8:
      return FileType::i8;
  }
  return FileType::f32;
}

NamedTensor::NamedTensor(std::string n, const Tensor& tensor, bool as_vector)
    : name(std::move(n)), type(file_type(tensor.dtype())), shape{tensor.rows(), tensor.cols()}, data(tensor.raw()) {
  require(tensor.rows() <= 1 || tensor.stride() == tensor.cols(),
          "save tensor '{}': expected rows without gaps, found a stride of {} for {} columns", name, tensor.stride(),
          tensor.cols());
  if (as_vector) shape = {tensor.rows() * tensor.cols()};
}

int64_t NamedTensor::count() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<int64_t>());
}

void write_safetensors(const std::filesystem::path& path, std::vector<NamedTensor> tensors, Metadata metadata,
                       std::string_view what) {
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const int64_t x = size_of(a.type), y = size_of(b.type);
    return x != y ? x > y : a.name < b.name;
  });
  metadata.emplace("format", "pt");
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const NamedTensor& t : tensors) {
    require(!t.name.empty() && t.name != "__metadata__" && !header.contains(t.name),
            "{}: expected different names that are not empty, found '{}' again", what, t.name);
    header[t.name] = {{"dtype", name_of(t.type)}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes()}}};
    offset += t.bytes();
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.append((alignment - (length_bytes + text.size()) % alignment) % alignment, ' ');
  const uint64_t length = text.size();

  AtomicFile file(path, std::string(what));
  file.write({reinterpret_cast<const char*>(&length), length_bytes});
  file.write(text);
  for (const NamedTensor& t : tensors) file.write({static_cast<const char*>(t.data), size_t(t.bytes())});
  file.commit();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path, std::string_view what)
    : path_(path), what_(what), file_(path, what) {
  const std::string_view all = file_.bytes();
  const auto damaged = [&](const std::string& expected, const std::string& found) {
    fail(ExitCode::corrupt, "{}: '{}' is damaged or no safetensors file: expected {}, found {}", what_, path_.string(),
         expected, found);
  };
  if (all.size() < length_bytes) damaged("at least 8 bytes", std::to_string(all.size()));
  uint64_t length;
  std::memcpy(&length, all.data(), length_bytes);
  if (length > most_header_bytes) damaged("a header of at most 100 MB", fmt::format("one of {} bytes", length));
  if (length > all.size() - length_bytes) {
    damaged(fmt::format("a header of {} bytes", length), fmt::format("{} bytes in all", all.size()));
  }
  data_ = all.data() + length_bytes + length;
  try {
    parse(all.substr(length_bytes, length), all.size() - length_bytes - length);
  } catch (const json::exception& e) {
    damaged("a JSON header", e.what());
  }
}

void SafetensorsFile::parse(std::string_view text, uint64_t data_bytes) {
  // nlohmann would silently keep the last of two equal keys.
  std::set<std::string> names;
  std::string repeated;
  const json header = json::parse(text, [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second) {
      repeated = value.get<std::string>();
    }
    return true;
  });
  const auto damaged = [&](const std::string& where, const std::string& expected, const std::string& found) {
    fail(ExitCode::corrupt, "{}: '{}' is damaged: {}: expected {}, found {}", what_, path_.string(), where, expected,
         found);
  };
  if (!repeated.empty()) damaged("header", "different names", "'" + repeated + "' twice");
  if (!header.is_object()) damaged("header", "a JSON object", header.type_name());

  std::vector<std::pair<uint64_t, uint64_t>> places;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      metadata_ = entry.get<Metadata>();
      continue;
    }
    const std::string where = "tensor '" + name + "'";
    const std::string type = entry.at("dtype").get<std::string>();
    const auto row = std::find_if(std::begin(types), std::end(types), [&](const TypeRow& r) { return type == r.name; });
    if (row == std::end(types)) damaged(where, "a known type", "'" + type + "'");
    NamedTensor t;
    t.name = name;
    t.type = FileType(row - std::begin(types));
    uint64_t bytes = uint64_t(row->size);
    for (const json& side : entry.at("shape")) {
      if (!side.is_number_unsigned()) damaged(where, "sides of at least 0", side.dump());
      const auto n = side.get<uint64_t>();
      if (n > uint64_t(std::numeric_limits<int64_t>::max()) || __builtin_mul_overflow(bytes, n, &bytes)) {
        damaged(where, "a shape of fewer than 2^64 bytes", entry.at("shape").dump());
      }
      t.shape.push_back(int64_t(n));
    }
    const json& offsets = entry.at("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      damaged(where, "two data offsets", offsets.dump());
    }
    const auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    if (begin > end || end > data_bytes) {
      damaged(where, fmt::format("data within {} bytes", data_bytes), offsets.dump());
    }
    if (end - begin != bytes) {
      damaged(where, fmt::format("{} bytes for {} {}", bytes, type, shape_text(t.shape)),
              fmt::format("{} bytes", end - begin));
    }
    t.data = data_ + begin;
    places.emplace_back(begin, end);
    tensors_.push_back(std::move(t));
  }
  std::sort(places.begin(), places.end());
  uint64_t reached = 0;
  for (const auto& [begin, end] : places) {
    if (begin != reached) damaged("data", fmt::format("a tensor at byte {}", reached), fmt::format("one at {}", begin));
    reached = end;
  }
  if (reached != data_bytes) {
    damaged("data", fmt::format("{} bytes", reached), fmt::format("{} bytes", data_bytes));
  }
  std::stable_sort(tensors_.begin(), tensors_.end(),
                   [](const NamedTensor& a, const NamedTensor& b) { return a.data < b.data; });
}

const NamedTensor* SafetensorsFile::find(std::string_view name) const {
  for (const NamedTensor& t : tensors_) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

const NamedTensor& SafetensorsFile::get(std::string_view name, std::span<const int64_t> shape) const {
  const NamedTensor* t = find(name);
  if (!t) {
    std::vector<std::string> names;
    for (const NamedTensor& other : tensors_) names.push_back(other.name);
    fail("{}: '{}' has no tensor '{}' among its {}{}", what_, path_.string(), name, names.size(),
         did_you_mean(name, names));
  }
  if (!std::equal(shape.begin(), shape.end(), t->shape.begin(), t->shape.end())) {
    fail("{}: '{}': tensor '{}': expected shape {}, found {}", what_, path_.string(), name, shape_text(shape),
         shape_text(t->shape));
  }
  return *t;
}

template <class T>
void SafetensorsFile::copy_as(const NamedTensor& tensor, T* out) const {
  const auto each = [&](auto stored, auto convert) {
    using Stored = decltype(stored);
    const char* in = static_cast<const char*>(tensor.data);
    for (int64_t i = 0, n = tensor.count(); i < n; ++i) {
      Stored value;  // by bytes: a file of another program may not be aligned
      std::memcpy(&value, in + i * int64_t(sizeof(Stored)), sizeof(Stored));
      out[i] = T(convert(value));
    }
  };
  switch (tensor.type) {
    case FileType::f32:
      return each(float(), [](float v) { return v; });
    case FileType::f64:
      return each(double(), [](double v) { return v; });
    case FileType::bf16:
      return each(bf16(), [](bf16 v) { return float(v); });
    case FileType::f16:
      return each(uint16_t(), from_half);
    default:
      fail("{}: '{}': tensor '{}': expected a floating type, found {}", what_, path_.string(), tensor.name,
           name_of(tensor.type));
  }
}
template void SafetensorsFile::copy_as<float>(const NamedTensor&, float*) const;
template void SafetensorsFile::copy_as<double>(const NamedTensor&, double*) const;

}  // namespace triarch
