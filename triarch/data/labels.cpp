#include "triarch/data/labels.h"

#include "triarch/base/error.h"
#include "triarch/text/words.h"

namespace triarch {

std::vector<std::string> labels_of(const Document& d, bool tags) {
  if (!d.pair) {
    fail("read labels: {}: expected a text and its {}, found a text alone", d.source, tags ? "tags" : "class");
  }
  std::vector<std::string> names;
  for (const Word& w : words_of(d.target)) names.push_back(d.target.substr(w.begin, w.end - w.begin));
  if (tags) {
    const size_t words = words_of(d.text).size();
    if (names.size() != words) {
      fail("read tags: {}: expected one tag per word ({} words), found {}", d.source, words, names.size());
    }
    return names;
  }
  return {fmt::format("{}", fmt::join(names, " "))};
}

}  // namespace triarch
