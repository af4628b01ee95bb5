// A study's record, as study/study_report.h writes it, as text, Markdown and a page.
#pragma once

#include <string>
#include <string_view>

namespace triarch::report {

// Errors for JSON that is no study's.
std::string study_text(std::string_view json);
std::string study_markdown(std::string_view json);
std::string study_page(std::string_view json);

}  // namespace triarch::report
