// Fitting act norms to data: in parts, some of them alone, and where a channel is constant.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/norm/batch_norm.h"
#include "layers/batch_parts.h"
#include "layers/models/ib_inn.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"

namespace pal {
namespace {

using testing::random_tensor;
using testing::RandomBatch;
using testing::values_of;

std::vector<double> state_of(const IbInn& model) {
  std::vector<double> all = values_of(model.parameters().all_values());
  for (const Buffer& b : model.state().buffers)
    if (b.tensor->dtype() != DType::i32)
      for (const double value : values_of(*b.tensor)) all.push_back(value);
  return all;
}

std::vector<double> fitted(const ModelConfig& config, int64_t images, const ActNormFit& how) {
  IbInn model(config, 1);
  model.fit_act_norms(RandomBatch(config, {.count = images}).images, how);
  return state_of(model);
}

TEST(BatchParts, AreEvenAndInOrder) {
  const Tensor x = random_tensor({7, 2, 2, 3}, DType::f32, 1);
  std::vector<int64_t> sizes;
  visit_parts(x, 3, [&](const Tensor& part) { sizes.push_back(part.size(0)); });
  EXPECT_EQ(sizes, (std::vector<int64_t>{2, 2, 3}));
  const auto copy = [](const Tensor& part) { return part.clone(); };
  for (const int64_t most : {0, 1, 3, 7, 9}) {
    EXPECT_EQ(values_of(map_parts(x, most, copy)), values_of(x));
    const Tensor rows = x.reshape({7, 12});
    EXPECT_EQ(map_parts(rows, most, copy).shape(), rows.shape());
  }
  testing::expect_error(ErrorKind::usage, "at least 0",
                        [&] { visit_parts(x, -1, [](const Tensor&) {}); });
}

TEST(ChannelMoments, OfPartsAreThoseOfTheWhole) {
  const Tensor x = random_tensor({6, 3, 3, 5}, DType::f32, 4);
  for (int64_t i = 0; i < x.numel(); ++i)
    testing::set_value(
        x, i,
        3.0 * testing::value_at(x, i) + static_cast<double>(i % 5) + 0.01 * static_cast<double>(i));
  const Tensor mean = Tensor::empty({5}), variance = Tensor::empty({5});
  cpu::batch_statistics(x, mean, variance);
  ChannelMoments whole, parts;
  whole.add(x);
  EXPECT_EQ(whole.mean(), values_of(mean));
  EXPECT_EQ(whole.variance(), values_of(variance));
  for (const int64_t begin : {0, 1, 4})
    parts.add(x.slice_batch(begin, begin == 0 ? 1 : begin == 1 ? 3 : 2));
  for (size_t c = 0; c < 5; ++c) {
    EXPECT_NEAR(parts.mean()[c], whole.mean()[c], 1e-5);
    EXPECT_NEAR(parts.variance()[c], whole.variance()[c], 1e-4);
  }
  testing::expect_error(ErrorKind::usage, "expected 5 channels, got 4", [&] {
    parts.add(Tensor::zeros({2, 4}));
  });
}

TEST(ConstantChannels, AreThoseWithoutASecondValue) {
  const Tensor images = random_tensor({3, 4, 4, 3}, DType::f32, 1);
  EXPECT_TRUE(constant_channels(images).empty());
  images.slice_channels(2, 1).fill(0.1);
  EXPECT_EQ(constant_channels(images), std::vector<int64_t>{2});
  images.slice_channels(0, 1).fill(-7.0);
  EXPECT_EQ(constant_channels(images), (std::vector<int64_t>{0, 2}));
  testing::set_value(images, images.numel() - 1, 0.2);
  EXPECT_EQ(constant_channels(images), std::vector<int64_t>{0});
  testing::expect_error(ErrorKind::usage, "expected images", [] {
    constant_channels(Tensor::zeros({2, 3}));
  });
}

TEST(FitActNorms, PartsAsLargeAsTheBatchChangeNoBit) {
  for (const bool latent_norm : {true, false}) {
    ModelConfig config = testing::tiny_config();
    config.latent_norm = latent_norm;
    const auto whole = fitted(config, 6, {});
    EXPECT_EQ(fitted(config, 6, {.most = 6}), whole);
    EXPECT_EQ(fitted(config, 6, {.most = 100}), whole);
    EXPECT_NE(fitted(config, 6, {.most = 3}), whole);
  }
}

TEST(FitActNorms, PartsFitTheWholeBatch) {
  // In the evaluation phase batch norms see no batch, so parts can differ by rounding alone.
  for (const bool latent_norm : {true, false}) {
    ModelConfig config = testing::tiny_config();
    config.latent_norm = latent_norm;
    config.subnet_gain = 1.0;
    const auto whole = fitted(config, 7, {.phase = Phase::evaluate});
    const auto parts = fitted(config, 7, {.most = 2, .phase = Phase::evaluate});
    ASSERT_EQ(whole.size(), parts.size());
    for (size_t i = 0; i < whole.size(); ++i)
      EXPECT_NEAR(parts[i], whole[i], 1e-3 * std::max(1.0, std::abs(whole[i])));
  }
}

TEST(FitActNorms, PartsBoundTheMemory) {
  ModelConfig config = testing::tiny_config();
  config.image_size = 64;
  config.entry_width = 32;
  IbInn model(config, 1);
  const Tensor images = RandomBatch(config, {.count = 32}).images;
  const auto peak = [&](const ActNormFit& how) {
    Allocator::cpu().reset_peaks();
    model.fit_act_norms(images, how);
    return Allocator::cpu().stats().peak_activations;
  };
  const int64_t whole = peak({});
  const int64_t parts = peak({.most = 4});
  EXPECT_LT(3 * parts, whole);
}

TEST(FitActNorms, SomeAloneLeaveTheOthers) {
  const ModelConfig config = testing::tiny_config();
  IbInn model(config, 1);
  const Tensor images = RandomBatch(config, {.count = 6}).images;
  const auto before = state_of(model);
  model.fit_act_norms(images, {.only = std::vector<std::string>{}, .phase = Phase::evaluate});
  EXPECT_EQ(state_of(model), before);
  std::map<std::string, std::vector<double>> values;
  for (const Parameter* p : model.state().parameters) values[p->name] = values_of(p->value);
  model.fit_act_norms(images,
                      {.only = std::vector<std::string>{"blocks.3"}, .phase = Phase::evaluate});
  for (const Parameter* p : model.state().parameters)
    EXPECT_EQ(values_of(p->value) != values[p->name], p->name.starts_with("blocks.3.act_"))
        << p->name;
  testing::expect_error(ErrorKind::usage, "blocks.2 is no block with an act norm", [&] {
    model.fit_act_norms(images, {.only = std::vector<std::string>{"blocks.2"}});
  });
}

TEST(FitActNorms, AConstantChannelIsNotBlownUp) {
  ModelConfig config = testing::tiny_config();
  config.entry = EntryKind::haar;
  config.head_permutation = false;
  IbInn model(config, 1);
  const Tensor images = RandomBatch(config, {.count = 8}).images;
  images.slice_channels(2, 1).fill(0.0);
  model.fit_act_norms(images);
  for (int i = 0; i < model.chain().size() - 1; ++i)
    if (const auto* block = dynamic_cast<CouplingBlock*>(&model.chain().block(i)))
      for (const double scale : values_of(block->act_norm().evaluate().scale)) {
        EXPECT_LT(scale, 710.0) << model.chain().name(i);
        EXPECT_GT(scale, 0.0);
      }
  // The first block's passive channels of the constant colour have nothing to fit.
  const auto* first = dynamic_cast<CouplingBlock*>(&model.chain().block(1));
  const auto scales = values_of(first->act_norm().evaluate().scale);
  for (const size_t channel : {2U, 5U}) EXPECT_NEAR(scales[channel], 1.0, 1e-5);
}

TEST(ActNorm, OffsetsGoWithTheScaleThatIsApplied) {
  // Wanted scales of 1e6 are above what each kind may have; the mean must still come out at 0.
  for (const ActNormKind kind :
       {ActNormKind::softplus, ActNormKind::paper, ActNormKind::sigmoid, ActNormKind::exponential})
    for (const double most : {1e9, 30.0}) {
      ActNorm norm(2, {kind, 1.0});
      StateList state;
      norm.collect("", state);
      ParameterStore store;
      store.materialise(state.parameters, DType::f64, 1);
      const Tensor x =
          testing::tensor_with({2, 2}, DType::f64, {5.0 - 1e-6, 3.0 + 1e4, 5.0 + 1e-6, 3.0 - 1e4});
      ChannelMoments moments;
      moments.add(x);
      norm.fit(moments, 1.0, {.most = most});
      const ActNorm::Values values = norm.evaluate();
      for (int64_t c = 0; c < 2; ++c) {
        const double scale = testing::value_at(values.scale, c);
        EXPECT_NEAR(
            scale * moments.mean()[static_cast<size_t>(c)] + testing::value_at(values.offset, c),
            0.0, 1e-9 * scale);
        EXPECT_LE(scale, std::min(most, 1e4) * (1.0 + 1e-9));
      }
    }
}

}  // namespace
}  // namespace pal
