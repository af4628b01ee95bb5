// Text files as users have them: perhaps compressed, perhaps with a byte-order mark, lines with either end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace triarch {

// The bytes of a file, those of a .gz or .zst decompressed, without a byte-order mark. `what` opens the message of an
// error: missing, unreadable, damaged (corrupt).
std::string read_text_file(const std::filesystem::path& path, std::string_view what);
// The same of bytes that have been read already.
std::string text_of_file(std::string bytes, std::string_view name, std::string_view what);

// The ending that says what a file holds, in small letters: ".jsonl" of "a/b.JSONL.gz".
std::string content_ending(const std::filesystem::path& path);
// The name without folder and ending: "b".
std::string content_stem(const std::filesystem::path& path);

// Calls f(line, number) for each line, without its line end; the first has the number 1.
template <class F>
void for_each_line(std::string_view text, const F& f) {
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    f(line, ++number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

inline bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

}  // namespace triarch
