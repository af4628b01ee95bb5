#include "triarch/report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "triarch/report/assets.h"

namespace triarch::report {

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

namespace {

// Characters of UTF-8, for columns.
size_t width_of(const std::string& s) {
  return size_t(std::ranges::count_if(s, [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
}

constexpr size_t kLongCell = 52;  // characters: longer ones are broken into lines

// Columns of words stand to the left, those of numbers to the right.
bool is_number(const std::string& cell) {
  const size_t at = cell.find_first_not_of("+-.\x01\x02");
  return cell == "-" || (at != std::string::npos && cell[at] >= '0' && cell[at] <= '9');
}

std::vector<bool> columns_of_words(const Rows& rows) {
  std::vector<bool> words(rows.front().size(), true);
  for (size_t i = 1; i < rows.size(); ++i) {
    for (size_t j = 0; j < rows[i].size(); ++j) words[j] = words[j] && !is_number(rows[i][j]);
  }
  return words;
}

std::vector<std::string> lines_of(const std::string& cell) {
  std::vector<std::string> lines(1);
  for (size_t begin = 0; begin < cell.size();) {
    const size_t end = std::min(cell.find(' ', begin + 1), cell.size());
    const std::string word = cell.substr(begin, end - begin);  // with the space before it
    if (!lines.back().empty() && width_of(lines.back()) + width_of(word) > kLongCell) {
      lines.push_back(word.substr(word.starts_with(' ') ? 1 : 0));
    } else {
      lines.back() += word;
    }
    begin = end;
  }
  return lines;
}

}  // namespace

std::string cells_text(const std::vector<std::vector<Cell>>& rows, const std::vector<bool>& to_left) {
  if (rows.front().size() < 2) return "";
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max({widths[i], width_of(row[i].text), width_of(row[i].second)});
    }
  }
  std::string out;
  const auto line = [&](const std::vector<Cell>& row, std::string Cell::*part) {
    std::string text;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string& cell = row[i].*part;
      const std::string space(widths[i] - width_of(cell), ' ');
      const bool left = i < to_left.size() ? to_left[i] : i == 0;
      text += (i == 0 ? "" : "  ") + (left ? cell + space : space + cell);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  for (const auto& row : rows) {
    line(row, &Cell::text);
    if (std::ranges::any_of(row, [](const Cell& c) { return !c.second.empty(); })) line(row, &Cell::second);
  }
  return out + "\n";
}

std::string rows_text(const Rows& rows) {
  if (rows.size() < 2) return "";
  std::vector<std::vector<Cell>> cells;
  for (const auto& row : rows) {
    std::vector<std::vector<std::string>> broken;  // each cell's lines
    size_t height = 1;
    for (const std::string& text : row) {
      broken.push_back(lines_of(text));
      height = std::max(height, broken.back().size());
    }
    for (size_t k = 0; k < height; ++k) {
      cells.emplace_back();
      for (const auto& lines : broken) cells.back().push_back({k < lines.size() ? lines[k] : "", ""});
    }
  }
  std::vector<bool> to_left = columns_of_words(rows);
  to_left[0] = true;
  return cells_text(cells, to_left);
}

std::string markdown_rows(const Rows& rows, size_t left) {
  std::string out;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const std::string& cell : rows[i]) {
      out += "| ";
      for (char c : cell) out += c == '|' ? std::string("\\|") : std::string(1, c);
      out += ' ';
    }
    out += "|\n";
    for (size_t j = 0; i == 0 && j < rows[i].size(); ++j) out += j < left ? "|---" : "|--:";
    if (i == 0) out += "|\n";
  }
  return out;
}

std::string page_rows(const Rows& rows, const char* attributes) {
  std::string out = fmt::format("<div class=\"scroll\"><table{}><thead>", attributes);
  const std::vector<bool> words = columns_of_words(rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    out += "<tr>";
    for (size_t j = 0; j < rows[i].size(); ++j) {
      std::string text = escaped(rows[i][j]);
      const bool is_long = width_of(rows[i][j]) > kLongCell;
      for (size_t at; (at = text.find(kBold)) != std::string::npos;) text.replace(at, 1, "<strong>");
      for (size_t at; (at = text.find(kPlain)) != std::string::npos;) text.replace(at, 1, "</strong>");
      const std::string classes = words[j] && i > 0 && is_long ? " class=\"words long\""
                                  : words[j]                   ? " class=\"words\""
                                                               : "";
      out += fmt::format("<{0}{2}>{1}</{0}>", i == 0 ? "th" : "td", text, classes);
    }
    out += i == 0 ? "</tr></thead><tbody>\n" : "</tr>\n";
  }
  return out + "</tbody></table></div>";
}

std::string page_list(const nlohmann::json& texts) {
  std::string out = "<ul>";
  for (const nlohmann::json& t : texts) out += "<li>" + escaped(t.get<std::string>()) + "</li>";
  return out + "</ul>";
}

std::string page_of(const std::string& title, const std::string& body, std::string record,
                    std::initializer_list<std::string_view> scripts) {
  // A "</script>" in a sample must not end the script.
  for (size_t at = 0; (at = record.find("</", at)) != std::string::npos; at += 3) record.replace(at, 2, "<\\/");
  std::string code;
  for (std::string_view script : scripts) code += fmt::format("<script>\n{}</script>\n", script);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n"
      "<main>\n{}</main>\n<script type=\"application/json\" id=\"report\">{}</script>\n{}</body>\n</html>\n",
      escaped(title), page_css(), body, record, code);
}

}  // namespace triarch::report
