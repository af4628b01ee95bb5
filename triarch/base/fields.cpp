#include "triarch/base/fields.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "triarch/base/files.h"
#include "triarch/base/human.h"

namespace triarch {
namespace {

char fold(char c) { return c == '-' ? '_' : char(std::tolower(uint8_t(c))); }

std::string folded(std::string_view text) {
  std::string s(text);
  std::transform(s.begin(), s.end(), s.begin(), fold);
  return s;
}

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

std::vector<std::string> names_of(const std::vector<Field>& fields) {
  std::vector<std::string> names;
  for (const Field& f : fields) names.push_back(f.name);
  return names;
}

const Field* find(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& f : fields) {
    if (same_key(f.name, name)) return &f;
  }
  return nullptr;
}

std::string at_line(const std::string& source, const YAML::Mark& mark) {
  return mark.is_null() ? source : fmt::format("{} line {}", source, mark.line + 1);
}

// All keys of the file are below `root`; `where` is the dotted name of the fields, "" at the top.
class YamlReader {
 public:
  YamlReader(const std::string& source, const std::vector<Field>& root) : source_(source), root_(root) {}

  void group(const YAML::Node& node, const std::vector<Field>& fields, const std::string& where) {
    if (node.IsNull()) return;
    if (!node.IsMap()) refuse(node, where, "keys and values", node.Mark());
    std::vector<const Field*> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) refuse(entry.first, where, "a key", entry.first.Mark());
      const std::string key = entry.first.Scalar();
      const Field* field = find(fields, key);
      if (!field) {
        const std::string full = join(where, key);
        // Nearest among its neighbours; else the same key may belong elsewhere.
        std::string hint = did_you_mean(key, names_of(fields));
        if (hint.empty()) hint = did_you_mean(full, names_of(flatten(root_)));
        fail(ExitCode::usage, "{}: unknown key '{}'{}", at_line(source_, entry.first.Mark()), full, hint);
      }
      if (std::find(seen.begin(), seen.end(), field) != seen.end()) {
        fail(ExitCode::usage, "{}: the key '{}' is there twice", at_line(source_, entry.first.Mark()),
             join(where, key));
      }
      seen.push_back(field);
      // An empty value has no place of its own.
      assign(entry.second, *field, join(where, field->name),
             entry.second.IsNull() ? entry.first.Mark() : entry.second.Mark());
    }
  }

  void assign(const YAML::Node& node, const Field& field, const std::string& where, const YAML::Mark& mark) {
    switch (field.kind()) {
      case Field::Kind::group:
        return group(node, field.children(), where);
      case Field::Kind::list: {
        if (!node.IsSequence()) refuse(node, where, field.type(), mark);
        field.resize(0);  // so that elements start from their defaults
        field.resize(node.size());
        const std::vector<Field> elements = field.children();
        for (size_t i = 0; i < node.size(); ++i) {
          std::string place = join(where, elements[i].name);
          Field element = elements[i];
          if (element.kind() == Field::Kind::group && node[i].IsScalar()) {  // a word alone
            element = element.children().front();
            place = join(place, element.name);
          }
          assign(node[i], element, place, node[i].Mark());
        }
        return;
      }
      case Field::Kind::scalar:
        // A plain null or ~; in quotes it is text.
        if (node.IsNull() && field.optional()) return field.clear();
        if (!node.IsScalar() || !field.parse(node.Scalar())) refuse(node, where, field.type(), mark);
    }
  }

 private:
  static std::string join(const std::string& where, const std::string& key) {
    return where.empty() ? key : where + "." + key;
  }
  [[noreturn]] void refuse(const YAML::Node& node, const std::string& where, const std::string& expected,
                           const YAML::Mark& mark) {
    const std::string found = node.IsScalar() ? "'" + node.Scalar() + "'"
                              : node.IsNull() ? "nothing"
                              : node.IsMap()  ? "keys and values"
                                              : "a list";
    fail(ExitCode::usage, "{}: {}: expected {}, found {}", at_line(source_, mark), where.empty() ? "the file" : where,
         expected, found);
  }

  const std::string& source_;
  const std::vector<Field>& root_;
};

// The same from JSON, which has no lines to name.
void assign_json(const nlohmann::json& value, const Field& field, const std::string& source, const std::string& where);

