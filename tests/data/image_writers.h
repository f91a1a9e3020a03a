#pragma once
#include <cstdio>
// jpeglib.h and png.h need FILE to be declared before them.
#include <jpeglib.h>
#include <png.h>

#include <cstdlib>
#include <functional>

#include "tests/data/byte_builder.h"

namespace pal::testing {

struct JpegOptions {
  J_COLOR_SPACE stored = JCS_YCbCr;
  J_COLOR_SPACE given = JCS_RGB;
  bool progressive = false;
  bool separate_scans = false;  ///< sequential, one scan per component
  int quality = 95;
  Bytes exif = {};
  int across = 0;             ///< horizontal sampling factor of the first component; 0: libjpeg's
  int down = 0;               ///< vertical
  unsigned restart_mcus = 0;  ///< distance of restart markers; 0: none
};

/// Encodes values of `given` colours with libjpeg.
inline Bytes jpeg_bytes(int width, int height, const Bytes& values,
                        const JpegOptions& options = {}) {
  jpeg_compress_struct state{};
  jpeg_error_mgr errors{};
  state.err = jpeg_std_error(&errors);
  jpeg_create_compress(&state);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&state, &memory, &size);
  state.image_width = static_cast<JDIMENSION>(width);
  state.image_height = static_cast<JDIMENSION>(height);
  state.in_color_space = options.given;
  state.input_components = options.given == JCS_GRAYSCALE ? 1 : options.given == JCS_CMYK ? 4 : 3;
  jpeg_set_defaults(&state);
  jpeg_set_colorspace(&state, options.stored);
  jpeg_set_quality(&state, options.quality, TRUE);
  if (options.across != 0) state.comp_info[0].h_samp_factor = options.across;
  if (options.down != 0) state.comp_info[0].v_samp_factor = options.down;
  state.restart_interval = options.restart_mcus;
  const jpeg_scan_info separate[] = {
      {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
  if (options.separate_scans) {
    state.scan_info = separate;
    state.num_scans = 3;
  }
  if (options.progressive) jpeg_simple_progression(&state);
  jpeg_start_compress(&state, TRUE);
  if (!options.exif.empty())
    jpeg_write_marker(&state, JPEG_APP0 + 1, options.exif.data(),
                      static_cast<unsigned>(options.exif.size()));
  while (state.next_scanline < state.image_height) {
    auto* row = const_cast<JSAMPROW>(
        &values[state.next_scanline * static_cast<size_t>(width * state.input_components)]);
    jpeg_write_scanlines(&state, &row, 1);
  }
  jpeg_finish_compress(&state);
  Bytes bytes(memory, memory + size);
  jpeg_destroy_compress(&state);
  std::free(memory);
  return bytes;
}

struct PngOptions {
  int colour = PNG_COLOR_TYPE_RGB;
  int depth = 8;
  bool interlaced = false;
  std::function<void(png_structp, png_infop)> more = {};  ///< palette, transparency, EXIF
};

/// Encodes packed rows as libpng expects them (16-bit values big-endian).
inline Bytes png_bytes(int width, int height, const Bytes& rows, const PngOptions& options = {}) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t size) {
        auto& target = *static_cast<Bytes*>(png_get_io_ptr(p));
        target.insert(target.end(), data, data + size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               options.depth, options.colour,
               options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (options.more) options.more(png, info);
  std::vector<png_bytep> pointers;
  const size_t row = rows.size() / static_cast<size_t>(height);
  for (int y = 0; y < height; ++y)
    pointers.push_back(const_cast<png_bytep>(&rows[static_cast<size_t>(y) * row]));
  png_set_rows(png, info, pointers.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

/// EXIF data with one entry, the orientation.
inline Bytes exif_bytes(uint8_t orientation, bool little_endian) {
  if (little_endian)
    return {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42,          0, 8, 0, 0, 0, 1, 0,
            0x12, 1,   3,   0,   1, 0, 0,   0,   orientation, 0, 0, 0, 0, 0, 0, 0};
  return {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42,          0, 0, 0, 8, 0, 1,
          1,   0x12, 0,   3,   0, 0, 0,   1,   0, orientation, 0, 0, 0, 0, 0, 0};
}

}  // namespace pal::testing
