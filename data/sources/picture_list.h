#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/sources/picture_source.h"

namespace pal {

/// The paths of all pictures below a folder (.png, .jpg, .jpeg; no hidden ones), in byte order.
/// Throws usage for a folder without pictures, environment for one that cannot be listed.
std::vector<std::string> pictures_below(const std::string& folder);

/// These pictures as one class, `foreign`, whatever folders they lie in. Throws as pictures_below.
std::unique_ptr<PictureSource> picture_list(const std::string& folder);

}  // namespace pal
