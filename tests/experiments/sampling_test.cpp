#include "experiments/measures/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/sets/synthetic.h"
#include "experiments/measures/picture_scores.h"
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

TEST(MorphLatents, MovesByTheDifferenceOfTheMeans) {
  // By hand: z + t (to - from), steps within vectors.
  const auto row = [](std::vector<float> values) {
    const Tensor tensor = Tensor::zeros({static_cast<int64_t>(values.size())});
    std::ranges::copy(values, tensor.data<float>());
    return tensor;
  };
  const Tensor z = Tensor::zeros({2, 3});
  const float starts[] = {1.0F, -2.0F, 0.5F, 10.0F, 20.0F, 30.0F};
  std::copy(std::begin(starts), std::end(starts), z.data<float>());
  const Tensor from = row({1.0F, 0.0F, -1.0F});
  const Tensor to = row({3.0F, -4.0F, -1.0F});
  const Tensor line = morph_latents(z, from, to, {0.0, 0.25, 1.0, 1.5});
  ASSERT_EQ(line.shape(), Shape({8, 3}));
  const std::vector<float> wanted = {1.0F,  -2.0F, 0.5F,  1.5F,  -3.0F, 0.5F,  3.0F,  -6.0F,
                                     0.5F,  4.0F,  -8.0F, 0.5F,  10.0F, 20.0F, 30.0F, 10.5F,
                                     19.0F, 30.0F, 12.0F, 16.0F, 30.0F, 13.0F, 14.0F, 30.0F};
  EXPECT_EQ(std::vector<float>(line.data<float>(), line.data<float>() + 24), wanted);
  EXPECT_THROW(morph_latents(z, from, row({1.0F}), {0.0}), Error);
  EXPECT_THROW(morph_latents(row({1.0F}), row({1.0F}), row({1.0F}), {0.0}), Error);
}

TEST_F(Sampling, MorphsFromTheReconstructionToTheOtherClass) {
  const Tensor images = network_images(*memory_dataset(tiny_set(3)), tiny_input(), {0, 2});
  const Tensor z = encode(model, images);
  const Tensor a = model_spread(model, 1).mean;
  const Tensor b = model_spread(model, 3).mean;
  const Tensor line = morph_latents(z, a, b, {0.0, 1.0});
  const int64_t dims = model.dims();
  double between = 0.0;  // the means' squared distance
  for (int64_t d = 0; d < dims; ++d) {
    const float step = b.data<float>()[d] - a.data<float>()[d];
    between += static_cast<double>(step) * static_cast<double>(step);
    for (int64_t i = 0; i < 2; ++i) {
      const float* const rows = line.data<float>() + 2 * i * dims;
      EXPECT_EQ(rows[d], z.data<float>()[i * dims + d]);
      EXPECT_EQ(rows[dims + d], z.data<float>()[i * dims + d] + step);
    }
  }
  // t = 0 is the image, rebuilt.
  EXPECT_EQ(
      relative_error(decode(model, line).slice_batch(0, 1), decode(model, z.slice_batch(0, 1))),
      0.0);
  // l_b - l_a rises by t ||mu_b - mu_a||^2; scores are float sums over 192 dimensions.
  const Tensor scores = model.head().scores(line);
  for (int64_t i = 0; i < 2; ++i) {
    const auto lead = [&](int64_t row) {
      const float* const l = scores.data<float>() + row * 4;
      return static_cast<double>(l[3]) - static_cast<double>(l[1]);
    };
    EXPECT_NEAR(lead(2 * i + 1) - lead(2 * i), between, 1e-4 * (between + 1.0));
  }
}

TEST_F(Sampling, AsksTheModelAboutPictures) {
  std::vector<Image> pictures;
  for (int64_t y = 0; y < 4; ++y) {
    // More than one batch of 100.
    const Tensor z = class_latents(model_spread(model, y), y, 0, 30, 0.0, 1);
    const auto some = to_pictures(decode(model, z), tiny_input());
    pictures.insert(pictures.end(), some.begin(), some.end());
  }
  const auto answers = picture_answers(model, tiny_input(), pictures);
  ASSERT_EQ(answers.size(), 120U);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].y, static_cast<int64_t>(i / 30));
    double sum = 0.0;
    for (const double q : answers[i].probabilities) {
      sum += q;
      EXPECT_LE(q, answers[i].probabilities[i / 30]);
    }
    EXPECT_NEAR(sum, 1.0, 1e-12);
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
