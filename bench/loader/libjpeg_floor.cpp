#include "bench/loader/libjpeg_floor.h"

#include <cstdio>
// jpeglib.h needs FILE to be declared before it.
#include <jpeglib.h>

#include <algorithm>

#include "data/pictures/crops.h"

namespace pal {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;

}  // namespace

struct LibjpegFloor::State {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
};

LibjpegFloor::LibjpegFloor(const PictureSource& source, const TransformSpec& spec)
    : source_(source), spec_(spec), state_(std::make_unique<State>()) {
  state_->jpeg.err = jpeg_std_error(&state_->errors);
  jpeg_create_decompress(&state_->jpeg);
}

LibjpegFloor::~LibjpegFloor() { jpeg_destroy_decompress(&state_->jpeg); }

void LibjpegFloor::open(int64_t number) {
  jpeg_decompress_struct& jpeg = state_->jpeg;
  source_.read(number % source_.count(), bytes_, kMostBytes);
  jpeg_mem_src(&jpeg, bytes_.data(), static_cast<unsigned long>(bytes_.size()));
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
}

void LibjpegFloor::decode_whole(int64_t number) {
  open(number);
  jpeg_decompress_struct& jpeg = state_->jpeg;
  const size_t row = size_t{3} * jpeg.output_width;
  pixels_.resize(row * jpeg.output_height);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW target = &pixels_[row * jpeg.output_scanline];
    jpeg_read_scanlines(&jpeg, &target, 1);
  }
  jpeg_finish_decompress(&jpeg);
}

void LibjpegFloor::decode_part(int64_t number) {
  open(number);
  jpeg_decompress_struct& jpeg = state_->jpeg;
  const Philox random(0, RandomPurpose::augment, static_cast<uint64_t>(number));
  const Region part = random_resized_crop({jpeg.output_width, jpeg.output_height}, spec_, random);
  auto x = static_cast<JDIMENSION>(part.x);
  auto width = static_cast<JDIMENSION>(part.width);
  jpeg_crop_scanline(&jpeg, &x, &width);
  jpeg_skip_scanlines(&jpeg, static_cast<JDIMENSION>(part.y));
  const size_t row = size_t{3} * jpeg.output_width;
  pixels_.resize(row * static_cast<size_t>(part.height));
  for (int64_t y = 0; y < part.height; ++y) {
    JSAMPROW target = &pixels_[row * static_cast<size_t>(y)];
    jpeg_read_scanlines(&jpeg, &target, 1);
  }
  jpeg_abort_decompress(&jpeg);
}

}  // namespace pal
