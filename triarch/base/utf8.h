// UTF-8, the little of it that is needed in more than one room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace triarch {

// The length of the valid UTF-8 character at the start of `text` in bytes, 0 if there is none.
size_t character_length(std::string_view text);

enum class Letter : uint8_t {
  none,  // something else, or no valid UTF-8
  lower,
  upper,
  caseless,  // of a script without cases; also a mark on the letter before it
};
// What the character at the start of `text` is (Unicode's general category).
Letter letter_of(std::string_view text);

}  // namespace triarch
