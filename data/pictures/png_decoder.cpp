#include <png.h>

#include <algorithm>
#include <string_view>

#include "data/pictures/exif.h"
#include "data/pictures/image_decoders.h"
#include "data/pictures/jump_guard.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Deflate cannot expand a byte to more than this (zlib's technical notes).
constexpr uint64_t kMaxExpansion = 1032;
constexpr png_alloc_size_t kMaxChunk = 8 << 20;

/// One decoding; owns libpng's state and turns its messages into warnings or a failure.
class PngDecoder {
 public:
  PngDecoder(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits)
      : bytes_(bytes), name_(name), limits_(limits) {}
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  ImageHeader read() {
    expect_header_first();
    if (!guard_.run([this] { read_header(); })) lost();
    ImageHeader header;
    header.format = ImageFormat::png;
    header.width = png_get_image_width(png_, info_);
    header.height = png_get_image_height(png_, info_);
    header.channels = (png_get_color_type(png_, info_) & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
    header.upright = is_upright(exif());
    check_image_size(header.width, header.height, name_, limits_);
    const uint64_t packed = static_cast<uint64_t>(header.height) * png_get_rowbytes(png_, info_);
    if (packed > kMaxExpansion * (bytes_.size() + 1))
      fail(ErrorKind::data, "{}: claims {}x{} pixels in {} bytes", name_, header.width,
           header.height, bytes_.size());
    return header;
  }

  Image decode(bool with_exif) {
    const ImageHeader header = read();
    const int64_t width = header.width;
    const int64_t height = header.height;
    if (!guard_.run([this] { ask_for_bytes(); })) lost();
    const auto channels = static_cast<int64_t>(png_get_channels(png_, info_));
    std::vector<uint8_t> values(static_cast<size_t>(width * height * channels));
    const int64_t row = width * channels;
    const bool whole = guard_.run([&] {
      for (int pass = 0; pass < passes_; ++pass)
        for (int64_t y = 0; y < height; ++y)
          png_read_row(png_, &values[static_cast<size_t>(y * row)], nullptr);
    });
    if (!whole) lost();
    read_end();
    Image image = flatten(std::move(values), width, height, channels);
    image.warnings = std::move(warnings_);
    if (with_exif && !exif().empty()) apply_exif(image, exif());
    return image;
  }

 private:
  static PngDecoder& self(void* pointer) { return *static_cast<PngDecoder*>(pointer); }

  static void on_error(png_structp png, png_const_charp text) {
    PngDecoder& decoder = self(png_get_error_ptr(png));
    decoder.text_ = text;
    decoder.guard_.leave();
  }

  static void on_warning(png_structp png, png_const_charp text) {
    self(png_get_error_ptr(png)).warn(text);
  }

  /// libpng only warns where the pixels' own checksum is wrong; surplus data does no harm.
  void warn(const char* text) {
    text_ = text;
    const bool surplus = text_.find("xtra compressed data") != std::string::npos ||
                         text_.find("oo much image data") != std::string::npos;
    if (text_.rfind("IDAT:", 0) == 0 && !surplus) guard_.leave();
    if (warnings_.size() < kMaxDecoderWarnings &&
        std::find(warnings_.begin(), warnings_.end(), text_) == warnings_.end())
      warnings_.push_back(text_);
  }

  static void on_read(png_structp png, png_bytep target, size_t size) {
    PngDecoder& decoder = self(png_get_io_ptr(png));
    if (size > decoder.bytes_.size() - decoder.used_) png_error(png, "the file is cut");
    std::copy_n(decoder.bytes_.begin() + static_cast<std::ptrdiff_t>(decoder.used_), size, target);
    decoder.used_ += size;
  }

  [[noreturn]] void lost() { fail(ErrorKind::data, "{}:{}: broken PNG: {}", name_, used_, text_); }

  /// libpng passes over chunks before the header that it does not know, such as those of pictures
  /// for iPhones, whose pixels are others than they seem.
  void expect_header_first() const {
    constexpr size_t kType = 12;  // behind the mark and the chunk's length
    constexpr std::string_view kHeader = "IHDR";
    if (bytes_.size() < kType + kHeader.size()) return;
    const std::string_view type(reinterpret_cast<const char*>(&bytes_[kType]), kHeader.size());
    if (type != kHeader)
      fail(ErrorKind::data, "{}:{}: broken PNG: its first chunk is {}, expected {}", name_, kType,
           one_line(type), kHeader);
  }

  void read_header() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) {
      text_ = "libpng cannot start";
      guard_.leave();
    }
    png_set_read_fn(png_, this, on_read);
    // The size limit is checked right after the header, with a better message.
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(png_, kMaxChunk);
    // Of the chunks beside the picture only the orientation is of use.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_AS_DEFAULT,
                                reinterpret_cast<png_const_bytep>("eXIf"), 1);
    png_read_info(png_, info_);
  }

  void ask_for_bytes() {
    png_set_scale_16(png_);
    png_set_expand(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  }

  /// After the last row only the pixels' own checksum can still take trust away.
  void read_end() {
    if (guard_.run([this] { png_read_end(png_, info_); })) return;
    constexpr png_uint_32 kImageData = 0x49444154;  // "IDAT"
    const bool in_chunk = (png_get_io_state(png_) & PNG_IO_MASK_LOC) != PNG_IO_CHUNK_HDR;
    if (in_chunk && png_get_io_chunk_type(png_) == kImageData) lost();
    warnings_.push_back(text_);
  }

  /// Drops the alpha channel by laying the picture over white.
  static Image flatten(std::vector<uint8_t> values, int64_t width, int64_t height,
                       int64_t channels) {
    Image image;
    image.width = width;
    image.height = height;
    const bool has_alpha = channels == 2 || channels == 4;
    image.channels = has_alpha ? channels - 1 : channels;
    if (!has_alpha) {
      image.pixels = std::move(values);
      return image;
    }
    image.pixels.resize(static_cast<size_t>(height * image.row()));
    uint8_t* target = image.pixels.data();
    for (size_t pixel = 0; pixel < values.size(); pixel += static_cast<size_t>(channels)) {
      const int alpha = values[pixel + static_cast<size_t>(image.channels)];
      for (size_t c = 0; c < static_cast<size_t>(image.channels); ++c)
        *target++ =
            static_cast<uint8_t>((values[pixel + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    return image;
  }

  /// Empty if none was met so far: it may stand before or after the pixels.
  std::span<const uint8_t> exif() const {
    png_uint_32 size = 0;
    png_bytep exif = nullptr;
    if (png_get_eXIf_1(png_, info_, &size, &exif) == 0) return {};
    return {exif, size};
  }

  std::span<const uint8_t> bytes_;
  const std::string& name_;
  const ImageLimits& limits_;
  JumpGuard guard_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  size_t used_ = 0;
  int passes_ = 1;
  std::string text_;
  std::vector<std::string> warnings_;
};

}  // namespace

ImageHeader read_png_header(std::span<const uint8_t> bytes, const std::string& name,
                            const ImageLimits& limits) {
  return PngDecoder(bytes, name, limits).read();
}

Image decode_png(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits,
                 bool exif) {
  return with_name_checked(PngDecoder(bytes, name, limits).decode(exif), ImageFormat::png, name);
}

}  // namespace pal
