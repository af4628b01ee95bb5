// Reading a user's files into documents, and splitting these into train and validation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triarch/base/fields.h"

namespace triarch {

struct Document {
  std::string text;    // of a pair: the input
  std::string target;  // of a pair
  bool pair = false;
  std::string source;  // for messages: "books/emma.txt", "pairs.jsonl:12"

  int64_t bytes() const { return int64_t(text.size() + target.size()); }
};

// Where a .txt file is cut into documents. The newlines around a cut belong to no document.
enum class DocumentBreak : uint8_t {
  automatic,   // at lines that say <|endoftext|> if there are any, else `file`
  file,        // each file is one document
  line,        // each line is one
  blank_line,  // at blank lines
  endoftext,   // at <|endoftext|>
};
template <>
struct EnumNames<DocumentBreak> {
  static constexpr std::pair<DocumentBreak, const char*> table[] = {{DocumentBreak::automatic, "auto"},
                                                                    {DocumentBreak::file, "file"},
                                                                    {DocumentBreak::line, "line"},
                                                                    {DocumentBreak::blank_line, "blank_line"},
                                                                    {DocumentBreak::endoftext, "endoftext"}};
};

struct ReadOptions {
  DocumentBreak breaks = DocumentBreak::automatic;
  // Fields of .jsonl to read, say "sentence" and "label". Empty: the first that a line has of
  // inputs/targets, prompt/completion, prompt/response (pairs) and text. Numbers and booleans are read as
  // written; an input without a target field named is a text.
  std::string input_field = {}, target_field = {};
};

struct Corpus {
  std::vector<Document> documents;
  std::vector<std::string> files;    // read, in order
  std::vector<std::string> skipped;  // in folders: files of other kinds, hidden ones, README, LICENSE, SOURCE
  int64_t bytes() const;
  // Of texts, targets and their order; not of names or of how files were compressed.
  uint64_t hash() const;
};

// Reads files, folders (with all below them but what hidden folders hold) and globs, sorted by name within each. What a
// file holds is told by its ending in small or capital letters, after .gz or .zst is taken off: .jsonl, .ndjson or
// .json has one object per line, .tsv has input<TAB>target lines, anything else is text. A byte-order mark at the start
// of a file is dropped; everything else stays as it is, CRLF too (in .jsonl and .tsv line ends are no content).
// Documents without text are left out. Errors name the file and the line: missing or unreadable, without text, damaged,
// binary (NUL bytes, or more than a tenth that is not UTF-8), invalid JSON, a missing field, more or fewer than two
// columns.
Corpus read_corpus(const std::vector<std::string>& inputs, const ReadOptions& options = {});
// The documents in the bytes of a text file that have been read already (standard input); `name` is used in messages.
std::vector<Document> read_documents(std::string bytes, const std::string& name, const ReadOptions& options = {});

struct SplitOptions {
  double validation = 0.1;  // share of the bytes, in (0, 1)
  uint64_t seed = 0;
};

struct SplitSummary {
  std::string rule;  // what was done, in words
  int64_t train_documents = 0, validation_documents = 0;
  int64_t train_bytes = 0, validation_bytes = 0;
  std::string text() const;  // one line to print
};

struct Split {
  std::vector<Document> train, validation;  // in the order of the corpus
  SplitSummary summary;
};

// Ten or more documents, or pairs: whole documents go to validation, chosen by hashes of seed and content, so the
// choice for one document does not depend on names or order, and equal documents stay on one side. Documents
// of more than one and a half times the wanted share are passed over where possible. Fewer documents: the
// last part of each, from a line's start where one is near. Error if nothing would be left on one side.
Split split_corpus(Corpus corpus, const SplitOptions& options = {});

}  // namespace triarch
