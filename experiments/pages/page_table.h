#pragma once
#include <string>
#include <vector>

namespace pal {

/// A text as a cell of a table in Markdown can hold it.
std::string markdown_cell(const std::string& text);

/// A table of texts for pages. The first `left` columns and the last if `words_last` stand flush left; the
/// others flush right, as numbers do.
struct PageTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  size_t left = 1;
  bool words_last = false;
  std::string caption;

  std::string html() const;
  /// As Markdown has tables (GitHub), the caption below.
  std::string markdown() const;
};

}  // namespace pal
