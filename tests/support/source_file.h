#pragma once
#include <string>

namespace pal::testing {

/// Where a file of the project lies, by its path from the project's root.
std::string source_file(const std::string& path);

}  // namespace pal::testing
