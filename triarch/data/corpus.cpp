#include "triarch/data/corpus.h"

#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "triarch/base/error.h"
#include "triarch/base/hash.h"
#include "triarch/base/utf8.h"
#include "triarch/data/text_file.h"

namespace triarch {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view end_of_text = "<|endoftext|>";

enum class Format { text, json_lines, tsv };

Format format_of(const fs::path& path) {
  const std::string end = content_ending(path);
  if (end == ".csv") {
    fail(ExitCode::usage, "read corpus: '{}': CSV is not read; write it as .tsv (text<TAB>label or target) or .jsonl",
         path.string());
  }
  if (end == ".jsonl" || end == ".ndjson" || end == ".json") return Format::json_lines;
  return end == ".tsv" ? Format::tsv : Format::text;
}

// Files that lie beside the data in most folders of data.
bool is_data(const fs::path& path) {
  const std::string name = path.filename().string(), end = content_ending(path);
  for (const char* other : {".*", "README*", "LICEN[CS]E*", "SOURCE*"}) {
    if (fnmatch(other, name.c_str(), FNM_CASEFOLD) == 0) return false;
  }
  if (end == ".json") {  // a line for each document, or one file of settings
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line) && is_blank(line)) continue;
    return json::parse(line, nullptr, false).is_object();
  }
  return end == ".txt" || end == ".jsonl" || end == ".ndjson" || end == ".tsv";
}

std::vector<std::string> expand_glob(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), GLOB_TILDE, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

void list_folder(const fs::path& folder, Corpus& corpus) {
  std::vector<fs::path> inside;
  std::error_code error;
  for (fs::recursive_directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    std::error_code ignored;
    if (i->is_regular_file(ignored)) inside.push_back(i->path());
    if (i->path().filename().string().starts_with('.')) i.disable_recursion_pending();  // .ipynb_checkpoints, .git
  }
  if (error) fail("read corpus: cannot list the folder '{}': {}", folder.string(), error.message());
  std::sort(inside.begin(), inside.end());
  const size_t before = corpus.files.size();
  for (const fs::path& path : inside) (is_data(path) ? corpus.files : corpus.skipped).push_back(path.string());
  require(
      corpus.files.size() > before,
      "read corpus: expected .txt, .jsonl, .json or .tsv files (also .gz or .zst of them) in '{}', found {} files of "
      "other kinds; name the files themselves to read them",
      folder.string(), inside.size());
}

void list_files(const std::vector<std::string>& inputs, Corpus& corpus) {
  for (const std::string& input : inputs) {
    std::vector<std::string> paths = {input};
    std::error_code ignored;
    if (!fs::exists(input, ignored)) {
      paths = expand_glob(input);
      require(!paths.empty(), "read corpus: '{}' does not exist and matches no file; check the path from {}", input,
              fs::current_path().string());
    }
    for (const std::string& path : paths) {
      if (fs::is_directory(path, ignored)) {
        list_folder(path, corpus);
      } else {
        corpus.files.push_back(path);
      }
    }
  }
}

void check_is_text(std::string_view bytes, const std::string& file) {
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) {
    fail("read corpus: expected UTF-8 in '{}', found UTF-16; convert it: iconv -f UTF-16 -t UTF-8", file);
  }
  if (const size_t zero = bytes.find('\0'); zero != std::string_view::npos) {
    fail("read corpus: expected text in '{}', found binary data (a NUL byte at {}); pass a text file", file, zero);
  }
  size_t invalid = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t n = character_length(bytes.substr(i));
    invalid += n == 0;
    i += std::max<size_t>(1, n);
  }
  if (invalid * 10 > bytes.size()) {
    fail(
        "read corpus: expected UTF-8 text in '{}', found binary data or another encoding ({:.0f} % of the bytes are no "
        "UTF-8); pass a text file, or convert it with iconv",
        file, 100.0 * double(invalid) / double(bytes.size()));
  }
}

void trim_newlines(std::string_view& text) {
  while (text.starts_with('\n') || text.starts_with('\r')) text.remove_prefix(1);
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
}

class FileReader {
 public:
  FileReader(std::string file, const ReadOptions& options, Corpus& corpus)
      : file_(std::move(file)), options_(options), corpus_(corpus) {}

  void read() { read(read_text_file(file_, "read corpus")); }
  void read(const std::string& content) {
    check_is_text(content, file_);
    const size_t before = corpus_.documents.size();
    switch (format_of(file_)) {
      case Format::text:
        read_text(content);
        break;
      case Format::json_lines:
        for_each_line(content, [&](std::string_view line, int64_t number) { read_json(line, number); });
        break;
      case Format::tsv:
        for_each_line(content, [&](std::string_view line, int64_t number) { read_tsv(line, number); });
        break;
    }
    require(corpus_.documents.size() > before, "read corpus: expected text in '{}', found {}; pass a file with text",
            file_, content.empty() ? "an empty file" : "only blank lines");
  }

