#include "triarch/data/text_file.h"

#include "triarch/base/files.h"
#include "triarch/data/decompress.h"

namespace triarch {
namespace {

std::filesystem::path decompressed(const std::filesystem::path& path) {
  const std::string last = path.extension().string();
  return last == ".gz" || last == ".zst" ? path.stem() : path.filename();
}

}  // namespace

std::string read_text_file(const std::filesystem::path& path, std::string_view what) {
  std::string bytes = decompress(read_file(path, what), path.string());
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  return bytes;
}

std::string content_ending(const std::filesystem::path& path) { return decompressed(path).extension().string(); }
std::string content_stem(const std::filesystem::path& path) { return decompressed(path).stem().string(); }

}  // namespace triarch
