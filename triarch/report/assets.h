// Inside the room: files embedded at build time.
#pragma once

#include <string_view>

namespace triarch::report {

std::string_view chart_js();  // Chart.js, from the distribution
std::string_view page_css();
std::string_view comparison_js();
std::string_view attention_js();
std::string_view study_js();

}  // namespace triarch::report
