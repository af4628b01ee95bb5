#include "triarch/data/image_files.h"

#include <png.h>

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/base/files.h"
#include "triarch/data/decompress.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPictures = "idx3-ubyte";

// An IDX file: two zeros, the type (8: bytes), the number of dimensions, each of them as a 32-bit number with its
// largest byte first; then the elements.
struct Idx {
  std::vector<int64_t> dimensions;
  std::string elements;
};

Idx read_idx(const fs::path& path, size_t dimensions) {
  const std::string bytes = decompress(read_file(path, "read pictures"), path.string(), "read pictures");
  const auto byte = [&](size_t i) { return int64_t(uint8_t(bytes[i])); };
  const size_t head = 4 + 4 * dimensions;
  if (bytes.size() < head || byte(0) != 0 || byte(1) != 0 || byte(2) != 8 || size_t(byte(3)) != dimensions) {
    fail(ExitCode::corrupt, "read pictures: '{}': expected an IDX file of bytes in {} dimensions", path.string(),
         dimensions);
  }
  Idx out;
  int64_t size = 1;
  for (size_t d = 0; d < dimensions; ++d) {
    const size_t at = 4 + 4 * d;
    out.dimensions.push_back(byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3));
    size *= std::min<int64_t>(out.dimensions.back(), 1 << 20);  // no file has more, and no product overflows
  }
  if (int64_t(bytes.size() - head) != size) {
    fail(ExitCode::corrupt, "read pictures: '{}': expected {} bytes behind its head, found {}", path.string(), size,
         bytes.size() - head);
  }
  out.elements = bytes.substr(head);
  return out;
}

bool is_idx(const fs::path& path) { return path.filename().string().find(kPictures) != std::string::npos; }

// The labels beside "t10k-images-idx3-ubyte.gz": "t10k-labels-idx1-ubyte", with or without ".gz".
fs::path labels_beside(const fs::path& pictures) {
  std::string name = pictures.filename().string();
  const auto replace = [&](const std::string& from, const std::string& to) {
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  };
  replace("images", "labels");
  replace("idx3", "idx1");
  for (const std::string& other : {name, name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name + ".gz"}) {
    if (fs::exists(pictures.parent_path() / other)) return pictures.parent_path() / other;
  }
  fail(ExitCode::usage, "read pictures: expected labels '{}' beside '{}', found none", name, pictures.string());
}

std::vector<LabelledPicture> from_idx(const fs::path& path) {
  const Idx pictures = read_idx(path, 3), labels = read_idx(labels_beside(path), 1);
  const int64_t count = pictures.dimensions[0], height = pictures.dimensions[1], width = pictures.dimensions[2];
  if (labels.dimensions[0] != count) {
    fail(ExitCode::corrupt, "read pictures: '{}' has {} pictures and its labels are {}", path.string(), count,
         labels.dimensions[0]);
  }
  std::vector<LabelledPicture> out;
  for (int64_t i = 0; i < count; ++i) {
    LabelledPicture p{std::to_string(uint8_t(labels.elements[size_t(i)])), {height, width, 1, {}}};
    for (int64_t k = i * height * width; k < (i + 1) * height * width; ++k) {
      p.picture.pixels.push_back(float(uint8_t(pictures.elements[size_t(k)])) / 255);
    }
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace

std::string label_of(const fs::path& file, const fs::path& root) {
  std::error_code ignored;
  if (!fs::equivalent(file.parent_path(), root, ignored)) return file.parent_path().filename().string();
  const std::string name = file.filename().string();
  return name.substr(0, name.find_first_of("_."));
}

std::vector<fs::path> files_below(const fs::path& folder, const std::string& ending) {
  if (!fs::is_directory(folder)) {
    fail(ExitCode::usage, "read: expected a folder of {} files, found '{}'", ending, folder.string());
  }
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ending) out.push_back(entry.path());
  }
  if (out.empty()) fail(ExitCode::usage, "read: expected {} files in '{}', found none", ending, folder.string());
  std::sort(out.begin(), out.end());
  return out;
}

Picture read_png(const fs::path& path) {
  const std::string bytes = read_file(path, "read pictures");
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const auto damaged = [&] {
    const std::string why = image.message;
    png_image_free(&image);
    fail(ExitCode::corrupt, "read pictures: '{}': {}", path.string(), why);
  };
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) damaged();
  const bool coloured = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  image.format = coloured ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  const png_color ground{0, 0, 0};
  if (!png_image_finish_read(&image, &ground, pixels.data(), 0, nullptr)) damaged();
  Picture p{int64_t(image.height), int64_t(image.width), coloured ? 3 : 1, {}};
  for (uint8_t v : pixels) p.pixels.push_back(float(v) / 255);
  return p;
}

std::vector<LabelledPicture> read_pictures(const fs::path& path) {
  if (!fs::exists(path)) fail(ExitCode::usage, "read pictures: there is no file or folder '{}'", path.string());
  if (!fs::is_directory(path)) {
    if (is_idx(path)) return from_idx(path);
    fail(ExitCode::usage, "read pictures: expected an IDX file of pictures or a folder, found '{}'", path.string());
  }
  std::vector<fs::path> idx;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (is_idx(entry.path())) idx.push_back(entry.path());
  }
  if (idx.size() > 1) {
    fail(ExitCode::usage, "read pictures: '{}' has {} IDX files of pictures; name one of them", path.string(),
         idx.size());
  }
  if (!idx.empty()) return from_idx(idx[0]);
  std::vector<LabelledPicture> out;
  for (const fs::path& file : files_below(path, ".png")) {
    out.push_back({label_of(file, path), read_png(file)});
    const Picture &p = out.back().picture, &first = out.front().picture;
    if (p.height != first.height || p.width != first.width || p.channels != first.channels) {
      fail(ExitCode::usage,
           "read pictures: expected pictures of one size, found {} x {} x {} and, in '{}', {} x {} x {}; scale them "
           "first",
           first.height, first.width, first.channels, file.string(), p.height, p.width, p.channels);
    }
  }
  return out;
}

}  // namespace triarch
