#pragma once
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/file.h"
#include "runtime/json.h"
#include "tests/support/source_file.h"

namespace pal::testing {

/// A file of the golden set of measures and explanations (tests/golden/explain/README.md): from the
/// folder PALINDROME_GOLDEN_EXPLAIN_DIR if it is set.
inline std::string golden_explain_file(const std::string& name) {
  const char* folder = std::getenv("PALINDROME_GOLDEN_EXPLAIN_DIR");
  return (folder != nullptr ? folder : source_file("tests/golden/explain")) + "/" + name;
}

/// A part of its measures.json.
inline nlohmann::json golden_measures(const std::string& part) {
  return nlohmann::json::parse(read_file(golden_explain_file("measures.json"))).at(part);
}

inline std::vector<double> doubles(const nlohmann::json& list) {
  return list.get<std::vector<double>>();
}

}  // namespace pal::testing
