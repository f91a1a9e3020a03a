#pragma once
#include <limits>
#include <string>
#include <vector>

namespace pal {

/// What a model field may be, for options and their help.
struct FieldInfo {
  enum class Type { text, truth, whole, number, wholes, word };

  std::string help;  ///< one line; its unit, where it has one
  Type type = Type::text;
  std::vector<std::string> words;  ///< of a field of words
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above = false;  ///< `least` itself is not allowed
  bool flow = true;    ///< says nothing about a ResNet
};

/// What is known of a field of ModelConfig (config_fields.h). Throws failure for an unknown one.
FieldInfo field_info(const std::string& key);

/// The fields that a person may choose freely: the others follow from the data, the precision or
/// the architecture.
std::vector<std::string> free_field_names();

}  // namespace pal
