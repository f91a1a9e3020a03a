#pragma once
#include <map>
#include <string>
#include <vector>

namespace pal {

/// What a tensor of an array file is.
struct ArrayField {
  std::string name;
  std::string shape;  ///< its extents in words: "[images, classes]"
  std::string unit;   ///< "nats", "class", ...; empty: none
  std::string what;
};

/// What every safetensors file of results says of itself (experiments/README.md, "Array files"):
/// `format` palindrome-KIND, `format_version`, `kind`, the digest of the model that it is of
/// (model_digest), `data` (in words, which images), and `arrays`, a JSON object of shape, unit and
/// meaning of each tensor.
std::map<std::string, std::string> array_metadata(const std::string& kind,
                                                  const std::string& model_digest,
                                                  const std::string& data,
                                                  const std::vector<ArrayField>& fields);

}  // namespace pal
