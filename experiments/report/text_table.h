#pragma once
#include <string>
#include <vector>

namespace pal {

/// Rows of text in aligned columns: the first to the left, the others (numbers) to the right, two
/// spaces between. Short rows leave their last columns empty.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// The table as lines, without a newline after the last and without trailing spaces.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// A text as one field of a CSV line (RFC 4180), in quotes where it needs them.
std::string csv_field(const std::string& text);

/// A number with commas between thousands: "55,412,304".
std::string grouped(long long number);

}  // namespace pal
