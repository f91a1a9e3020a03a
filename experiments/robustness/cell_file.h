#pragma once
#include <map>
#include <optional>
#include <string>

#include "layers/checkpoint/safetensors.h"

namespace pal {

/// A file of results that a folder may hold already. None if there is no such file. Throws data for
/// a broken one, usage for one whose metadata are others: it was made with another setting.
std::optional<SafetensorsFile> find_cell_file(const std::string& path,
                                              const std::map<std::string, std::string>& metadata);

}  // namespace pal
