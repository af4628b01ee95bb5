#include "triarch/data/text_file.h"

#include "triarch/base/files.h"
#include "triarch/data/decompress.h"

namespace triarch {
namespace {

std::string lowered(std::string text) {
  for (char& c : text) c = 'A' <= c && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return text;
}

std::filesystem::path decompressed(const std::filesystem::path& path) {
  const std::string last = lowered(path.extension().string());
  return last == ".gz" || last == ".zst" ? path.stem() : path.filename();
}

}  // namespace

std::string read_text_file(const std::filesystem::path& path, std::string_view what) {
  return text_of_file(read_file(path, what), path.string(), what);
}

std::string text_of_file(std::string bytes, std::string_view name, std::string_view what) {
  bytes = decompress(std::move(bytes), name, what);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  return bytes;
}

std::string content_ending(const std::filesystem::path& path) {
  return lowered(decompressed(path).extension().string());
}
std::string content_stem(const std::filesystem::path& path) { return decompressed(path).stem().string(); }

}  // namespace triarch
