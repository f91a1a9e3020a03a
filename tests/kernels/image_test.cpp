#include "kernels/image/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal {
namespace {

std::vector<uint8_t> random_levels(int64_t count, uint64_t stream) {
  const Philox random(11, RandomPurpose::test, stream);
  std::vector<uint8_t> levels(static_cast<size_t>(count));
  for (size_t i = 0; i < levels.size(); ++i)
    levels[i] = static_cast<uint8_t>(random.words(static_cast<uint32_t>(i))[0]);
  return levels;
}

/// The definition, value by value in double.
double expected_value(const std::vector<uint8_t>& pixels, const Shape& shape,
                      const ImagePlacement& placement, const ImageNormalization& n, int64_t y,
                      int64_t x, int64_t c) {
  const int64_t h = shape[1];
  const int64_t w = shape[2];
  const int64_t channels = shape[3];
  const int64_t sy = y - placement.dy;
  int64_t sx = x - placement.dx;
  if (placement.flip) sx = w - 1 - sx;
  double v = 0.0;
  if (sy >= 0 && sy < h && sx >= 0 && sx < w)
    v = pixels[static_cast<size_t>(((placement.source * h + sy) * w + sx) * channels + c)];
  if (n.noise) {
    const int64_t i = (y * w + x) * channels + c;
    v += uniform_of(Philox(n.seed, RandomPurpose::noise, placement.noise_stream)
                        .words(static_cast<uint32_t>(i / 4))[static_cast<size_t>(i % 4)]);
  }
  double value = v / 255.0;
  if (n.clamp) value = std::min(value, 1.0);
  return (value - n.mean[static_cast<size_t>(c)]) / n.std[static_cast<size_t>(c)];
}

ImageNormalization plain(int64_t channels) {
  ImageNormalization n;
  n.mean.assign(static_cast<size_t>(channels), 0.0F);
  n.std.assign(static_cast<size_t>(channels), 1.0F);
  return n;
}

TEST(Image, FollowsTheDefinitionForOddShapes) {
  for (const Shape& shape :
       {Shape{1, 1, 1, 1}, Shape{5, 7, 3, 1}, Shape{6, 5, 13, 3}, Shape{3, 28, 28, 1},
        Shape{4, 2, 17, 5}, Shape{2, 40, 61, 3}, Shape{2, 3, 1500, 3}}) {
    constexpr int64_t kSources = 4;
    const auto pixels = random_levels(kSources * shape.numel() / shape[0], 1);
    for (const bool noise : {false, true}) {
      ImageNormalization n = plain(shape[3]);
      n.noise = noise;
      n.clamp = shape[2] == 3;
      n.seed = 77;
      for (size_t c = 0; c < n.mean.size(); ++c) {
        n.mean[c] = 0.2F + 0.1F * static_cast<float>(c);
        n.std[c] = 0.35F - 0.05F * static_cast<float>(c);
      }
      std::vector<ImagePlacement> placements;
      for (int64_t i = 0; i < shape[0]; ++i)
        placements.push_back({.source = (i * 3) % kSources,
                              .dx = static_cast<int32_t>(i * 2 - 3),
                              .dy = static_cast<int32_t>(1 - i),
                              .flip = i % 2 == 1,
                              .noise_stream = static_cast<uint64_t>(i) << 33 | 5});
      const Tensor out = Tensor::empty(shape);
      cpu::normalize_images(pixels, placements, n, out);
      const float* value = out.data<float>();
      for (int64_t i = 0; i < shape[0]; ++i)
        for (int64_t y = 0; y < shape[1]; ++y)
          for (int64_t x = 0; x < shape[2]; ++x)
            for (int64_t c = 0; c < shape[3]; ++c)
              // Levels to 256 keep 16 bits after the point in float; divided by 255 and the
              // deviation that is 1e-6.
              ASSERT_NEAR(
                  *value++,
                  expected_value(pixels, shape, placements[static_cast<size_t>(i)], n, y, x, c),
                  2e-6)
                  << shape.str() << " at " << i << ' ' << y << ' ' << x << ' ' << c;
    }
  }
}

TEST(Image, HandValues) {
  const std::vector<uint8_t> pixels = {0, 51, 255, 102};  // 2 x 2
  ImageNormalization n = plain(1);
  n.mean = {0.5F};
  n.std = {0.25F};
  const Tensor out = Tensor::empty({2, 2, 2, 1});
  const std::vector<ImagePlacement> placements = {{}, {.dx = 1, .flip = true}};
  cpu::normalize_images(pixels, placements, n, out);
  const double expected[] = {-2.0, -1.2, 2.0,  -0.4,   // as stored
                             -2.0, -1.2, -2.0, -0.4};  // mirrored, then moved right
  for (int i = 0; i < 8; ++i) EXPECT_NEAR(out.data<float>()[i], expected[i], 1e-6) << i;
}

TEST(Image, ShiftsBeyondTheImageLeaveZeros) {
  const auto pixels = random_levels(12, 2);
  const Tensor out = Tensor::empty({4, 3, 4, 1});
  const std::vector<ImagePlacement> placements = {
      {.dx = 4}, {.dx = -2147483647 - 1, .flip = true}, {.dy = 3}, {.dx = 2147483647, .dy = -9}};
  cpu::normalize_images(pixels, placements, plain(1), out);
  for (int64_t i = 0; i < out.numel(); ++i) EXPECT_EQ(out.data<float>()[i], 0.0F);
}

TEST(Image, NoiseIsUniformAndBounded) {
  const std::vector<uint8_t> pixels(784, 255);
  ImageNormalization n = plain(1);
  n.noise = true;
  std::vector<ImagePlacement> placements(64);
  for (size_t i = 0; i < placements.size(); ++i) placements[i].noise_stream = i;
  const Tensor out = Tensor::empty({64, 28, 28, 1});
  cpu::normalize_images(pixels, placements, n, out);
  double sum = 0.0;
  double squares = 0.0;
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double u = static_cast<double>(out.data<float>()[i]) * 255.0 - 255.0;
    ASSERT_GE(u, -1e-4);
    ASSERT_LE(u, 1.0 + 1e-4);
    sum += u;
    squares += u * u;
  }
  // 50,176 draws: the mean has a standard error of 0.0013, the mean square one of 0.0013.
  EXPECT_NEAR(sum / 50176, 0.5, 0.006);
  EXPECT_NEAR(squares / 50176, 1.0 / 3.0, 0.006);
  n.clamp = true;
  cpu::normalize_images(pixels, placements, n, out);
  for (int64_t i = 0; i < out.numel(); ++i) ASSERT_LE(out.data<float>()[i], 1.0F + 1e-6F);
}

