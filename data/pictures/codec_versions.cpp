#include "data/pictures/codec_versions.h"

#include <fmt/core.h>
#include <png.h>
#include <zlib.h>

// libjpeg's header needs FILE and size_t from before it.
#include <cstdio>

#include <jpeglib.h>

namespace pal {
namespace {

#define PAL_QUOTED(text) #text
#define PAL_TEXT_OF(macro) PAL_QUOTED(macro)

std::string jpeg_version() {
#ifdef LIBJPEG_TURBO_VERSION
  return "libjpeg-turbo " PAL_TEXT_OF(LIBJPEG_TURBO_VERSION);
#else
  return "libjpeg " PAL_TEXT_OF(JPEG_LIB_VERSION);
#endif
}

}  // namespace

std::string codec_versions() {
  return fmt::format("{}, libpng {}, zlib {}", jpeg_version(), png_get_libpng_ver(nullptr),
                     zlibVersion());
}

}  // namespace pal
