#include "data/pictures/jpeg_encoder.h"

#include <cstdio>
// jpeglib.h needs FILE to be declared before it.
#include <jpeglib.h>

#include <array>
#include <cstdlib>

#include "data/pictures/jump_guard.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// One encoding; owns libjpeg's state and the memory it writes to.
class JpegEncoder {
 public:
  JpegEncoder() {
    state_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr state) { self(state).stop(); };
    errors_.emit_message = [](j_common_ptr, int) {};
    state_.client_data = this;
  }
  ~JpegEncoder() {
    jpeg_destroy_compress(&state_);
    std::free(memory_);
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  std::vector<uint8_t> encode(const Image& image, const JpegSettings& settings) {
    if (!guard_.run([&] { write(image, settings); }))
      fail(ErrorKind::failure, "encode_jpeg: {}x{}x{}: {}", image.width, image.height,
           image.channels, text_.data());
    return {memory_, memory_ + size_};
  }

 private:
  static JpegEncoder& self(j_common_ptr state) {
    return *static_cast<JpegEncoder*>(state->client_data);
  }
  [[noreturn]] void stop() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&state_), text_.data());
    guard_.leave();
  }

  void write(const Image& image, const JpegSettings& settings) {
    jpeg_create_compress(&state_);
    jpeg_mem_dest(&state_, &memory_, &size_);
    state_.image_width = static_cast<JDIMENSION>(image.width);
    state_.image_height = static_cast<JDIMENSION>(image.height);
    state_.input_components = static_cast<int>(image.channels);
    state_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&state_);
    jpeg_set_quality(&state_, settings.quality, TRUE);
    state_.optimize_coding = settings.smallest ? TRUE : FALSE;
    if (image.channels == 3) {
      state_.comp_info[0].h_samp_factor = settings.subsampling == Subsampling::s444 ? 1 : 2;
      state_.comp_info[0].v_samp_factor = settings.subsampling == Subsampling::s420 ? 2 : 1;
    }
    jpeg_start_compress(&state_, TRUE);
    while (state_.next_scanline < state_.image_height) {
      const auto at = static_cast<size_t>(state_.next_scanline * image.row());
      auto* row = const_cast<JSAMPROW>(&image.pixels[at]);
      jpeg_write_scanlines(&state_, &row, 1);
    }
    jpeg_finish_compress(&state_);
  }

  JumpGuard guard_;
  jpeg_compress_struct state_{};
  jpeg_error_mgr errors_{};
  std::array<char, JMSG_LENGTH_MAX> text_{};
  unsigned char* memory_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

std::vector<uint8_t> encode_jpeg(const Image& image, const JpegSettings& settings) {
  expect(settings.quality >= 1 && settings.quality <= 100,
         "encode_jpeg: expected a quality of 1 to 100, got {}", settings.quality);
  expect((image.channels == 1 || image.channels == 3) && image.width >= 1 && image.height >= 1 &&
             image.width <= JPEG_MAX_DIMENSION && image.height <= JPEG_MAX_DIMENSION &&
             static_cast<int64_t>(image.pixels.size()) == image.height * image.row(),
         "encode_jpeg: expected 1 or 3 channels, 1 to {} pixels a side and all values, got "
         "{}x{}x{} with {} values",
         JPEG_MAX_DIMENSION, image.width, image.height, image.channels, image.pixels.size());
  return JpegEncoder().encode(image, settings);
}

}  // namespace pal