void json_group(const nlohmann::json& object, const std::vector<Field>& fields, const std::string& source,
                const std::string& where) {
  if (!object.is_object()) fail(ExitCode::usage, "{}: {}: expected an object", source, where);
  for (const auto& [key, value] : object.items()) {
    const std::string full = where.empty() ? key : where + "." + key;
    const Field* field = find(fields, key);
    if (!field) {
      fail(ExitCode::usage, "{}: unknown key '{}'{}", source, full, did_you_mean(key, names_of(fields)));
    }
    assign_json(value, *field, source, full);
  }
}

void assign_json(const nlohmann::json& value, const Field& field, const std::string& source, const std::string& where) {
  const auto refuse = [&] {
    fail(ExitCode::usage, "{}: {}: expected {}, found {}", source, where, field.type(), value.dump());
  };
  switch (field.kind()) {
    case Field::Kind::group:
      return json_group(value, field.children(), source, where);
    case Field::Kind::list: {
      if (!value.is_array()) refuse();
      field.resize(0);
      field.resize(value.size());
      const std::vector<Field> elements = field.children();
      for (size_t i = 0; i < value.size(); ++i) {
        assign_json(value[i], elements[i], source, where + "." + elements[i].name);
      }
      return;
    }
    case Field::Kind::scalar:
      if (value.is_null() && field.clears()) return field.clear();
      if (value.is_string() != field.quoted() || value.is_structured() || value.is_null()) refuse();
      if (!field.parse(value.is_string() ? value.get<std::string>() : value.dump())) refuse();
  }
}

YAML::Node parse_node(std::string_view text, const std::string& source) {
  try {
    return YAML::Load(std::string(text));
  } catch (const YAML::Exception& e) {
    fail(ExitCode::usage, "{}: expected YAML: {}", at_line(source, e.mark), e.msg);
  }
}

// Text that YAML reads back as itself without quotes.
bool is_plain(const std::string& text) {
  if (text.empty() || !(std::isalpha(uint8_t(text[0])) || text[0] == '_' || text[0] == '/' || text[0] == '.'))
    return false;
  for (const char* word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"}) {
    if (same_key(text, word)) return false;
  }
  return text.back() != ' ' && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(uint8_t(c)) || std::string_view("_-./+ ").find(c) != std::string_view::npos;
         });
}

std::string yaml_scalar(const Field& f) {
  const std::string text = f.print();
  return !f.quoted() || !f.has_value() || is_plain(text) ? text : json_string(text);
}

class YamlWriter {
 public:
  explicit YamlWriter(bool with_help) : with_help_(with_help) {}
  std::string text;

  // The first line of a list's element takes the place of its dash.
  void fields(const std::vector<Field>& all, int indent, bool after_dash = false) {
    for (const Field& f : all) {
      if (!after_dash) text += std::string(size_t(indent), ' ');
      after_dash = false;
      text += f.name + ":";
      value(f, indent);
    }
  }

 private:
  void value(const Field& f, int indent) {
    if (f.kind() == Field::Kind::scalar) {
      line(" " + yaml_scalar(f), f);
      return;
    }
    const std::vector<Field> children = f.children();
    if (f.kind() == Field::Kind::group) {
      line(children.empty() ? " {}" : "", f);
      fields(children, indent + 2);
    } else if (children.empty() || children[0].kind() == Field::Kind::scalar) {
      std::string list;
      for (const Field& element : children) list += (list.empty() ? "" : ", ") + yaml_scalar(element);
      line(" [" + list + "]", f);
    } else {
      line("", f);
      for (const Field& element : children) {
        text += std::string(size_t(indent) + 2, ' ') + "- ";
        if (element.kind() == Field::Kind::group) {
          fields(element.children(), indent + 4, true);
        } else {
          std::string list;
          for (const Field& inner : element.children()) list += (list.empty() ? "" : ", ") + yaml_scalar(inner);
          text += "[" + list + "]\n";
        }
      }
    }
  }
  void line(const std::string& value, const Field& f) {
    text += value;
    if (with_help_ && !f.help.empty()) text += fmt::format("  # {}", f.help);
    text += "\n";
  }

  bool with_help_;
};

