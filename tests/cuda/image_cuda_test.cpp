#include "kernels/image/image.h"

#include <gtest/gtest.h>

#include <limits>

#include "runtime/philox.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using testing::expect_error;

constexpr int64_t kSources = 4;

std::vector<uint8_t> random_levels(int64_t count) {
  const Philox random(11, RandomPurpose::test);
  std::vector<uint8_t> levels(static_cast<size_t>(count));
  for (size_t i = 0; i < levels.size(); ++i)
    levels[i] = static_cast<uint8_t>(random.words(static_cast<uint32_t>(i))[0]);
  return levels;
}

/// Placements of `count` images: some sources more than once, flips, shifts beyond the edge.
std::vector<ImagePlacement> placements_of(int64_t count) {
  std::vector<ImagePlacement> placements;
  for (int64_t i = 0; i < count; ++i)
    placements.push_back({.source = i * 3 % kSources,
                          .dx = static_cast<int32_t>(i * 2 - 3),
                          .dy = static_cast<int32_t>(1 - i),
                          .flip = i % 2 == 1,
                          .noise_stream = static_cast<uint64_t>(i) << 33 | 5});
  placements.back().dy = 0;
  return placements;
}

ImageNormalization normalization_of(int64_t channels, bool centred) {
  ImageNormalization n;
  for (int64_t c = 0; c < channels; ++c) {
    n.mean.push_back(centred ? 0.2F + 0.1F * static_cast<float>(c % 5) : 0.0F);
    n.std.push_back(0.35F - 0.05F * static_cast<float>(c % 5));
  }
  n.seed = (uint64_t{3} << 40) + 77;
  return n;
}

Tensor on_cpu_backend(const std::vector<uint8_t>& pixels,
                      const std::vector<ImagePlacement>& placements, const ImageNormalization& n,
                      const Shape& shape) {
  const Tensor out = Tensor::empty(shape);
  cpu::normalize_images(pixels, placements, n, out);
  return out;
}

Tensor on_cuda_backend(const std::vector<uint8_t>& pixels,
                       const std::vector<ImagePlacement>& placements, const ImageNormalization& n,
                       const Shape& shape) {
  const Tensor out = Tensor::empty(shape, DType::f32, Tag::data, gpu());
  cuda::normalize_images(pixels, placements, n, out);
  return out;
}

TEST(ImageCuda, FollowsTheCpu) {
  for (const Shape& shape :
       {Shape{1, 1, 1, 1}, Shape{5, 7, 3, 1}, Shape{6, 5, 13, 3}, Shape{3, 28, 28, 1},
        Shape{4, 2, 17, 5}, Shape{3, 8, 8, 3}, Shape{2, 3, 4, 67}}) {
    const auto pixels = random_levels(kSources * shape.numel() / shape[0]);
    const auto placements = placements_of(shape[0]);
    for (const bool centred : {false, true})
      for (const bool noise : {false, true})
        for (const bool clamp : {false, true}) {
          ImageNormalization n = normalization_of(shape[3], centred);
          n.noise = noise;
          n.clamp = clamp;
          const std::string what = shape.str() + (noise ? " with noise" : "");
          const Tensor wanted = on_cpu_backend(pixels, placements, n, shape);
          const Tensor found = on_cuda_backend(pixels, placements, n, shape);
          // With a mean of 0 nothing is added to the product, so fusing the two changes nothing:
          // the noise has the same bits. Else half a unit in the last place of a product below 8.
          if (centred)
            test::expect_close(wanted, found, 0x1p-21, what);
          else
            test::expect_same(wanted, found, what);
        }
  }
}

TEST(ImageCuda, ShiftsBeyondTheImageLeaveZeros) {
  const auto pixels = random_levels(kSources * 12);
  constexpr int32_t kFar = std::numeric_limits<int32_t>::max();
  const std::vector<ImagePlacement> placements = {
      {.dx = 4}, {.dx = -kFar - 1, .flip = true}, {.dy = 3}, {.dx = kFar, .dy = -9}};
  const Tensor out = on_cuda_backend(pixels, placements, normalization_of(1, false), {4, 3, 4, 1});
  test::expect_same(Tensor::zeros({4, 3, 4, 1}), out, "images outside");
}

TEST(ImageCuda, UnalignedOutput) {
  // Images whose size is and is not a multiple of 16 bytes, 4 bytes past a multiple.
  for (const Shape& shape : {Shape{3, 3, 4, 1}, Shape{3, 3, 5, 1}}) {
    const Tensor all = Tensor::zeros({1 + shape.numel()}, DType::f32, Tag::data, gpu());
    const Tensor out = all.view_at(1, shape);
    const auto pixels = random_levels(kSources * shape.numel() / shape[0]);
    const auto placements = placements_of(shape[0]);
    const ImageNormalization n = normalization_of(1, false);
    cuda::normalize_images(pixels, placements, n, out);
    test::expect_same(on_cpu_backend(pixels, placements, n, shape), out, shape.str());
    test::expect_same(Tensor::zeros({1}), all.view_at(0, {1}), "the value before");
  }
}

TEST(ImageCuda, ManyBatchesInFlight) {
  // More uploads of growing size than there are staging buffers, before anyone looks.
  const auto pixels = random_levels(kSources * 48);
  ImageNormalization n = normalization_of(3, false);
  n.noise = true;
  std::vector<Tensor> found;
  for (int64_t i = 1; i <= 9; ++i)
    found.push_back(on_cuda_backend(pixels, placements_of(i), n, {i, 4, 4, 3}));
  for (int64_t i = 1; i <= 9; ++i)
    test::expect_same(on_cpu_backend(pixels, placements_of(i), n, {i, 4, 4, 3}),
                      found[static_cast<size_t>(i - 1)], "batch of " + std::to_string(i));
}

TEST(ImageCuda, SchedulesGiveTheSameBits) {
  for (const Shape& shape : {Shape{9, 28, 28, 1}, Shape{7, 5, 13, 3}}) {
    const auto pixels = random_levels(kSources * shape.numel() / shape[0]);
    ImageNormalization n = normalization_of(shape[3], true);
    n.noise = true;
    test::run_schedules([&] {
      return std::vector<Tensor>{on_cuda_backend(pixels, placements_of(shape[0]), n, shape)};
    });
  }
}

TEST(ImageCuda, RefusesWhatDoesNotFit) {
  const auto pixels = random_levels(24);
  const ImageNormalization n = normalization_of(1, false);
  const std::vector<ImagePlacement> outside = {{.source = 2}};
  expect_error(ErrorKind::usage, "normalize_images: image 2 of 2 images", [&] {
    on_cuda_backend(pixels, outside, n, {1, 3, 4, 1});
  });
  expect_error(ErrorKind::usage, "normalize_images: 2 placements for 1 images", [&] {
    on_cuda_backend(pixels, std::vector<ImagePlacement>(2), n, {1, 3, 4, 1});
  });
  expect_error(ErrorKind::usage, "normalize_images: 1 means and 1 deviations for 2 channels", [&] {
    on_cuda_backend(pixels, std::vector<ImagePlacement>(1), n, {1, 3, 4, 2});
  });
  expect_error(ErrorKind::usage, "non-empty f32 output", [&] {
    on_cuda_backend(pixels, {}, n, {0, 3, 4, 1});
  });
}

}  // namespace
}  // namespace pal
