#include <png.h>

#include "data/pictures/image_file.h"
#include "data/pictures/jump_guard.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

/// zlib's level, and which of PNG's filters may be tried for a row (0: all of them).
struct Effort {
  int level = 0;  ///< 0: zlib's default
  int filters = 0;
};

/// For files to look at, such as sheets of enlarged pixels: a third of the default's time for a
/// fifth more bytes. Of the filters these two find nearly all that there is to find.
constexpr Effort kQuick = {3, PNG_FILTER_SUB | PNG_FILTER_UP};

/// One encoding; owns libpng's state.
class PngEncoder {
 public:
  PngEncoder() = default;
  ~PngEncoder() { png_destroy_write_struct(&png_, &info_); }
  PngEncoder(const PngEncoder&) = delete;
  PngEncoder& operator=(const PngEncoder&) = delete;

  std::vector<uint8_t> encode(const Image& image, const Effort& effort) {
    if (!guard_.run([&] { write(image, effort); }))
      fail(ErrorKind::failure, "encode_png: {}x{}x{}: {}", image.width, image.height,
           image.channels, text_);
    return std::move(bytes_);
  }

 private:
  static void on_error(png_structp png, png_const_charp text) {
    auto& encoder = *static_cast<PngEncoder*>(png_get_error_ptr(png));
    encoder.text_ = text;
    encoder.guard_.leave();
  }
  static void on_write(png_structp png, png_bytep data, size_t size) {
    auto& bytes = static_cast<PngEncoder*>(png_get_io_ptr(png))->bytes_;
    bytes.insert(bytes.end(), data, data + size);
  }

  void write(const Image& image, const Effort& effort) {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, nullptr);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) {
      text_ = "libpng cannot start";
      guard_.leave();
    }
    png_set_write_fn(png_, this, on_write, nullptr);
    if (effort.level != 0) png_set_compression_level(png_, effort.level);
    if (effort.filters != 0) png_set_filter(png_, PNG_FILTER_TYPE_BASE, effort.filters);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(image.width),
                 static_cast<png_uint_32>(image.height), 8,
                 image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    for (int64_t y = 0; y < image.height; ++y)
      png_write_row(png_, &image.pixels[static_cast<size_t>(y * image.row())]);
    png_write_end(png_, info_);
  }

  JumpGuard guard_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::string text_;
  std::vector<uint8_t> bytes_;
};

std::vector<uint8_t> encode(const Image& image, const Effort& effort) {
  expect(image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3) &&
             static_cast<int64_t>(image.pixels.size()) == image.height * image.row(),
         "encode_png: expected 1 or 3 channels and all pixels, got {}x{}x{} with {} values",
         image.width, image.height, image.channels, image.pixels.size());
  return PngEncoder().encode(image, effort);
}

}  // namespace

std::vector<uint8_t> encode_png(const Image& image, int level) { return encode(image, {level}); }

void write_png(const std::string& path, const Image& image) {
  const std::vector<uint8_t> bytes = encode(image, kQuick);
  write_atomic(path, [&](const ByteSink& sink) { sink(bytes); });
}

}  // namespace pal