TEST(Image, SameBitsForAnyThreadCountAndBatch) {
  const auto pixels = random_levels(100 * 784, 3);
  ImageNormalization n = plain(1);
  n.noise = true;
  n.seed = 5;
  std::vector<ImagePlacement> placements(100);
  for (size_t i = 0; i < 100; ++i)
    placements[i] = {.source = static_cast<int64_t>(99 - i), .dx = 1, .noise_stream = i};
  const Tensor all = Tensor::empty({100, 28, 28, 1});
  const Tensor again = Tensor::empty({100, 28, 28, 1});
  const int threads = thread_count();
  set_thread_count(1);
  cpu::normalize_images(pixels, placements, n, all);
  set_thread_count(3);
  cpu::normalize_images(pixels, placements, n, again);
  set_thread_count(threads);
  EXPECT_EQ(std::memcmp(all.raw(), again.raw(), static_cast<size_t>(all.bytes())), 0);
  const Tensor one = Tensor::empty({1, 28, 28, 1});
  cpu::normalize_images(pixels, std::span(placements).subspan(42, 1), n, one);
  EXPECT_EQ(std::memcmp(all.slice_batch(42, 1).raw(), one.raw(), static_cast<size_t>(one.bytes())),
            0);
}

TEST(Image, RefusesWhatDoesNotFit) {
  const std::vector<uint8_t> pixels(2 * 12);
  const Tensor out = Tensor::empty({1, 3, 4, 1});
  const std::vector<ImagePlacement> good(1);
  const std::vector<ImagePlacement> outside = {{.source = 2}};
  const std::vector<ImagePlacement> negative = {{.source = -1}};
  ImageNormalization flat = plain(1);
  flat.std[0] = 0.0F;
  EXPECT_NO_THROW(cpu::normalize_images(pixels, good, plain(1), out));
  EXPECT_THROW(cpu::normalize_images(pixels, outside, plain(1), out), Error);
  EXPECT_THROW(cpu::normalize_images(pixels, negative, plain(1), out), Error);
  EXPECT_THROW(cpu::normalize_images(pixels, std::vector<ImagePlacement>(2), plain(1), out), Error);
  EXPECT_THROW(cpu::normalize_images(pixels, good, plain(2), out), Error);
  EXPECT_THROW(cpu::normalize_images(pixels, good, flat, out), Error);
  EXPECT_THROW(cpu::normalize_images(pixels, {}, plain(1), Tensor::empty({0, 3, 4, 1})), Error);
  EXPECT_THROW(
      cpu::normalize_images(pixels, good, plain(1), Tensor::empty({1, 3, 4, 1}, DType::f64)),
      Error);
}

}  // namespace
}  // namespace pal
