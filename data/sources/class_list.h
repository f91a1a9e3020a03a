#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pal {

/// One class of a class-name file.
struct ClassEntry {
  std::string id;    ///< ImageNet's synset, or what stands before the first space; may be empty
  std::string name;  ///< the whole line, or the name in JSON
  std::string rest;  ///< the name without the id
};

/// The entries of a class-name file of lines (class_names.h), in the order of their labels. `file`
/// stands in messages. Throws data, with the line, as `read_class_names`.
std::vector<ClassEntry> parse_class_lines(std::span<const uint8_t> bytes, const std::string& file);
/// The entries of a class-name file in JSON, in the order of their labels. Throws data, with the
/// byte, as `read_class_names`.
std::vector<ClassEntry> parse_class_json(std::span<const uint8_t> bytes, const std::string& file);

}  // namespace pal
