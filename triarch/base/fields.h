// Typed fields: one list per struct serves parsing, printing, saving, comparing and help. A struct says what it has:
//
//   struct TrainSpec {
//     int64_t max_steps = 2000;
//     std::vector<Part> mixture;
//     AdamW optimizer;
//     template <class V>
//     void fields(V& v) {
//       v("max_steps", max_steps, "optimizer steps");
//       v("mixture", mixture, "objectives and their weights");     // a list; Part has fields() of its own
//       v.group("optimizer", optimizer, "AdamW, or Muon for matrices");
//     }
//   };
//
// and gets YAML files, `optimizer.beta2=0.95` overrides, JSON, help. A field is bool, any integer, float or double,
// std::string, Seconds, an enum with EnumNames, std::optional of these, a struct with fields(), or std::vector of any
// of these. In a list of structs a word alone is the first field of one: `mixture: [masked_lm]` for `mixture: [{kind:
// masked_lm}]`. Keys are known by - and _ alike. All errors are usage errors that name the source, the line and the
// nearest key.
#pragma once

#include <cmath>
#include <concepts>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "triarch/base/error.h"

namespace triarch {

// The names of an enum's values; specialise it beside the enum:
//   template <> struct EnumNames<Pooling> {
//     static constexpr std::pair<Pooling, const char*> table[] = {{Pooling::mean, "mean"}, {Pooling::cls, "cls"}};
//   };
template <class E>
struct EnumNames;

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires { EnumNames<E>::table; };

// The name of a value. A value may have several names; the first is its own.
template <NamedEnum E>
const char* enum_name(E value) {
  for (const auto& [v, name] : EnumNames<E>::table) {
    if (v == value) return name;
  }
  return "?";
}

// A time. Its field is a number, or 90s, 5m, 1.5h or 2d.
struct Seconds {
  double value = 0;
  constexpr Seconds(double seconds = 0) : value(seconds) {}
  constexpr operator double() const { return value; }
};

// True if both are the same key or word: case, - and _ do not matter.
bool same_key(std::string_view a, std::string_view b);

template <NamedEnum E>
std::optional<E> enum_value(std::string_view name) {
  for (const auto& [value, n] : EnumNames<E>::table) {
    if (same_key(name, n)) return value;
  }
  return std::nullopt;
}

// A text as JSON, in quotes; what is no UTF-8 is replaced.
std::string json_string(const std::string& text);

// "; did you mean 'width'?" for the candidate nearest to a mistyped word, or "" if none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// One field of one object, types erased; it refers to the object, which must outlive it.
class Field {
 public:
  enum class Kind : uint8_t { scalar, list, group };
  // What can be done with members of a type; null where its kind has no use for it.
  struct Type {
    Kind kind = Kind::scalar;
    bool quoted = false;    // a string in JSON
    bool optional = false;  // may be null
    std::string (*name)() = nullptr;
    std::string (*print)(const void* member) = nullptr;
    bool (*parse)(std::string_view text, void* member) = nullptr;
    bool (*has_value)(const void* member) = nullptr;
    void (*clear)(void* member) = nullptr;  // of what null stands for: no value, or a number that is none
    void (*resize)(void* member, size_t size) = nullptr;
    std::vector<Field> (*children)(void* member) = nullptr;
  };

  Field(std::string n, std::string_view h, const Type& type, void* member)
      : name(std::move(n)), help(h), type_(&type), member_(member) {}

  std::string name;
  std::string_view help;

  Kind kind() const { return type_->kind; }
  bool quoted() const { return type_->quoted; }
  bool optional() const { return type_->optional; }
  std::string type() const { return type_->name(); }  // "an integer", "one of causal, full", "a list"

  // Scalars. "null" if it has no value; false, and no change, if the text is not of its type.
  std::string print() const { return type_->print(member_); }
  bool parse(std::string_view text) const { return type_->parse(text, member_); }
  bool has_value() const { return !type_->optional || type_->has_value(member_); }
  bool clears() const { return type_->clear; }  // JSON may have null for it
  void clear() const { type_->clear(member_); }
  // A group's fields; a list's elements.
  std::vector<Field> children() const { return type_->children(member_); }
  void resize(size_t size) const { type_->resize(member_, size); }

