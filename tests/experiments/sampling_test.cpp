#include "experiments/measures/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/sets/synthetic.h"
#include "runtime/error.h"

namespace pal {
namespace {

ModelConfig tiny_config() {
  ModelConfig config = preset("ibinn-mnist");
  config.image_size = 8;
  config.channels = 3;
  config.classes = 4;
  config.blocks = {1, 1};
  config.widths = {8, 8};
  return config;
}

ImageSet tiny_set(int64_t count) {
  SyntheticOptions options;
  options.count = count;
  options.height = options.width = 8;
  options.channels = 3;
  options.classes = 4;
  return synthetic_set(options);
}

InputSpec tiny_input() { return {{0.5F, 0.4F, 0.3F}, {0.25F, 0.2F, 0.1F}, {"a", "b", "c", "d"}}; }

struct Sampling : ::testing::Test {
  IbInn model{tiny_config(), 3};
};

TEST_F(Sampling, DrawsAroundTheClassMean) {
  constexpr int64_t kCount = 500;
  const int64_t dims = model.dims();
  const Tensor mean = model.head().class_mean(2);
  const Tensor still = class_latents(model_spread(model, 2), 2, 0, 3, 0.0, 1);
  const Tensor z = class_latents(model_spread(model, 2), 2, 0, kCount, 0.7, 1);
  double squares = 0.0;
  for (int64_t i = 0; i < kCount * dims; ++i) {
    const auto centre = static_cast<double>(mean.data<float>()[i % dims]);
    squares += std::pow(static_cast<double>(z.data<float>()[i]) - centre, 2.0);
    if (i < 3 * dims) {
      EXPECT_EQ(static_cast<double>(still.data<float>()[i]), centre);
    }
  }
  // 96,000 squares of variance 2 T^4: a relative standard error of 0.0046.
  EXPECT_NEAR(squares / static_cast<double>(kCount * dims), 0.49, 0.49 * 0.02);
}

TEST_F(Sampling, MeasuresWhereAClassLies) {
  // Decoded samples around a place are found there again.
  const ClassSpread own = model_spread(model, 1);
  const Tensor images = decode(model, class_latents(own, 1, 0, 400, 0.5, 3));
  const ClassSpread found = measured_spread(model, images);
  const int64_t dims = model.dims();
  double deviation = 0.0;
  for (int64_t d = 0; d < dims; ++d) {
    EXPECT_NEAR(found.mean.data<float>()[d], own.mean.data<float>()[d], 0.15);
    deviation += static_cast<double>(found.deviation.data<float>()[d]) / static_cast<double>(dims);
  }
  EXPECT_NEAR(deviation, 0.5, 0.01);
  // A temperature scales the measured deviation.
  const Tensor still = class_latents(found, 1, 0, 2, 0.0, 3);
  EXPECT_EQ(still.data<float>()[dims + 5], found.mean.data<float>()[5]);
  const Tensor wide = class_latents(found, 1, 0, 2, 2.0, 3);
  const Tensor plain = class_latents(own, 1, 0, 2, 1.0, 3);
  EXPECT_NEAR(wide.data<float>()[7] - found.mean.data<float>()[7],
              2.0F * found.deviation.data<float>()[7] *
                  (plain.data<float>()[7] - own.mean.data<float>()[7]),
              1e-4F);
  EXPECT_THROW(measured_spread(model, images.slice_batch(0, 1)), Error);
}

TEST_F(Sampling, GivesEachSampleItsOwnNumbers) {
  const Tensor all = class_latents(model_spread(model, 1), 1, 0, 5, 0.7, 9);
  const Tensor last = class_latents(model_spread(model, 1), 1, 4, 1, 0.7, 9);
  EXPECT_EQ(relative_error(all.slice_batch(4, 1), last), 0.0);
  EXPECT_GT(relative_error(all.slice_batch(3, 1), last), 0.1);
  EXPECT_GT(relative_error(class_latents(model_spread(model, 1), 1, 4, 1, 0.7, 10), last), 0.1);
  EXPECT_THROW(class_latents(model_spread(model, 4), 4, 0, 1, 0.7, 9), Error);
}

TEST_F(Sampling, ReturnsFromTheLatentSpace) {
  const ImageSet set = tiny_set(130);
  std::vector<int64_t> indices(130);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  const Tensor images = network_images(*memory_dataset(set), tiny_input(), indices);
  const Tensor rebuilt = decode(model, encode(model, images));
  const InversionError error = inversion_error(images, rebuilt);
  EXPECT_LT(error.largest, kInversionTolerance);
  EXPECT_LT(error.mean, error.largest);
  EXPECT_GT(error.largest, 0.0);
  // Noise-free, so the pictures are the images of the set.
  const auto pictures = to_pictures(rebuilt, tiny_input());
  ASSERT_EQ(pictures.size(), 130U);
  for (size_t i = 0; i < pictures.size(); ++i) {
    EXPECT_EQ(pictures[i].channels, 3);
    EXPECT_TRUE(std::equal(pictures[i].pixels.begin(), pictures[i].pixels.end(),
                           set.pixels.begin() + static_cast<int64_t>(i) * set.image_size()));
  }
}

TEST_F(Sampling, RefusesWhatIsNotFinite) {
  const Tensor z = Tensor::zeros({2, model.dims()});
  z.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  try {
    decode(model, z);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerics);
  }
}

TEST(InterpolateLatents, GoesStraightFromEndToEnd) {
  const Tensor ends = Tensor::zeros({2, 3});
  for (int64_t d = 0; d < 3; ++d) ends.data<float>()[3 + d] = static_cast<float>(4 * d);
  const Tensor line = interpolate_latents(ends, 5);
  EXPECT_EQ(line.shape(), Shape({5, 3}));
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t d = 0; d < 3; ++d)
      EXPECT_EQ(line.data<float>()[3 * i + d], static_cast<float>(i * d));
  EXPECT_THROW(interpolate_latents(ends, 1), Error);
  EXPECT_THROW(interpolate_latents(Tensor::zeros({3, 3}), 5), Error);
}

TEST(ToPictures, UndoesTheNormalisationAndClips) {
  const Tensor images = Tensor::zeros({1, 1, 2, 3});
  const float values[] = {0.0F, 1.0F, -1.0F, 100.0F, -100.0F, 0.0F};
  std::copy(std::begin(values), std::end(values), images.data<float>());
  const auto pictures = to_pictures(images, tiny_input());
  // Means 0.5, 0.4, 0.3 and deviations 0.25, 0.2, 0.1, in levels of 255.
  EXPECT_EQ(pictures[0].pixels, (std::vector<uint8_t>{128, 153, 51, 255, 0, 77}));
  EXPECT_THROW(to_pictures(images, {{0.5F}, {0.25F}, {}}), Error);
}

}  // namespace
}  // namespace pal