std::string json_of(const Field& f) {
  if (f.kind() == Field::Kind::group) return detail::write_json(f.children());
  if (f.kind() == Field::Kind::scalar) return f.quoted() && f.has_value() ? json_string(f.print()) : f.print();
  std::string list;
  for (const Field& element : f.children()) list += (list.empty() ? "" : ", ") + json_of(element);
  return "[" + list + "]";
}

void flatten_into(const std::vector<Field>& fields, const std::string& prefix, std::vector<Field>& flat) {
  for (Field f : fields) {
    f.name = prefix + f.name;
    if (f.kind() == Field::Kind::group) {
      flatten_into(f.children(), f.name + ".", flat);
    } else {
      flat.push_back(std::move(f));
    }
  }
}

// Walks a dotted key; null if there is no such field. Through lists by number.
std::optional<Field> descend(const std::vector<Field>& fields, std::string_view key) {
  const size_t dot = key.find('.');
  const Field* f = find(fields, key.substr(0, dot));
  if (!f) return std::nullopt;
  if (dot == std::string_view::npos) return *f;
  if (f->kind() == Field::Kind::scalar) return std::nullopt;
  return descend(f->children(), key.substr(dot + 1));
}

}  // namespace

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool same_key(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return fold(x) == fold(y); });
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string key = folded(word);
  size_t best = (last_part(key).size() + 2) / 3 + 1;  // a third of the word may be wrong
  const std::string* nearest = nullptr;
  for (const std::string& candidate : candidates) {
    const std::string c = folded(candidate);
    const size_t whole = edit_distance(key, c);
    // The right name in the wrong group is near too, though less than any one slip of the pen.
    const size_t part = edit_distance(last_part(key), last_part(c)) + (c.size() == last_part(c).size() ? 0 : 1);
    size_t distance = std::min(whole, part);
    // A name that was not written to its end: --output for --output-dir.
    if (key.size() >= 4 && c.starts_with(key)) distance = std::min<size_t>(distance, 1);
    if (distance < best) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest ? fmt::format("; did you mean '{}'?", *nearest) : "";
}

std::vector<Field> flatten(const std::vector<Field>& fields) {
  std::vector<Field> flat;
  flatten_into(fields, "", flat);
  return flat;
}

std::vector<std::string> differences(const std::vector<Field>& a, const std::vector<Field>& b) {
  const std::vector<Field> x = flatten(a), y = flatten(b);
  std::vector<std::string> found;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    const std::string first = json_of(x[i]), second = json_of(y[i]);
    if (first != second) found.push_back(fmt::format("{}: {} and {}", x[i].name, first, second));
  }
  return found;
}

namespace detail {

bool parse_bool(std::string_view text, bool& value) {
  for (const char* word : {"true", "yes", "on", "1"}) {
    if (same_key(text, word)) return value = true, true;
  }
  for (const char* word : {"false", "no", "off", "0"}) {
    if (same_key(text, word)) return value = false, true;
  }
  return false;
}

bool parse_double(std::string_view text, double& value) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double parsed;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc()) return false;
  const std::string_view unit(end, size_t(text.data() + text.size() - end));
  const double times = unit.empty()                 ? 1
                       : unit == "k" || unit == "K" ? 1e3
                       : unit == "M"                ? 1e6
                       : unit == "G"                ? 1e9
                       : unit == "T"                ? 1e12
                                                    : 0;
  if (times == 0 || !std::isfinite(parsed * times)) return false;
  value = parsed * times;
  return true;
}

bool parse_seconds(std::string_view text, double& value) {
  if (const std::optional<double> seconds = parse_duration(text)) {
    value = *seconds;
    return true;
  }
  return (text.empty() || !std::isalpha(static_cast<unsigned char>(text.back()))) && parse_double(text, value);
}

bool parse_integer(std::string_view text, __int128& value) {
  const bool negative = !text.empty() && text[0] == '-';
  const std::string_view digits = text.substr(negative || (!text.empty() && text[0] == '+') ? 1 : 0);
  uint64_t magnitude;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude);
  if (error == std::errc() && end == digits.data() + digits.size()) {
    value = negative ? -__int128(magnitude) : __int128(magnitude);
    return true;
  }
  double number;
  if (!parse_double(text, number) || number != std::floor(number) || std::abs(number) > 0x1p53) return false;
  value = __int128(number);
  return true;
}

