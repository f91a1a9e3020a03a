#pragma once
#include <string>
#include <vector>

#include "experiments/datasets/debian_package.h"

namespace pal {

/// A class of cut-outs.
struct StampClass {
  std::string name;
  std::vector<std::string> cutouts;  ///< paths below the package's folder of stamps, ascending
};

/// The Debian packages of cut-outs and photographs, and the folders that these lie in.
inline constexpr const char* kStampPackage = "tuxpaint-stamps-default";
inline constexpr const char* kStampFolder = "/usr/share/tuxpaint/stamps";
inline constexpr const char* kPhotoPackage = "mate-backgrounds";
inline constexpr const char* kPhotoFolder = "/usr/share/backgrounds/mate/nature";

/// The photographic cut-outs of the package in ten classes, ascending by name. Drawings (folders
/// called cartoon, renders of an SVG beside them, and a few by name) and mirror images are left
/// out.
std::vector<StampClass> stamp_classes(const DebianPackage& package);

/// Names of the package's photographs, ascending.
std::vector<std::string> background_photos(const DebianPackage& package);

}  // namespace pal
