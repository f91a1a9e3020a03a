#pragma once
#include <map>
#include <string>

namespace pal {

/// Puts the algorithms that were measured or imported so far (cuda_settings.h) into a checkpoint's
/// metadata.
void export_library_choices(std::map<std::string, std::string>& metadata);
/// Imports those of a checkpoint, if it has any. Throws data if they are broken.
void import_library_choices(const std::map<std::string, std::string>& metadata);

}  // namespace pal
