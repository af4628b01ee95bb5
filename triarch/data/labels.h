// Pairs of a text and its labels: a class, or a tag for every word.
#pragma once

#include <string>
#include <vector>

#include "triarch/data/corpus.h"

namespace triarch {

// The names in a document's target: its class (the target's words with one space between them), or with `tags` one tag
// per word of the text (text/words.h). Error, which names the document's source, if it is no pair, or has more or fewer
// tags than words.
std::vector<std::string> labels_of(const Document& document, bool tags);

}  // namespace triarch
