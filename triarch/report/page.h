// Inside the room: what all reports are made with, as text, Markdown and one self-contained HTML page.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "triarch/report/cells.h"

namespace triarch::report {

// For HTML.
std::string escaped(std::string_view text);
// Text between these is bold in a page.
constexpr char kBold = '\x01', kPlain = '\x02';

// The first row are the heads. As text: columns of equal width, with second lines where a row has any; nothing if there
// is only one column. `to_left`: columns that stand to the left; empty: the first.
std::string cells_text(const std::vector<std::vector<Cell>>& rows, const std::vector<bool>& to_left = {});
// The same, long cells in several lines and columns of words to the left; nothing if there are but heads.
std::string rows_text(const Rows& rows);
// `left` columns are text, the others are numbers. Bars in cells are escaped.
std::string markdown_rows(const Rows& rows, size_t left);
std::string page_rows(const Rows& rows, const char* attributes = "");
// <ul> of an array of texts.
std::string page_list(const nlohmann::json& texts);

// The document, with the JSON embedded as the element "report" and scripts that read it there.
std::string page_of(const std::string& title, const std::string& body, std::string json,
                    std::initializer_list<std::string_view> scripts);

}  // namespace triarch::report
