// The promise of invertible training: activation memory does not depend on depth.
#include <gtest/gtest.h>

#include "layers/slow_coupling.h"
#include "runtime/allocator.h"
#include "tests/support/policies.h"

namespace pal {
namespace {

/// Highest activation memory of one training step of `depth` blocks after everything is built.
MemoryStats step_memory(int depth, BlockPolicy policy, std::vector<int> anchors = {}) {
  constexpr int64_t kChannels = 12;
  InvertibleChain chain;
  for (int i = 0; i < depth; ++i)
    chain.add(std::make_unique<SlowCoupling>(
                  kChannels, CouplingSpec{},
                  [](int64_t out) { return bottleneck_subnet(8, out, 1, 0.1); }),
              "blocks." + std::to_string(i));
  chain.set_options({{policy}, std::move(anchors)});
  StateList state;
  chain.collect(state);
  ParameterStore store;
  store.materialise(state.parameters, DType::f32, 1);
  for (int i = 0; i < depth; ++i) chain.block(i).initialise(DType::f32, 1);
  const Tensor images = Tensor::empty({2, 14, 14, kChannels}, DType::f32, Tag::data);
  for (int64_t i = 0; i < images.numel(); ++i)
    images.data<float>()[i] = static_cast<float>(i % 97) / 48.0F - 1.0F;

  Allocator::cpu().reset_peaks();
  const auto result = chain.forward(Variable(images), Phase::train);
  const Tensor grad_log_det = Tensor::zeros({2}, DType::f64, Tag::stream);
  backward({result.y, result.log_det}, {result.y.value(), grad_log_det});
  return Allocator::cpu().stats();
}

TEST(ActivationMemory, InversionIsFlatOverDepth) {
  const auto at_4 = static_cast<double>(step_memory(4, ActivationPolicy::invert).peak_activations);
  for (const int depth : {8, 16})
    EXPECT_LT(static_cast<double>(step_memory(depth, ActivationPolicy::invert).peak_activations),
              1.01 * at_4)
        << depth;
}

TEST(ActivationMemory, StoringGrowsLinearly) {
  const int64_t at_4 = step_memory(4, ActivationPolicy::store).peak_activations;
  const int64_t at_8 = step_memory(8, ActivationPolicy::store).peak_activations;
  const int64_t at_16 = step_memory(16, ActivationPolicy::store).peak_activations;
  EXPECT_NEAR(static_cast<double>(at_16 - at_8) / static_cast<double>(at_8 - at_4), 2.0, 0.05);
  EXPECT_GT(at_16, 4 * step_memory(16, ActivationPolicy::invert).peak_activations);
}

TEST(ActivationMemory, RecomputationGrowsByOneStreamTensorPerBlock) {
  const int64_t at_4 = step_memory(4, ActivationPolicy::recompute).peak_activations;
  const int64_t at_16 = step_memory(16, ActivationPolicy::recompute).peak_activations;
  const double stream = 2.0 * 14 * 14 * 12 * sizeof(float);
  EXPECT_NEAR(static_cast<double>(at_16 - at_4), 12.0 * stream, 0.5 * stream);
}

/// Values that a pixel's tape holds: the coupling's factors; the results of the convolutions 6 -> 8
/// -> 8 -> 32 channels, of which a narrow tape keeps the second; what is normalised before each.
TEST(ActivationMemory, TapesGrowByWhatTheirFormKeeps) {
  constexpr int64_t kFactors = 12, kConvolved = 8 + 8 + 32, kNormalised = 6 + 8 + 8 + 32;
  constexpr int64_t kStream = 12;
  for (const auto& [form, values] : {std::pair{TapeForm::full, kFactors + kConvolved + kNormalised},
                                     {TapeForm::lean, kFactors + kConvolved},
                                     {TapeForm::narrow, kFactors + 8}})
    for (const auto& [policy, more] : {std::pair{ActivationPolicy::store, kStream},
                                       {ActivationPolicy::tapes, int64_t{0}},
                                       {ActivationPolicy::last_tape, int64_t{0}}}) {
      const BlockPolicy block(policy, form);
      const int64_t grown =
          step_memory(16, block).peak_activations - step_memory(8, block).peak_activations;
      const int64_t value = 2 * 14 * 14 * int64_t{sizeof(float)};
      EXPECT_NEAR(static_cast<double>(grown), static_cast<double>(8 * (values + more) * value),
                  0.01 * static_cast<double>(grown))
          << name_of(block);
    }
}

TEST(ActivationMemory, AnchorsAreCountedApart) {
  const MemoryStats plain = step_memory(8, ActivationPolicy::invert);
  const MemoryStats anchored = step_memory(8, ActivationPolicy::invert, {2, 4});
  EXPECT_EQ(plain.peak_of(Tag::anchors), 0);
  EXPECT_GE(anchored.peak_of(Tag::anchors), 2 * 2 * 14 * 14 * 12 * int64_t{sizeof(float)});
  EXPECT_LE(anchored.peak_activations, plain.peak_activations);
}

TEST(ActivationMemory, NothingIsLeftBehind) {
  const int64_t before = Allocator::cpu().stats().current_total;
  for (const BlockPolicy& policy : testing::all_policies()) step_memory(4, policy);
  EXPECT_EQ(Allocator::cpu().stats().current_total, before);
}

}  // namespace
}  // namespace pal
