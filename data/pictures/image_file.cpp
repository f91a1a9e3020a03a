#include "data/pictures/image_file.h"

#include <algorithm>

#include "data/pictures/image_decoders.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

constexpr uint8_t kPngMagic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr uint8_t kJpegMagic[] = {0xff, 0xd8, 0xff};

template <size_t kSize>
bool begins_with(std::span<const uint8_t> bytes, const uint8_t (&magic)[kSize]) {
  return bytes.size() >= kSize && std::equal(magic, magic + kSize, bytes.begin());
}

/// The first bytes as text, for a message about what the file is instead.
std::string first_bytes(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), 8)))
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
  return text;
}

/// The format that a file's name promises.
ImageFormat format_by_suffix(std::string_view name) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const auto ends_in = [&](std::string_view suffix) {
    return name.size() >= suffix.size() &&
           std::ranges::equal(name.substr(name.size() - suffix.size()), suffix,
                              [&](char a, char b) { return lower(a) == b; });
  };
  if (ends_in(".png")) return ImageFormat::png;
  return ends_in(".jpg") || ends_in(".jpeg") ? ImageFormat::jpeg : ImageFormat::unknown;
}

/// The format, which is one of the two that are read.
ImageFormat expect_format(std::span<const uint8_t> bytes, const std::string& name) {
  const ImageFormat format = sniff_format(bytes);
  if (format != ImageFormat::unknown) return format;
  if (bytes.empty()) fail(ErrorKind::data, "{}: empty file, expected a PNG or JPEG", name);
  fail(ErrorKind::data, "{}: neither PNG nor JPEG: it begins with {}", name, first_bytes(bytes));
}

}  // namespace

ImageFormat sniff_format(std::span<const uint8_t> bytes) {
  if (begins_with(bytes, kPngMagic)) return ImageFormat::png;
  if (begins_with(bytes, kJpegMagic)) return ImageFormat::jpeg;
  return ImageFormat::unknown;
}

int64_t most_file_bytes(const ImageLimits& limits) { return 16 * limits.max_pixels; }

bool has_picture_suffix(std::string_view name) {
  return format_by_suffix(name) != ImageFormat::unknown;
}

Image with_name_checked(Image image, ImageFormat format, std::string_view name) {
  const ImageFormat claimed = format_by_suffix(name);
  if (claimed != ImageFormat::unknown && claimed != format)
    image.warnings.emplace_back(format == ImageFormat::png ? "a PNG that is named as a JPEG"
                                                           : "a JPEG that is named as a PNG");
  return image;
}

void check_image_size(int64_t width, int64_t height, const std::string& name,
                      const ImageLimits& limits) {
  if (width < 1 || height < 1)
    fail(ErrorKind::data, "{}: empty picture, {}x{}", name, width, height);
  if (width > limits.max_pixels / height)
    fail(ErrorKind::data, "{}: {}x{} are more than {} pixels; raise max-pixels if it is wanted",
         name, width, height, limits.max_pixels);
}

ImageHeader read_image_header(std::span<const uint8_t> bytes, const std::string& name,
                              const ImageLimits& limits) {
  return expect_format(bytes, name) == ImageFormat::png ? read_png_header(bytes, name, limits)
                                                        : read_jpeg_header(bytes, name, limits);
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& name,
                   const ImageLimits& limits, bool exif) {
  return expect_format(bytes, name) == ImageFormat::png ? decode_png(bytes, name, limits, exif)
                                                        : decode_jpeg(bytes, name, limits, exif);
}

Image read_image(const std::string& path, const ImageLimits& limits) {
  return decode_image(read_file(path, most_file_bytes(limits)), path, limits);
}

}  // namespace pal
