#include "triarch/base/utf8.h"

#include <utf8proc.h>

#include <algorithm>

namespace triarch {

namespace {

// Its length, 0 if there is none.
size_t decode(std::string_view text, utf8proc_int32_t* code) {
  const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                  utf8proc_ssize_t(std::min<size_t>(text.size(), 4)), code);
  return n > 0 ? size_t(n) : 0;
}

}  // namespace

size_t character_length(std::string_view text) {
  if (!text.empty() && uint8_t(text[0]) < 0x80) return 1;
  utf8proc_int32_t code;
  return decode(text, &code);
}

Letter letter_of(std::string_view text) {
  utf8proc_int32_t code;
  if (decode(text, &code) == 0) return Letter::none;
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LL:
      return Letter::lower;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return Letter::upper;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
      return Letter::caseless;
    default:
      return Letter::none;
  }
}

}  // namespace triarch
