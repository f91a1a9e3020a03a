#include "experiments/pages/page_table.h"

#include <fmt/format.h>

#include <iterator>

#include "experiments/pages/html.h"

namespace pal {

std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string PageTable::html() const {
  std::string text = "<div class=\"wide\"><table>\n";
  const auto out = std::back_inserter(text);
  const auto add = [&](const std::vector<std::string>& row, const char* cell) {
    constexpr size_t kLine = 22;  // longer texts may take several
    text += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const bool words = i < left || (words_last && i + 1 == row.size());
      fmt::format_to(out, "<{0}{1}>{2}</{0}>", cell,
                     !words                   ? ""
                     : row[i].size() <= kLine ? " class=\"text\""
                                              : " class=\"text long\"",
                     html_text(row[i]));
    }
    text += "</tr>\n";
  };
  if (!header.empty()) add(header, "th");
  for (const auto& row : rows) add(row, "td");
  text += "</table></div>\n";
  if (!caption.empty()) fmt::format_to(out, "<p class=\"note\">{}</p>\n", html_text(caption));
  return text;
}

std::string PageTable::markdown() const {
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    for (const std::string& cell : row)
      fmt::format_to(std::back_inserter(text), "| {} ", markdown_cell(cell));
    text += "|\n";
  };
  add(header);
  for (size_t i = 0; i < header.size(); ++i)
    text += i < left || (words_last && i + 1 == header.size()) ? "|---" : "|--:";
  text += "|\n";
  for (const auto& row : rows) add(row);
  if (!caption.empty()) text += "\n" + caption + "\n";
  return text;
}

}  // namespace pal