std::string print_double(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

void read_yaml(std::string_view text, const std::string& source, const std::vector<Field>& fields) {
  YamlReader(source, fields).group(parse_node(text, source), fields, "");
}

void read_json(std::string_view text, const std::string& source, const std::vector<Field>& fields) {
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    fail(ExitCode::usage, "{}: expected JSON: {}", source, e.what());
  }
  json_group(object, fields, source, "");
}

void read_yaml_file(const std::filesystem::path& path, const std::vector<Field>& fields) {
  read_yaml(read_file(path, "load config"), path.string(), fields);
}

void set(const std::vector<Field>& fields, std::string_view key, std::string_view value, const std::string& source) {
  std::optional<Field> field = descend(fields, key);
  std::string full(key);
  if (!field) {
    const std::vector<Field> flat = flatten(fields);
    std::vector<std::string> owners;
    for (const Field& f : flat) {
      const std::string tail = f.name.size() > key.size() ? f.name.substr(f.name.size() - key.size() - 1) : "";
      if (!tail.empty() && tail[0] == '.' && same_key(std::string_view(tail).substr(1), key)) owners.push_back(f.name);
    }
    if (owners.size() > 1) {
      fail(ExitCode::usage, "{}: the key '{}' is in several groups: expected one of {}", source, key,
           fmt::format("{}", fmt::join(owners, ", ")));
    }
    if (owners.empty()) {
      fail(ExitCode::usage, "{}: unknown key '{}'{}", source, key, did_you_mean(key, names_of(flat)));
    }
    full = owners[0];
    field = descend(fields, full);
  }
  if (field->kind() == Field::Kind::group) {
    fail(ExitCode::usage, "{}: '{}' is a group of keys: set one of {}", source, key,
         fmt::format("{}", fmt::join(names_of(flatten(field->children())), ", ")));
  }
  if (field->kind() == Field::Kind::list) {
    const std::string list(value);
    YAML::Node node = list.empty() ? YAML::Node(YAML::NodeType::Sequence) : parse_node(list, source);
    if (!node.IsSequence()) {
      node = YAML::Node(YAML::NodeType::Sequence);
      node.push_back(list);
    }
    YamlReader(source, fields).assign(node, *field, full, YAML::Mark::null_mark());
    return;
  }
  if (field->optional() && (value == "null" || value == "~" || value.empty())) return field->clear();
  if (!field->parse(value)) {
    const bool named = source.starts_with("--") && source != "--set";  // "--seed: expected ..."
    fail(ExitCode::usage, "{}: {}expected {}, found '{}'", source, named ? "" : full + ": ", field->type(), value);
  }
}

std::string write_yaml(const std::vector<Field>& fields, bool with_help) {
  YamlWriter writer(with_help);
  writer.fields(fields, 0);
  return writer.text;
}

std::string write_json(const std::vector<Field>& fields) {
  std::string text;
  for (const Field& f : fields) {
    text += (text.empty() ? "" : ", ") + json_string(f.name) + ": " + json_of(f);
  }
  return "{" + text + "}";
}

void Lister::add(const char* name, const char* help, const Field::Type& type, void* member) {
  fields.emplace_back(name, help, type, member);
}

std::vector<Field> elements(void* first, size_t count, size_t bytes, const Field::Type& type) {
  std::vector<Field> all;
  for (size_t i = 0; i < count; ++i)
    all.emplace_back(std::to_string(i), "", type, static_cast<char*>(first) + i * bytes);
  return all;
}

template const Field::Type& field_type<bool>();
template const Field::Type& field_type<int>();
template const Field::Type& field_type<int64_t>();
template const Field::Type& field_type<uint64_t>();
template const Field::Type& field_type<double>();
template const Field::Type& field_type<Seconds>();
template const Field::Type& field_type<std::string>();
template const Field::Type& field_type<std::optional<bool>>();
template const Field::Type& field_type<std::optional<double>>();
template const Field::Type& field_type<std::vector<double>>();
template const Field::Type& field_type<std::vector<std::string>>();

}  // namespace detail
}  // namespace triarch
