#include "apps/cli/arguments.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "triarch/base/fields.h"

namespace triarch::cli {

Argument Argument::required() { return Argument(option_->required()); }
Argument Argument::group(const std::string& name) { return Argument(option_->group(name)); }
Argument Argument::type_name(const std::string& name) { return Argument(option_->type_name(name)); }
Argument Argument::default_str(const std::string& value) { return Argument(option_->default_str(value)); }
Argument Argument::capture_default_str() {
  option_->capture_default_str();
  return *this;
}
Argument Argument::one_value() { return Argument(option_->allow_extra_args(false)); }
Argument Argument::description(const std::string& text) { return Argument(option_->description(text)); }

Argument Arguments::add_option(const std::string& names, std::string& value, const std::string& help) {
  return Argument(app_.add_option(names, value, help));
}
template <class T>
Argument Arguments::add_number(const std::string& names, T& value, const std::string& help) {
  // As in a configuration: 500k, 5M, 1e6.
  CLI::Option* option = app_.add_option_function<std::string>(
      names,
      [&value, names](const std::string& text) {
        if (detail::parse_value(text, value)) return;
        throw CLI::ConversionError(fmt::format("{}: expected {}, found '{}'", names, detail::type_name<T>(), text));
      },
      help);
  option->type_name(std::is_integral_v<T> ? "INT" : "NUMBER");
  option->default_function([&value] { return detail::print_value(value); });
  return Argument(option);
}
Argument Arguments::add_option(const std::string& names, int& value, const std::string& help) {
  return add_number(names, value, help);
}
Argument Arguments::add_option(const std::string& names, int64_t& value, const std::string& help) {
  return add_number(names, value, help);
}
Argument Arguments::add_option(const std::string& names, uint64_t& value, const std::string& help) {
  return add_number(names, value, help);
}
Argument Arguments::add_option(const std::string& names, double& value, const std::string& help) {
  return add_number(names, value, help);
}
Argument Arguments::add_option(const std::string& names, std::vector<std::string>& values, const std::string& help) {
  return Argument(app_.add_option(names, values, help));
}
Argument Arguments::add_option(const std::string& names, std::function<void(const std::vector<std::string>&)> told,
                               const std::string& help) {
  return Argument(app_.add_option_function<std::vector<std::string>>(names, std::move(told), help));
}
Argument Arguments::add_flag(const std::string& names, bool& value, const std::string& help) {
  return Argument(app_.add_flag(names, value, help));
}
Argument Arguments::add_flag(const std::string& names, std::function<void(bool)> told, const std::string& help) {
  return Argument(app_.add_flag_function(
      names, [told = std::move(told)](int64_t n) { told(n > 0); }, help));
}
Argument Arguments::operator[](const std::string& name) { return Argument(app_.get_option(name)); }
void Arguments::footer(const std::string& text) { app_.footer(text); }

const char* parser_version() { return CLI11_VERSION; }

}  // namespace triarch::cli
