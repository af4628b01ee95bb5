// The arguments that a verb declares. Only arguments.cpp and main.cpp read the header-only parser behind it, which
// would cost every verb some seconds of compiling.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace triarch::cli {

// An argument, to say more of it.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  Argument required();
  Argument group(const std::string& name);         // the heading that help shows it under
  Argument type_name(const std::string& name);     // what its value is called in help
  Argument default_str(const std::string& value);  // what help says of its default
  Argument capture_default_str();                  // the present value of its variable
  Argument one_value();                            // each time it is given, and so may be given again
  Argument description(const std::string& text);

 private:
  CLI::Option* option_;
};

class Arguments {
 public:
  // `helps_all`: help was asked for with the arguments that few need.
  Arguments(CLI::App& app, bool helps_all) : app_(app), helps_all_(helps_all) {}

  // Values go into the variables, which must outlive the parser. `names`: "-b,--budget", or "MODEL" for a place.
  Argument add_option(const std::string& names, std::string& value, const std::string& help);
  Argument add_option(const std::string& names, int& value, const std::string& help);
  Argument add_option(const std::string& names, int64_t& value, const std::string& help);
  Argument add_option(const std::string& names, uint64_t& value, const std::string& help);
  Argument add_option(const std::string& names, double& value, const std::string& help);
  Argument add_option(const std::string& names, std::vector<std::string>& values, const std::string& help);
  Argument add_option(const std::string& names, std::function<void(const std::vector<std::string>&)> told,
                      const std::string& help);
  Argument add_flag(const std::string& names, bool& value, const std::string& help);
  Argument add_flag(const std::string& names, std::function<void(bool)> told, const std::string& help);
  Argument operator[](const std::string& name);
  void footer(const std::string& text);  // of help
  bool helps_all() const { return helps_all_; }

 private:
  template <class T>
  Argument add_number(const std::string& names, T& value, const std::string& help);

  CLI::App& app_;
  bool helps_all_;
};

// Of the parser behind it.
const char* parser_version();

}  // namespace triarch::cli
