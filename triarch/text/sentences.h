// Sentences, by their punctuation: in any language that ends them with . ! ? or … and separates them by whitespace.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace triarch {

// Bytes [begin, end) of a text, whitespace at neither end.
struct Sentence {
  size_t begin = 0, end = 0;
  bool complete = false;  // ends in a mark, perhaps with quotes or brackets behind it; a heading does not
};

// A sentence ends at marks that whitespace follows, and at a blank line. Not at marks before a small letter, unless
// the whole text has no capitals, and not at the full stop of an initial or a title ("J. Smith", "Mr. Smith").
std::vector<Sentence> sentences_of(std::string_view text);

}  // namespace triarch
