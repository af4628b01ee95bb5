// Numbers and sentences as a person reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triarch {

std::string human_count(double count);       // 950, 61k, 4.2M, 1.3G
std::string human_bytes(double bytes);       // 950 B, 310 MB, 1.2 GB (powers of 1000)
std::string human_duration(double seconds);  // 0.8s, 12s, 2:41, 1:02:03, 3d 04:05
// Seconds of 90s, 3m (or 3min), 1.5h, 2d or several of these, larger first: 1h30m; spaces aside; nothing if it is no
// such time.
std::optional<double> parse_duration(std::string_view text);
std::string sentence_case(std::string text);  // with a capital first letter
// "a, b and c".
std::string listed(const std::vector<std::string>& words, const char* last = "and");
// A text that may hold anything (a token) as one line that shows its control characters: \n, \t, \x01.
std::string visible(const std::string& text);
std::string shell_word(const std::string& text);  // in quotes where a shell needs them

}  // namespace triarch
