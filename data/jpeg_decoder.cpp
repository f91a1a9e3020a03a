#include <cstdio>
// jpeglib.h needs FILE to be declared before it.
#include <jpeglib.h>
// jerror.h names the messages that decide between a warning and lost pixels.
#include <jerror.h>

#include <algorithm>
#include <array>

#include "data/exif.h"
#include "data/image_decoders.h"
#include "data/jump_guard.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr size_t kMaxWarnings = 8;
constexpr unsigned kExifMarker = JPEG_APP0 + 1;
/// A scan costs time in proportion to the picture even if it holds nothing: the product of scans
/// and pixels is limited to this many times the largest picture.
constexpr int64_t kScanWork = 16;

/// One decoding; owns libjpeg's state and turns its messages into warnings or a failure.
class JpegDecoder {
 public:
  JpegDecoder(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits)
      : bytes_(bytes), name_(name), limits_(limits) {
    state_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr state) { self(state).stop(); };
    errors_.emit_message = [](j_common_ptr state, int level) {
      if (level < 0) self(state).warn();
    };
    progress_.progress_monitor = [](j_common_ptr state) { self(state).watch_scans(); };
    state_.client_data = this;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&state_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  Image decode() {
    read_header();
    keep_exif();
    choose_colours();
    state_.progress = &progress_;
    if (!guard_.run([this] { jpeg_start_decompress(&state_); })) lost();
    Image image;
    image.width = state_.output_width;
    image.height = state_.output_height;
    image.channels = state_.output_components == 1 ? 1 : 3;
    image.pixels.resize(static_cast<size_t>(image.height * image.row()));
    if (state_.output_components == 4)
      read_cmyk(image);
    else
      read_rows(image);
    pixels_done_ = true;
    if (ended_early_ && !all_scans_seen()) {
      text_ = "the file ends before its last scan";
      lost();
    }
    // Nothing after the last row can take a pixel away, so even an error here is a warning.
    if (!guard_.run([this] { jpeg_finish_decompress(&state_); })) note(text_);
    image.warnings = std::move(warnings_);
    if (!exif_.empty()) apply_exif(image, exif_);
    return image;
  }

 private:
  static JpegDecoder& self(j_common_ptr state) {
    return *static_cast<JpegDecoder*>(state->client_data);
  }

  void format() {
    std::array<char, JMSG_LENGTH_MAX> text{};
    errors_.format_message(reinterpret_cast<j_common_ptr>(&state_), text.data());
    text_ = text.data();
  }
  [[noreturn]] void stop() {
    format();
    guard_.leave();
  }
  void note(const std::string& text) {
    if (warnings_.size() < kMaxWarnings &&
        std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end())
      warnings_.push_back(text);
  }

  /// Which of libjpeg's warnings leave all pixels in place: reliability.md section 3.
  void warn() {
    format();
    bool harmless = pixels_done_;
    switch (errors_.msg_code) {
      case JWRN_JPEG_EOF:
        ended_early_ = true;
        harmless = true;
        break;
      case JWRN_EXTRANEOUS_DATA:
        harmless = harmless || errors_.msg_parm.i[1] == JPEG_EOI;
        break;
      case JWRN_ADOBE_XFORM:
      case JWRN_JFIF_MAJOR:
      case JWRN_NOT_SEQUENTIAL:
        harmless = true;
        break;
      default:
        break;
    }
    if (!harmless) guard_.leave();
    note(text_);
  }

  [[noreturn]] void lost() {
    const size_t left = state_.src != nullptr ? state_.src->bytes_in_buffer : bytes_.size();
    // At the end libjpeg reads from two bytes of its own.
    const size_t offset =
        ended_early_ ? bytes_.size() : bytes_.size() - std::min(left, bytes_.size());
    fail(ErrorKind::data, "{}:{}: broken JPEG: {}", name_, offset, text_);
  }

  void read_header() {
    const bool read = guard_.run([this] {
      jpeg_create_decompress(&state_);
      jpeg_mem_src(&state_, bytes_.data(), static_cast<unsigned long>(bytes_.size()));
      jpeg_save_markers(&state_, kExifMarker, 0xffff);
      jpeg_read_header(&state_, TRUE);
    });
    if (!read) lost();
    check_image_size(state_.image_width, state_.image_height, name_, limits_);
    int64_t blocks = 0;
    for (int i = 0; i < state_.num_components; ++i)
      blocks += static_cast<int64_t>(state_.comp_info[i].width_in_blocks) *
                static_cast<int64_t>(state_.comp_info[i].height_in_blocks);
    // Huffman coding spends a bit on each block at the very least.
    if (!state_.arith_code && blocks > 8 * static_cast<int64_t>(bytes_.size()))
      fail(ErrorKind::data, "{}: claims {}x{} pixels in {} bytes", name_, state_.image_width,
           state_.image_height, bytes_.size());
  }