 private:
  const Type* type_;
  void* member_;
};

namespace detail {

bool parse_bool(std::string_view text, bool& value);
// Also 500k, 2M, 1.5G and 1T.
bool parse_double(std::string_view text, double& value);
// Also 1e6 and what parse_double knows, if it is a whole number.
bool parse_integer(std::string_view text, __int128& value);
bool parse_seconds(std::string_view text, double& value);
// "null" for what is no number, or infinite: JSON has none of these.
std::string print_double(double value);

class Lister;

template <class T>
concept Struct = requires(T& t, Lister& l) { t.fields(l); };

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

template <class T>
const Field::Type& field_type();

// A list's, side by side in memory.
std::vector<Field> elements(void* first, size_t count, size_t bytes, const Field::Type& type);

class Lister {
 public:
  template <class T>
  void operator()(const char* name, T& member, const char* help = "") {
    add(name, help, field_type<T>(), &member);
  }
  template <Struct T>
  void group(const char* name, T& member, const char* help = "") {
    add(name, help, field_type<T>(), &member);
  }
  std::vector<Field> fields;

 private:
  void add(const char* name, const char* help, const Field::Type& type, void* member);
};

template <class T>
std::string type_name() {
  if constexpr (std::is_same_v<T, bool>) {
    return "true or false";
  } else if constexpr (std::is_same_v<T, std::string>) {
    return "text";
  } else if constexpr (std::is_integral_v<T>) {
    return std::is_signed_v<T> ? "an integer (5000, 500k, 5M)" : "an integer of at least 0";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "a number";
  } else if constexpr (std::is_same_v<T, Seconds>) {
    return "a time (90, 90s, 5m, 1h)";
  } else {
    static_assert(NamedEnum<T>, "a field of this type needs fields(), or EnumNames if it is an enum");
    std::string names;
    for (const auto& [value, name] : EnumNames<T>::table)
      names += (names.empty() ? "one of " : ", ") + std::string(name);
    return names;
  }
}

template <class T>
bool parse_value(std::string_view text, T& member) {
  if constexpr (std::is_same_v<T, bool>) {
    return parse_bool(text, member);
  } else if constexpr (std::is_same_v<T, std::string>) {
    member = text;
    return true;
  } else if constexpr (std::is_integral_v<T>) {
    __int128 value;
    if (!parse_integer(text, value) || value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
      return false;
    }
    member = T(value);
    return true;
  } else if constexpr (std::is_floating_point_v<T>) {
    double value;
    if (!parse_double(text, value)) return false;
    member = T(value);
    return true;
  } else if constexpr (std::is_same_v<T, Seconds>) {
    return parse_seconds(text, member.value);
  } else {
    const std::optional<T> value = enum_value<T>(text);
    if (value) member = *value;
    return value.has_value();
  }
}

template <class T>
std::string print_value(const T& member) {
  if constexpr (std::is_same_v<T, bool>) {
    return member ? "true" : "false";
  } else if constexpr (std::is_same_v<T, std::string>) {
    return member;
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(member);
  } else if constexpr (std::is_same_v<T, float>) {
    return std::isfinite(member) ? fmt::format("{}", member) : "null";
  } else if constexpr (std::is_floating_point_v<T>) {
    return print_double(member);
  } else if constexpr (std::is_same_v<T, Seconds>) {
    return print_double(member.value);
  } else {
    return enum_name(member);
  }
}

template <class T>
constexpr void (*clear_of())(void* member) {
  if constexpr (std::is_floating_point_v<T>) {
    return [](void* member) { *static_cast<T*>(member) = std::numeric_limits<T>::quiet_NaN(); };
  } else {
    return nullptr;
  }
}

template <class T>
const Field::Type& field_type() {
  if constexpr (Struct<T>) {
    static constexpr Field::Type type = {
        .kind = Field::Kind::group,
        .name = [] { return std::string("a group of keys"); },
        .children =
            [](void* member) {
              Lister lister;
              static_cast<T*>(member)->fields(lister);
              return std::move(lister.fields);
            },
    };
    return type;
  } else if constexpr (is_vector<T>::value) {
    static constexpr Field::Type type = {
        .kind = Field::Kind::list,
        .name = [] { return std::string("a list"); },
        .resize = [](void* member, size_t size) { static_cast<T*>(member)->resize(size); },
        .children =
            [](void* member) {
              T& list = *static_cast<T*>(member);
              using Element = typename T::value_type;
              return elements(list.data(), list.size(), sizeof(Element), field_type<Element>());
            },
    };
    return type;
  } else if constexpr (is_optional<T>::value) {
    using Inner = typename T::value_type;
    static constexpr Field::Type type = {
        .quoted = std::is_same_v<Inner, std::string> || std::is_enum_v<Inner>,
        .optional = true,
        .name = [] { return type_name<Inner>() + " or null"; },
        .print =
            [](const void* member) {
              const T& value = *static_cast<const T*>(member);
              return value ? print_value(*value) : std::string("null");
            },
        .parse =
            [](std::string_view text, void* member) {
              Inner value{};
              if (!parse_value(text, value)) return false;
              *static_cast<T*>(member) = std::move(value);
              return true;
            },
        .has_value = [](const void* member) { return static_cast<const T*>(member)->has_value(); },
        .clear = [](void* member) { static_cast<T*>(member)->reset(); },
    };
    return type;
  } else {
    static constexpr Field::Type type = {
        .quoted = std::is_same_v<T, std::string> || std::is_enum_v<T>,
        .name = type_name<T>,
        .print = [](const void* member) { return print_value(*static_cast<const T*>(member)); },
        .parse = [](std::string_view text, void* member) { return parse_value(text, *static_cast<T*>(member)); },
        .clear = clear_of<T>(),
    };
    return type;
  }
}
// Compiled once, in fields.cpp.
extern template const Field::Type& field_type<bool>();
extern template const Field::Type& field_type<int>();
extern template const Field::Type& field_type<int64_t>();
extern template const Field::Type& field_type<uint64_t>();
extern template const Field::Type& field_type<double>();
extern template const Field::Type& field_type<Seconds>();
extern template const Field::Type& field_type<std::string>();
extern template const Field::Type& field_type<std::optional<bool>>();
extern template const Field::Type& field_type<std::optional<double>>();
extern template const Field::Type& field_type<std::vector<double>>();
extern template const Field::Type& field_type<std::vector<std::string>>();

void read_yaml(std::string_view text, const std::string& source, const std::vector<Field>& fields);
void read_json(std::string_view text, const std::string& source, const std::vector<Field>& fields);
void set(const std::vector<Field>& fields, std::string_view key, std::string_view value, const std::string& source);
std::string write_yaml(const std::vector<Field>& fields, bool with_help);
std::string write_json(const std::vector<Field>& fields);

}  // namespace detail

// The fields of an object, in their order. (Of a const object too, for printing: who sets them must own it.)
template <detail::Struct T>
std::vector<Field> fields_of(T& object) {
  detail::Lister lister;
  object.fields(lister);
  return std::move(lister.fields);
}

// All scalars and lists below these fields, with dotted names: for help, flags, comparison.
std::vector<Field> flatten(const std::vector<Field>& fields);

// Sets the fields that a YAML text names; the others keep their values. `source` is the file's name for messages.
template <detail::Struct T>
void parse_yaml(std::string_view text, const std::string& source, T& object) {
  detail::read_yaml(text, source, fields_of(object));
}

// The same from a JSON text, as to_json writes it.
template <detail::Struct T>
void parse_json(std::string_view text, const std::string& source, T& object) {
  detail::read_json(text, source, fields_of(object));
}

// YAML from a file.
template <detail::Struct T>
void load_yaml(const std::filesystem::path& path, T& object);

// Sets one field: set_field(spec, "optimizer.beta2", "0.95", "--set"). A key without its groups will do where only one
// field has that name. A list takes [a, b], or one element; its elements are set by number, mixture.0.weight=2.
template <detail::Struct T>
void set_field(T& object, std::string_view key, std::string_view value, const std::string& source) {
  detail::set(fields_of(object), key, value, source);
}
// "optimizer.beta2=0.95"
template <detail::Struct T>
void set_field(T& object, std::string_view assignment, const std::string& source) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    fail(ExitCode::usage, "{}: expected key=value, found '{}'", source, assignment);
  }
  detail::set(fields_of(object), assignment.substr(0, equals), assignment.substr(equals + 1), source);
}

// The resolved object; with_help puts each field's help behind it as a comment. Reads back as the same values.
template <detail::Struct T>
std::string to_yaml(const T& object, bool with_help = true) {
  return detail::write_yaml(fields_of(const_cast<T&>(object)), with_help);
}

// One JSON object, on one line.
template <detail::Struct T>
std::string to_json(const T& object) {
  return detail::write_json(fields_of(const_cast<T&>(object)));
}

// What differs between two objects: "width: 128 and 256".
std::vector<std::string> differences(const std::vector<Field>& a, const std::vector<Field>& b);
template <detail::Struct T>
std::vector<std::string> differences(const T& a, const T& b) {
  return differences(fields_of(const_cast<T&>(a)), fields_of(const_cast<T&>(b)));
}

namespace detail {
void read_yaml_file(const std::filesystem::path& path, const std::vector<Field>& fields);
}  // namespace detail

template <detail::Struct T>
void load_yaml(const std::filesystem::path& path, T& object) {
  detail::read_yaml_file(path, fields_of(object));
}

}  // namespace triarch
