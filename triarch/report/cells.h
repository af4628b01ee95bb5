// The tables of a comparison's report, as cells, the same in all its forms.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace triarch::report {

// A cell may have a second line.
struct Cell {
  std::string text, second;
};

// What contenders reach: losses of text and labels, scores on tasks; and what they cost.
enum class Part : uint8_t { losses, tasks, costs };

// Rows of contenders, the first of them the heads; one column: there is nothing to tell.
std::vector<std::vector<Cell>> contender_rows(const nlohmann::json& report, Part part);

// The same without second lines; no rows but the heads, or none at all: there is nothing to tell.
using Rows = std::vector<std::vector<std::string>>;
Rows difference_rows(const nlohmann::json& report);
// Architecture by objective, with and without multitask finetuning: table 8 of Wang et al. 2022, where a family stands
// in the comparison with several objectives.
Rows grid_rows(const nlohmann::json& report);
Rows adaptation_rows(const nlohmann::json& report);
// Kinds of questions by contenders: accuracy / chance before and after finetuning; `begin` and `end` stand around those
// above chance.
Rows task_rows(const nlohmann::json& report, const char* begin, const char* end);

std::string text_of(const nlohmann::json& j, const char* key);
// NaN for null: no number, or an infinite one.
double number_of(const nlohmann::json& j, const char* key);

}  // namespace triarch::report