 private:
  void add(std::string_view text, std::string source) {
    if (!is_blank(text)) corpus_.documents.push_back({std::string(text), "", false, std::move(source)});
  }

  void read_text(std::string_view content) {
    DocumentBreak breaks = options_.breaks;
    if (breaks == DocumentBreak::automatic) {
      breaks = content.find(end_of_text) == std::string_view::npos ? DocumentBreak::file : DocumentBreak::endoftext;
    }
    if (breaks == DocumentBreak::file) return add(content, file_);
    int64_t count = 0;
    const auto add_part = [&](std::string_view part) {
      trim_newlines(part);
      add(part, fmt::format("{}:{}", file_, ++count));
    };
    if (breaks == DocumentBreak::line) {
      for_each_line(content, [&](std::string_view line, int64_t) { add_part(line); });
    } else if (breaks == DocumentBreak::endoftext) {
      while (!content.empty()) {
        const size_t end = content.find(end_of_text);
        add_part(content.substr(0, end));
        content.remove_prefix(end == std::string_view::npos ? content.size() : end + end_of_text.size());
      }
    } else {
      // `end` runs behind the last line that is not blank.
      const char *begin = content.data(), *end = begin;
      for_each_line(content, [&](std::string_view line, int64_t) {
        const char* line_end = line.data() + line.size();
        if (!is_blank(line)) {
          end = line_end;
          return;
        }
        if (end > begin) add_part({begin, size_t(end - begin)});
        begin = end = line_end;
      });
      if (end > begin) add_part({begin, size_t(end - begin)});
    }
  }

  std::string field(const json& object, const std::string& name, int64_t number) const {
    const auto found = object.find(name);
    if (found == object.end()) {
      std::vector<std::string> names;
      for (const auto& [key, value] : object.items()) names.push_back(key);
      fail(
          "read corpus: {}:{}: expected the field '{}', found {}; name the one to read with --input-field or "
          "--target-field",
          file_, number, name, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    }
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number() || found->is_boolean()) return found->dump();
    fail("read corpus: {}:{}: expected a string in the field '{}', found {}", file_, number, name, found->type_name());
  }

  void read_json(std::string_view line, int64_t number) {
    if (is_blank(line)) return;
    json object;
    try {
      object = json::parse(line);
    } catch (const json::exception& e) {
      fail("read corpus: {}:{}: invalid JSON ({}); expected one object per line", file_, number, e.what());
    }
    if (!object.is_object()) {
      fail("read corpus: {}:{}: expected an object such as {{\"text\": \"...\"}}, found {}", file_, number,
           object.type_name());
    }
    std::string input = options_.input_field, target = options_.target_field;
    if (input.empty() && target.empty()) {
      constexpr std::array<std::array<const char*, 2>, 3> pairs = {
          {{"inputs", "targets"}, {"prompt", "completion"}, {"prompt", "response"}}};
      for (const auto& [i, t] : pairs) {
        if (!input.empty() || !object.contains(i) || !object.contains(t)) continue;
        input = i;
        target = t;
      }
    }
    if (input.empty()) input = "text";
    Document document{field(object, input, number), "", !target.empty(), fmt::format("{}:{}", file_, number)};
    if (document.pair) document.target = field(object, target, number);
    if (document.pair || !is_blank(document.text)) corpus_.documents.push_back(std::move(document));
  }

  void read_tsv(std::string_view line, int64_t number) {
    if (is_blank(line)) return;
    const auto tabs = std::count(line.begin(), line.end(), '\t');
    if (tabs != 1) {
      fail("read corpus: {}:{}: expected two columns, input<TAB>target, found {}; keep two with cut -f", file_, number,
           tabs + 1);
    }
    const size_t tab = line.find('\t');
    corpus_.documents.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1)), true,
                                 fmt::format("{}:{}", file_, number)});
  }

  std::string file_;
  const ReadOptions& options_;
  Corpus& corpus_;
};

}  // namespace

int64_t Corpus::bytes() const {
  int64_t sum = 0;
  for (const Document& document : documents) sum += document.bytes();
  return sum;
}

uint64_t Corpus::hash() const {
  uint64_t h = 0;
  for (const Document& document : documents) {
    h = hash64(document.text, h);
    if (document.pair) h = hash64(document.target, h + 1);
  }
  return h;
}

Corpus read_corpus(const std::vector<std::string>& inputs, const ReadOptions& options) {
  if (inputs.empty()) fail(ExitCode::usage, "read corpus: expected files, folders or globs, found none");
  Corpus corpus;
  list_files(inputs, corpus);
  for (const std::string& file : corpus.files) FileReader(file, options, corpus).read();
  return corpus;
}

std::vector<Document> read_documents(std::string bytes, const std::string& name, const ReadOptions& options) {
  Corpus corpus;
  FileReader(name, options, corpus).read(text_of_file(std::move(bytes), name, "read corpus"));
  return std::move(corpus.documents);
}

}  // namespace triarch