  void choose_colours() {
    switch (state_.jpeg_color_space) {
      case JCS_GRAYSCALE:
        state_.out_color_space = JCS_GRAYSCALE;
        break;
      case JCS_YCbCr:
      case JCS_RGB:
        state_.out_color_space = JCS_RGB;
        break;
      case JCS_CMYK:
      case JCS_YCCK:
        state_.out_color_space = JCS_CMYK;
        break;
      default:
        fail(ErrorKind::data, "{}: JPEG with {} components; expected grey, RGB or CMYK", name_,
             state_.num_components);
    }
  }

  void watch_scans() {
    const int64_t pixels = static_cast<int64_t>(state_.image_width) * state_.image_height;
    const int64_t scans = state_.input_scan_number;
    if (scans > limits_.max_scans || scans * pixels > kScanWork * limits_.max_pixels) {
      text_ = fmt::format("more scans than are read ({} of {}x{})", scans, state_.image_width,
                          state_.image_height);
      guard_.leave();
    }
    for (int i = 0; i < state_.comps_in_scan; ++i)
      components_seen_ |= 1U << state_.cur_comp_info[i]->component_index;
  }

  /// Whether a file that ended without its end marker may yet hold every coefficient.
  bool all_scans_seen() const {
    if (state_.coef_bits != nullptr) {
      for (int c = 0; c < state_.num_components; ++c)
        if (std::any_of(state_.coef_bits[c], state_.coef_bits[c] + DCTSIZE2,
                        [](int bits) { return bits != 0; }))
          return false;
      return true;
    }
    return !jpeg_has_multiple_scans(const_cast<j_decompress_ptr>(&state_)) ||
           components_seen_ == (1U << state_.num_components) - 1;
  }

  void read_rows(Image& image) {
    const bool read = guard_.run([&] {
      while (state_.output_scanline < state_.output_height) {
        JSAMPROW row = &image.pixels[static_cast<size_t>(state_.output_scanline * image.row())];
        jpeg_read_scanlines(&state_, &row, 1);
      }
    });
    if (!read) lost();
  }

  void read_cmyk(Image& image) {
    // Files with an Adobe marker store inks inverted, as everyone has since Photoshop.
    const uint8_t flip = state_.saw_Adobe_marker ? 0 : 255;
    std::vector<uint8_t> inks(static_cast<size_t>(4 * image.width));
    const bool read = guard_.run([&] {
      JSAMPROW row = inks.data();
      while (state_.output_scanline < state_.output_height) {
        uint8_t* target = &image.pixels[static_cast<size_t>(state_.output_scanline * image.row())];
        jpeg_read_scanlines(&state_, &row, 1);
        for (const uint8_t* ink = row; ink != row + 4 * image.width; ink += 4)
          for (int c = 0; c < 3; ++c)
            *target++ = static_cast<uint8_t>(((ink[c] ^ flip) * (ink[3] ^ flip) + 127) / 255);
      }
    });
    if (!read) lost();
  }

  /// libjpeg frees its markers when it finishes.
  void keep_exif() {
    constexpr std::array<uint8_t, 6> kPrefix = {'E', 'x', 'i', 'f', 0, 0};
    for (const auto* marker = state_.marker_list; marker != nullptr; marker = marker->next) {
      const std::span<const uint8_t> content(marker->data, marker->data_length);
      if (content.size() < kPrefix.size() ||
          !std::equal(kPrefix.begin(), kPrefix.end(), content.begin()))
        continue;
      exif_.assign(content.begin(), content.end());
      return;
    }
  }

  std::span<const uint8_t> bytes_;
  const std::string& name_;
  const ImageLimits& limits_;
  JumpGuard guard_;
  jpeg_decompress_struct state_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::string text_;
  std::vector<std::string> warnings_;
  std::vector<uint8_t> exif_;
  bool ended_early_ = false;
  bool pixels_done_ = false;
  uint32_t components_seen_ = 0;
};

}  // namespace

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
                  const ImageLimits& limits) {
  return JpegDecoder(bytes, name, limits).decode();
}

}  // namespace pal
