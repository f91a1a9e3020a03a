#include "data/pictures/transforms.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/pictures/crops.h"
#include "data/pictures/image_decoders.h"
#include "data/pictures/resize.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kMostSize = 16384;
constexpr int64_t kChannels = 3;

/// One result: how both axes are resampled.
struct View {
  ResizeAxis x;
  ResizeAxis y;
  bool mirrored = false;
};

/// All `size` outputs from a part that is seen as a picture of its own.
ResizeAxis part_axis(int64_t begin, int64_t length, int64_t size) {
  return {static_cast<double>(begin),
          static_cast<double>(begin + length),
          begin,
          begin + length,
          size,
          0,
          size};
}

ResizeAxis window_axis(int64_t length, int64_t outputs, int64_t first, int64_t size) {
  return {0.0, static_cast<double>(length), 0, length, outputs, first, size};
}

std::vector<View> views_of(const Extent& picture, const TransformSpec& spec, const Philox& random) {
  if (spec.crop == CropKind::random_resized) {
    const Region part = random_resized_crop(picture, spec, random);
    return {{part_axis(part.x, part.width, spec.size), part_axis(part.y, part.height, spec.size)}};
  }
  const Extent resized = resized_extent(picture, resize_of(spec));
  const auto window = [&](const Crop& crop) {
    return View{window_axis(picture.width, resized.width, crop.x, spec.size),
                window_axis(picture.height, resized.height, crop.y, spec.size), crop.mirrored};
  };
  const auto crops = ten_crops(resized, spec.size);
  if (spec.crop == CropKind::center) return {window(crops[4])};
  std::vector<View> views;
  views.reserve(crops.size());
  for (const Crop& crop : crops) views.push_back(window(crop));
  return views;
}

/// How far the decoder may shrink the picture without making an axis shorter than its outputs.
int64_t allowed_shrink(const View& view) {
  const double scale = std::min((view.x.to - view.x.from) / static_cast<double>(view.x.outputs),
                                (view.y.to - view.y.from) / static_cast<double>(view.y.outputs));
  for (const int64_t shrink : {8, 4, 2})
    if (scale >= static_cast<double>(shrink)) return shrink;
  return 1;
}

ResizeAxis shrunk(ResizeAxis axis, int64_t shrink) {
  axis.from /= static_cast<double>(shrink);
  axis.to /= static_cast<double>(shrink);
  axis.low /= shrink;
  axis.high = (axis.high + shrink - 1) / shrink;
  return axis;
}

/// Pillow's conversion to "L".
void to_luma(Image& image) {
  const size_t pixels = image.pixels.size() / kChannels;
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* p = &image.pixels[kChannels * i];
    image.pixels[i] =
        static_cast<uint8_t>((p[0] * 19595U + p[1] * 38470U + p[2] * 7471U + 0x8000U) >> 16);
  }
  image.pixels.resize(pixels);
  image.channels = 1;
}

/// Spreads the first third over all of `out`, from the end, so that nothing is read too late.
void replicate(std::span<uint8_t> out) {
  for (size_t i = out.size() / kChannels; i-- > 0;)
    std::fill_n(&out[kChannels * i], kChannels, out[i]);
}

void mirror(std::span<uint8_t> out, int64_t size, int64_t channels) {
  for (int64_t y = 0; y < size; ++y) {
    uint8_t* row = &out[static_cast<size_t>(y * size * channels)];
    for (int64_t x = 0; x < size / 2; ++x)
      std::swap_ranges(row + x * channels, row + (x + 1) * channels,
                       row + (size - 1 - x) * channels);
  }
}

/// Part of a picture: its pixel 0 is (left, top) of the whole.
struct Part {
  Image image;
  int64_t left = 0;
  int64_t top = 0;
};

/// A view, ready to be computed.
struct Sampling {
  ResizeWeights x;
  ResizeWeights y;
  bool mirrored;
};

/// The smallest part of the picture that all of them can be made of.
Region needed_region(const std::vector<Sampling>& samplings) {
  int64_t left = samplings[0].x.begin();
  int64_t right = samplings[0].x.end();
  int64_t top = samplings[0].y.begin();
  int64_t bottom = samplings[0].y.end();
  for (const Sampling& sampling : samplings) {
    left = std::min(left, sampling.x.begin());
    right = std::max(right, sampling.x.end());
    top = std::min(top, sampling.y.begin());
    bottom = std::max(bottom, sampling.y.end());
  }
  return {left, top, right - left, bottom - top};
}

