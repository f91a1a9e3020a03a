#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pal {

/// An 8-bit image: grey (1 channel) or RGB (3), rows from the top, channels last. An image is
/// pixels; the PNG or JPEG file that it is decoded from is called a picture.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 0;
  std::vector<uint8_t> pixels;  ///< [height, width, channels]
  /// What is wrong with the picture although every pixel is there; without the file's name.
  std::vector<std::string> warnings;

  /// Values in a row of pixels.
  int64_t row() const { return width * channels; }
};

/// How a picture is encoded.
enum class ImageFormat : uint8_t { png, jpeg, unknown };

/// The format by the first bytes, whatever the file is called.
ImageFormat sniff_format(std::span<const uint8_t> bytes);

/// Pictures beyond these are refused.
struct ImageLimits {
  int64_t max_pixels = 100'000'000;  ///< width times height, checked on the header
  int max_scans = 500;               ///< scans of one JPEG
};

/// Bytes beyond which no file is read: no picture within the limits needs more than some ten a
/// pixel.
int64_t most_file_bytes(const ImageLimits& limits);

/// Whether a name ends in .jpg, .jpeg or .png, in any case.
bool has_picture_suffix(std::string_view name);

/// What the first bytes of a file say of the picture.
struct ImageHeader {
  ImageFormat format = ImageFormat::unknown;
  int64_t width = 0;  ///< as stored, before any EXIF orientation
  int64_t height = 0;
  int64_t channels = 0;  ///< that decoding gives: 1 or 3
  /// False if EXIF data before the pixels asks for turning, or is damaged.
  bool upright = true;
};

/// Reads the header of a PNG or JPEG, no pixels; `name` stands in messages. Throws as
/// `decode_image` for what is wrong with the header or the size.
ImageHeader read_image_header(std::span<const uint8_t> bytes, const std::string& name,
                              const ImageLimits& limits = {});

/// Decodes a PNG or JPEG. 16-bit values are rounded to 8, palettes resolved, transparency is laid
/// over white, CMYK and YCCK become RGB, the EXIF orientation is applied unless it is not wanted
/// (size and pixels, as Pillow's exif_transpose). `name` stands in messages. Throws data (NAME: or
/// NAME:OFFSET:) for another format, a size beyond the limits or beyond what so few bytes can hold,
/// and wherever pixels were lost or cannot be trusted; a bent wrapping around whole pixels, or a
/// name that ends like one of the other format, is a warning.
Image decode_image(std::span<const uint8_t> bytes, const std::string& name,
                   const ImageLimits& limits = {}, bool exif = true);

/// Reads and decodes a PNG or JPEG file. Throws as `decode_image`, and as `read_file` if it cannot
/// be read.
Image read_image(const std::string& path, const ImageLimits& limits = {});

/// Encodes an image as PNG. `level` is zlib's, 1 (fast) to 9 (small); 0: its default. Throws usage
/// unless it has 1 or 3 channels and as many pixels as its size says.
std::vector<uint8_t> encode_png(const Image& image, int level = 0);

/// Writes an image as a PNG file. Throws as `encode_png` and `write_atomic`.
void write_png(const std::string& path, const Image& image);

}  // namespace pal
