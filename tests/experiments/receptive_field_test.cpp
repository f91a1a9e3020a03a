#include "experiments/explain/receptive_field.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/fixed_blocks.h"
#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
#include "tests/support/numeric.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

/// A flow of all kinds of blocks but the entry, with 16 features on maps of 2 x 2.
ModelConfig small_flow() {
  ModelConfig config = testing::tiny_config();
  config.image_size = 8;
  config.channels = 1;
  config.entry = EntryKind::haar;
  return config;
}

/// The final feature map of images, before pooling.
Tensor map_of(Model& model, const Tensor& images) {
  const NoGradGuard no_grad;
  if (auto* const resnet = dynamic_cast<ResNet*>(&model))
    return resnet->feature_map(Variable(images), Phase::evaluate).value();
  const InvertibleChain& chain = dynamic_cast<IbInn&>(model).chain();
  const Tensor log_det = Tensor::zeros({images.size(0)}, DType::f64, Tag::workspace);
  Tensor stream = images;
  for (int i = 0; dynamic_cast<DctBlock*>(&chain.block(i)) == nullptr; ++i)
    stream = chain.block(i).forward(stream, log_det, Phase::evaluate, nullptr);
  return stream;
}

/// Sensitivity to one pixel by central differences: of all features, over colours and images.
double by_differences(Model& model, const Tensor& images, int64_t row, int64_t column) {
  constexpr double kStep = 1e-6;
  double sum = 0.0;
  for (int64_t c = 0; c < images.channels(); ++c) {
    Tensor maps[2];
    for (int side = 0; side < 2; ++side) {
      const Tensor moved = images.clone();
      for (int64_t n = 0; n < images.size(0); ++n)
        moved.data<double>()[((n * images.size(1) + row) * images.size(2) + column) *
                                 images.channels() +
                             c] += side == 0 ? kStep : -kStep;
      maps[side] = map_of(model, moved);
    }
    const int64_t size = maps[0].size(1), channels = maps[0].channels();
    const int64_t centre = size / 2 * size + size / 2;
    for (int64_t n = 0; n < images.size(0); ++n)
      for (int64_t l = 0; l < channels; ++l) {
        const int64_t at = (n * size * size + centre) * channels + l;
        sum += std::abs(maps[0].data<double>()[at] - maps[1].data<double>()[at]) / (2.0 * kStep);
      }
  }
  return sum / static_cast<double>(images.size(0));
}

TEST(ReceptiveField, AgreesWithFiniteDifferences) {
  for (const ModelConfig& config : {small_flow(), testing::tiny_resnet(),
                                    testing::tiny_basic_resnet(), testing::tiny_cifar_resnet()}) {
    const auto model = build_model(config);
    model->materialise(7, DType::f64);
    const int64_t side = config.image_size;
    const Tensor images = testing::random_tensor({2, side, side, config.channels}, DType::f64, 21);
    int64_t calls = 0;
    const ReceptiveField field =
        receptive_field(*model, images, {0, 0, [&](int64_t, int64_t) { ++calls; }});
    EXPECT_EQ(field.side, side);
    EXPECT_EQ(field.channels, field.features);
    EXPECT_EQ(calls, field.features);
    for (const auto& [row, column] : {std::pair{side / 2, side / 2}, {1L, 2L}, {side - 1, 0L}}) {
      const double found = field.sensitivity[static_cast<size_t>(row * side + column)];
      EXPECT_NEAR(found, by_differences(*model, images, row, column), 1e-6 * (1.0 + found))
          << config.arch << " at " << row << ", " << column;
    }
  }
}

TEST(ReceptiveField, OfSomeFeaturesStandsForAll) {
  const auto model = build_model(small_flow());
  model->materialise(7, DType::f64);
  const Tensor images = testing::random_tensor({2, 8, 8, 1}, DType::f64, 21);
  const auto sum = [&](int64_t channels, uint64_t seed) {
    const ReceptiveField field = receptive_field(*model, images, {channels, seed, {}});
    EXPECT_EQ(field.channels, channels == 0 ? 16 : channels);
    double total = 0.0;
    for (const double s : field.sensitivity) total += s;
    return total;
  };
  double mean = 0.0;
  for (uint64_t seed = 0; seed < 8; ++seed) mean += sum(4, seed) / 8.0;
  EXPECT_NEAR(mean / sum(0, 0), 1.0, 0.2);
  EXPECT_EQ(sum(4, 3), sum(4, 3));
  EXPECT_NE(sum(4, 3), sum(4, 4));
}

TEST(FullWidthAtHalfMaximum, OfKnownShapes) {
  ReceptiveField field;
  field.side = 41;
  const double sigma = 5.0;
  for (int64_t i = 0; i < 41; ++i)
    for (int64_t j = 0; j < 41; ++j)
      field.sensitivity.push_back(std::exp(-(std::pow(static_cast<double>(i - 20), 2.0) +
                                             std::pow(static_cast<double>(j - 20), 2.0)) /
                                           (2.0 * sigma * sigma)));
  const CrossSection section = cross_section(field);
  EXPECT_EQ(section.offset.size(), 41U);
  EXPECT_NEAR(full_width_at_half_maximum(section), 2.0 * std::sqrt(2.0 * std::log(2.0)) * sigma,
              0.02);
  // A triangle: linear between pixels, so exact.
  EXPECT_DOUBLE_EQ(full_width_at_half_maximum({{-2, -1, 0, 1, 2}, {0, 1, 2, 1, 0}}), 2.0);
  EXPECT_DOUBLE_EQ(full_width_at_half_maximum({{-1, 0, 1}, {0, 4, 1}}), 0.5 + 2.0 / 3.0);
  // Not down to half on one side, or nothing at all.
  EXPECT_TRUE(std::isnan(full_width_at_half_maximum({{-1, 0, 1}, {3, 4, 1}})));
  EXPECT_TRUE(std::isnan(full_width_at_half_maximum({{-1, 0, 1}, {0, 0, 0}})));
}

TEST(CrossSection, GoesThroughTheMaximumBothWays) {
  ReceptiveField field;
  field.side = 3;
  field.sensitivity = {0, 8, 1,  //
                       0, 2, 0,  //
                       0, 4, 0};
  const CrossSection section = cross_section(field);
  // The row 0 8 1 and the column 8 2 4 from its first pixel on.
  EXPECT_EQ(section.offset, (std::vector<double>{-1, 0, 1, 2}));
  EXPECT_EQ(section.sensitivity, (std::vector<double>{0, 8, 1.5, 4}));
}

}  // namespace
}  // namespace pal
