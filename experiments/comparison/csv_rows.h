#pragma once
#include <string>
#include <vector>

namespace pal {

/// The rows of a CSV file (RFC 4180), the header first.
using CsvRows = std::vector<std::vector<std::string>>;
CsvRows csv_rows(const std::string& text);

}  // namespace pal