/// Overwrites `out` [size, size, spec.channels].
void make_view(const Part& part, const Sampling& sampling, const TransformSpec& spec,
               std::span<uint8_t> out) {
  const auto pixels = static_cast<size_t>(spec.size * spec.size);
  const auto values = pixels * static_cast<size_t>(part.image.channels);
  resize(part.image, part.left, part.top, sampling.x, sampling.y, out.first(values));
  if (values < out.size()) replicate(out);
  if (sampling.mirrored) mirror(out, spec.size, spec.channels);
}

/// The first view of the same pixels, which `view` itself may be: of ten crops most of the last five
/// are others' mirror images.
size_t first_alike(const std::vector<View>& views, size_t view) {
  const auto is_alike = [&](const View& other) {
    return other.x.first == views[view].x.first && other.y.first == views[view].y.first;
  };
  return static_cast<size_t>(std::ranges::find_if(views, is_alike) - views.begin());
}

}  // namespace

int64_t resize_of(const TransformSpec& spec) {
  return spec.resize != 0 ? spec.resize : (spec.size * 256 + 112) / 224;
}

int64_t view_count(const TransformSpec& spec) { return spec.crop == CropKind::ten ? 10 : 1; }

void check_transform(const TransformSpec& spec) {
  expect(spec.size >= 1 && spec.size <= kMostSize, "image-size: expected 1 to {}, got {}",
         kMostSize, spec.size);
  expect(spec.resize == 0 || (spec.resize >= spec.size && spec.resize <= 4 * kMostSize),
         "resize: expected the crop's size {} to {}, got {}", spec.size, 4 * kMostSize,
         spec.resize);
  expect(spec.scale_min > 0.0 && spec.scale_min <= spec.scale_max && spec.scale_max <= 1.0,
         "crop-scale: expected 0 < min <= max <= 1, got {} to {}", spec.scale_min, spec.scale_max);
  expect(spec.ratio_min > 0.0 && spec.ratio_min <= spec.ratio_max && std::isfinite(spec.ratio_max),
         "crop-ratio: expected 0 < min <= max, got {} to {}", spec.ratio_min, spec.ratio_max);
  expect(spec.channels == 1 || spec.channels == kChannels, "channels: expected 1 or 3, got {}",
         spec.channels);
}

std::string make_views(std::span<const uint8_t> bytes, const std::string& name,
                       const TransformSpec& spec, const Philox& random, std::span<uint8_t> out) {
  check_transform(spec);
  const auto each = static_cast<size_t>(spec.size * spec.size * spec.channels);
  expect(out.size() == each * static_cast<size_t>(view_count(spec)),
         "make_views: expected room for {} values, got {}",
         each * static_cast<size_t>(view_count(spec)), out.size());
  const ImageHeader header = read_image_header(bytes, name, spec.limits);
  const bool in_part = header.format == ImageFormat::jpeg && (header.upright || !spec.exif);
  Part part;
  if (!in_part) part.image = decode_image(bytes, name, spec.limits, spec.exif);
  const Extent picture =
      in_part ? Extent{header.width, header.height} : Extent{part.image.width, part.image.height};
  const std::vector<View> views = views_of(picture, spec, random);
  const int64_t shrink = in_part && spec.fast_decode ? allowed_shrink(views[0]) : 1;
  std::vector<Sampling> samplings;
  samplings.reserve(views.size());
  for (const View& view : views)
    samplings.push_back({ResizeWeights(shrunk(view.x, shrink)),
                         ResizeWeights(shrunk(view.y, shrink)), view.mirrored});
  if (in_part) {
    const Region region = needed_region(samplings);
    part = {decode_jpeg_region(bytes, name, spec.limits, region, static_cast<int>(shrink)),
            region.x, region.y};
  }
  if (part.image.channels > spec.channels) to_luma(part.image);
  for (size_t i = 0; i < samplings.size(); ++i) {
    const std::span<uint8_t> view = out.subspan(i * each, each);
    const size_t alike = first_alike(views, i);
    if (alike == i) {
      make_view(part, samplings[i], spec, view);
      continue;
    }
    std::ranges::copy(out.subspan(alike * each, each), view.begin());
    if (views[i].mirrored != views[alike].mirrored) mirror(view, spec.size, spec.channels);
  }
  return part.image.warnings.empty() ? std::string() : part.image.warnings.front();
}

}  // namespace pal
