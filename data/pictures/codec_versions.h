#pragma once
#include <string>

namespace pal {

/// Versions of the libraries that read pictures: "libjpeg-turbo 2.1.5, libpng 1.6.39, zlib 1.2.13". libjpeg
/// tells that of its headers alone, the others what is loaded.
std::string codec_versions();

}  // namespace pal
