// JPEG by libjpeg, so that no lost pixel goes unnoticed.
//
// Flow: header (size and plausibility, before anything is allocated for pixels), EXIF, colours,
// then all rows or those of a region.
// Errors: libjpeg's callbacks must not return, so every call into it runs in guard_ (setjmp), and a
// jump skips no destructor: what the lambdas touch are members and objects outside of them. text_
// says what was wrong, and lost() throws it.
// Warnings: after damage libjpeg makes pixels up and goes on. warn() lets pass what leaves every
// pixel in place and takes the rest for errors. A file without its end is whole if all its scans
// were seen. Stray bytes between the segments before the first scan take no pixel away, unless they
// are what is left of a segment that the pixels need.
// Regions: upsampled chroma depends on neighbouring blocks, so read_region decodes a margin and
// drops it; its pixels equal those of a full decode.
#include <cstdio>
// jpeglib.h needs FILE to be declared before it.
#include <jpeglib.h>
// jerror.h names the messages that decide between a warning and lost pixels.
#include <jerror.h>

#include <algorithm>
#include <array>

#include "data/pictures/exif.h"
#include "data/pictures/image_decoders.h"
#include "data/pictures/jump_guard.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr unsigned kExifMarker = JPEG_APP0 + 1;
/// A scan costs time in proportion to the picture even if it holds nothing: the product of scans
/// and pixels is limited to this many times the largest picture.
constexpr int64_t kScanWork = 16;
constexpr int64_t kBlock = DCTSIZE;

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

  ImageHeader read() {
    read_header();
    keep_exif();
    choose_colours();
    ImageHeader header;
    header.format = ImageFormat::jpeg;
    header.width = state_.image_width;
    header.height = state_.image_height;
    header.channels = state_.out_color_space == JCS_GRAYSCALE ? 1 : 3;
    header.upright = is_upright(exif_);
    return header;
  }

  Image decode(bool with_exif) {
    read();
    start();
    Image image = read_all();
    if (with_exif && !exif_.empty()) apply_exif(image, exif_);
    return image;
  }

  Image decode_region(const Region& region, int shrink) {
    read();
    state_.scale_denom = static_cast<unsigned>(shrink);
    start();
    const int64_t width = state_.output_width;
    const int64_t height = state_.output_height;
    expect(region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0 &&
               region.x <= width - region.width && region.y <= height - region.height,
           "{}: expected a region within {}x{}, got {}x{} at {}, {}", name_, width, height,
           region.width, region.height, region.x, region.y);
    return can_read_region(shrink) ? read_region(region, kBlock / shrink) : cut(read_all(), region);
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
    if (warnings_.size() < kMaxDecoderWarnings &&
        std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end())
      warnings_.push_back(text);
  }

  /// Tells libjpeg's warnings that leave all pixels in place (a missing end, bytes after it, odd
  /// markers, stray bytes before the first scan; after the last line of pixels any) from those
  /// about pixels that were lost.
  void warn() {
    format();
    bool harmless = pixels_done_;
    switch (errors_.msg_code) {
      case JWRN_JPEG_EOF:
        ended_early_ = true;
        harmless = true;
        break;
      case JWRN_EXTRANEOUS_DATA:
        if (state_.input_scan_number == 0) {
          harmless = !is_bent_segment(errors_.msg_parm.i[0]);
          strays_ = true;
        }
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

  /// Whether the stray bytes that libjpeg has just passed over are a whole segment but for a
  /// damaged marker: then tables, colours or restart distances are lost with it.
  bool is_bent_segment(int strays) const {
    if (ended_early_) return true;  // libjpeg no longer reads from our bytes
    const auto size = static_cast<size_t>(strays);
    const uint8_t* begin = state_.src->next_input_byte - size;
    return size >= 4 && size_t{2} + begin[2] * size_t{256} + begin[3] == size;
  }

  /// Whether the first scan's Huffman tables are there. libjpeg puts the standard ones in the place
  /// of any that are not, as some cameras want it.
  bool has_tables() const {
    const auto is_there = [](const auto& tables, int number) {
      return number < NUM_HUFF_TBLS && tables[number] != nullptr;
    };
    for (int i = 0; i < state_.comps_in_scan && !state_.arith_code; ++i) {
      const jpeg_component_info& component = *state_.cur_comp_info[i];
      const bool dc = !state_.progressive_mode || state_.Ss == 0;
      const bool ac = !state_.progressive_mode || state_.Ss > 0;
      if ((dc && !is_there(state_.dc_huff_tbl_ptrs, component.dc_tbl_no)) ||
          (ac && !is_there(state_.ac_huff_tbl_ptrs, component.ac_tbl_no)))
        return false;
    }
    return true;
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
    if (strays_ && !has_tables()) {
      text_ = "stray bytes where a table is missing";
      lost();
    }
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

  void start() {
    state_.progress = &progress_;
    if (!guard_.run([this] { jpeg_start_decompress(&state_); })) lost();
  }

  static Image empty_image(int64_t width, int64_t height, int64_t channels) {
    Image image;
    image.width = width;
    image.height = height;
    image.channels = channels;
    image.pixels.resize(static_cast<size_t>(height * image.row()));
    return image;
  }

  Image read_all() {
    Image image = empty_image(state_.output_width, state_.output_height,
                              state_.output_components == 1 ? 1 : 3);
    if (state_.output_components == 4)
      read_cmyk(image);
    else
      read_rows(image);
    pixels_done_ = true;
    expect_all_scans();
    // Nothing after the last row can take a pixel away, so even an error here is a warning.
    if (!guard_.run([this] { jpeg_finish_decompress(&state_); })) note(text_);
    image.warnings = std::move(warnings_);
    return image;
  }

  /// `block` is the side of a block in the output. Upsampling looks at neighbours, which are wrong
  /// at the edges of what is decoded: one MCU more all around is decoded and dropped.
  Image read_region(const Region& region, int64_t block) {
    const int64_t column = block * state_.max_h_samp_factor;
    const int64_t row = block * state_.max_v_samp_factor;
    const int64_t left = std::max<int64_t>(0, region.x - column);
    const int64_t right = std::min<int64_t>(state_.output_width, region.x + region.width + column);
    const int64_t top = std::max<int64_t>(0, region.y / row - 1) * row;
    auto x = static_cast<JDIMENSION>(left);
    auto width = static_cast<JDIMENSION>(right - left);
    Image image = empty_image(region.width, region.height, state_.output_components);
    // A row that is copied as soon as it is written makes the processor wait for its own stores, so
    // several are read first.
    constexpr JDIMENSION kRowsAtOnce = 16;
    const auto pitch = static_cast<size_t>(state_.output_width * image.channels);
    std::vector<uint8_t> scratch(kRowsAtOnce * pitch);
    std::array<JSAMPROW, kRowsAtOnce> rows{};
    for (size_t i = 0; i < kRowsAtOnce; ++i) rows[i] = &scratch[i * pitch];
    const int64_t end = region.y + region.height;
    const bool read = guard_.run([&] {
      jpeg_crop_scanline(&state_, &x, &width);
      // One more than whole MCU rows: up to there libjpeg would decode a margin of its own.
      if (top > 0) jpeg_skip_scanlines(&state_, static_cast<JDIMENSION>(top + 1));
      while (state_.output_scanline < region.y) jpeg_read_scanlines(&state_, rows.data(), 1);
      while (state_.output_scanline < end) {
        const int64_t y = state_.output_scanline - region.y;
        const auto wanted = std::min(kRowsAtOnce, static_cast<JDIMENSION>(region.height - y));
        JDIMENSION ready = 0;
        while (ready < wanted) ready += jpeg_read_scanlines(&state_, &rows[ready], wanted - ready);
        for (JDIMENSION i = 0; i < ready; ++i)
          std::copy_n(rows[i] + (region.x - x) * image.channels, image.row(),
                      &image.pixels[static_cast<size_t>((y + i) * image.row())]);
      }
    });
    if (!read) lost();
    expect_all_scans();
    image.warnings = std::move(warnings_);
    return image;
  }

  static Image cut(const Image& whole, const Region& region) {
    Image image = empty_image(region.width, region.height, whole.channels);
    for (int64_t y = 0; y < region.height; ++y)
      std::copy_n(&whole.pixels[static_cast<size_t>((region.y + y) * whole.row() +
                                                    region.x * whole.channels)],
                  image.row(), &image.pixels[static_cast<size_t>(y * image.row())]);
    image.warnings = whole.warnings;
    return image;
  }

  /// Not for pixels that may be cut off; inks; coefficients that are missing, which libjpeg guesses
  /// from neighbours; 4x2 sampling, whose shrunk pixels depend (in 2.1.5) on where decoding starts.
  bool can_read_region(int shrink) const {
    return ends_in_marker() && state_.output_components != 4 && all_scans_seen() &&
           (shrink == 1 || state_.max_h_samp_factor * state_.max_v_samp_factor <= 4);
  }

  bool ends_in_marker() const {
    return bytes_.size() >= 2 && bytes_[bytes_.size() - 2] == 0xff && bytes_.back() == JPEG_EOI;
  }

  void expect_all_scans() {
    if (!ended_early_ || all_scans_seen()) return;
    text_ = "the file ends before its last scan";
    lost();
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
  bool strays_ = false;  ///< between segments before the first scan
  uint32_t components_seen_ = 0;
};

}  // namespace

ImageHeader read_jpeg_header(std::span<const uint8_t> bytes, const std::string& name,
                             const ImageLimits& limits) {
  return JpegDecoder(bytes, name, limits).read();
}

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
                  const ImageLimits& limits, bool exif) {
  return with_name_checked(JpegDecoder(bytes, name, limits).decode(exif), ImageFormat::jpeg, name);
}

Image decode_jpeg_region(std::span<const uint8_t> bytes, const std::string& name,
                         const ImageLimits& limits, const Region& region, int shrink) {
  return with_name_checked(JpegDecoder(bytes, name, limits).decode_region(region, shrink),
                           ImageFormat::jpeg, name);
}

}  // namespace pal
