#include "data/pictures/exif.h"

#include <fmt/core.h>

#include <algorithm>

namespace pal {
namespace {

constexpr uint8_t kMark[] = {'E', 'x', 'i', 'f', 0, 0};
constexpr uint32_t kTiffVersion = 42;
constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShort = 3;
constexpr size_t kEntrySize = 12;

/// Numbers of a TIFF structure in its byte order; a read outside makes `ok` false and gives 0.
class TiffReader {
 public:
  explicit TiffReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    if (bytes.size() < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
      ok_ = false;
    else
      little_ = bytes[0] == 'I';
  }

  bool ok() const { return ok_; }
  uint32_t short_at(size_t offset) { return number(offset, 2); }
  uint32_t long_at(size_t offset) { return number(offset, 4); }

 private:
  uint32_t number(size_t offset, size_t size) {
    if (!ok_ || bytes_.size() < size || offset > bytes_.size() - size) {
      ok_ = false;
      return 0;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value = value << 8 | bytes_[offset + (little_ ? size - 1 - i : i)];
    return value;
  }

  std::span<const uint8_t> bytes_;
  bool little_ = false;
  bool ok_ = true;
};

}  // namespace

ExifOrientation exif_orientation(std::span<const uint8_t> exif) {
  const ExifOrientation damaged{1, "damaged EXIF data; its orientation is ignored"};
  if (exif.size() >= sizeof kMark && std::equal(kMark, kMark + sizeof kMark, exif.begin()))
    exif = exif.subspan(sizeof kMark);
  TiffReader tiff(exif);
  if (tiff.short_at(2) != kTiffVersion) return damaged;
  const size_t folder = tiff.long_at(4);
  const uint32_t entries = tiff.short_at(folder);
  if (!tiff.ok()) return damaged;
  const size_t held = (exif.size() - folder - 2) / kEntrySize;
  ExifOrientation orientation;
  if (entries > held)
    orientation.fault =
        fmt::format("EXIF data of {} entries, of which {} are there", entries, held);
  for (size_t i = 0; i < std::min<size_t>(entries, held); ++i) {
    const size_t entry = folder + 2 + kEntrySize * i;
    if (tiff.short_at(entry) != kOrientationTag) continue;
    const uint32_t value = tiff.short_at(entry + 8);
    if (tiff.short_at(entry + 2) != kShort || value > 8) return damaged;
    orientation.value = value == 0 ? 1 : static_cast<int>(value);  // many writers put 0 for unknown
    break;
  }
  return orientation;
}

bool is_upright(std::span<const uint8_t> exif) {
  return exif.empty() || exif_orientation(exif) == ExifOrientation{};
}

void apply_orientation(Image& image, int orientation) {
  if (orientation == 1) return;
  // EXIF 2.3, tag 274: which way row 0 and column 0 of the stored picture face.
  const bool transpose = orientation >= 5;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image turned;
  turned.width = transpose ? image.height : image.width;
  turned.height = transpose ? image.width : image.height;
  turned.channels = image.channels;
  turned.warnings = std::move(image.warnings);
  turned.pixels.resize(image.pixels.size());
  uint8_t* target = turned.pixels.data();
  for (int64_t y = 0; y < turned.height; ++y) {
    for (int64_t x = 0; x < turned.width; ++x) {
      const int64_t row = transpose ? x : y;
      const int64_t column = transpose ? y : x;
      const int64_t source_y = flip_y ? image.height - 1 - row : row;
      const int64_t source_x = flip_x ? image.width - 1 - column : column;
      const uint8_t* source =
          &image.pixels[static_cast<size_t>(source_y * image.row() + source_x * image.channels)];
      target = std::copy_n(source, image.channels, target);
    }
  }
  image = std::move(turned);
}

void apply_exif(Image& image, std::span<const uint8_t> exif) {
  const ExifOrientation orientation = exif_orientation(exif);
  apply_orientation(image, orientation.value);
  if (!orientation.fault.empty()) image.warnings.push_back(orientation.fault);
}

}  // namespace pal
