// Every invertible block in double: gradients, inverse, log-determinant, policies.
#include <gtest/gtest.h>

#include "layers/fixed_blocks.h"
#include "layers/slow_coupling.h"
#include "layers/two_sided_coupling.h"
#include "tests/support/chain_case.h"
#include "tests/support/jacobian.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"

namespace pal {
namespace {

using testing::BlockCase;
using testing::ChainCase;
using testing::expect_near;
using testing::numeric_log_det;
using testing::relative_difference;

/// One block as a chain.
ChainCase chain_of(const BlockCase& block, DType dtype = DType::f64) {
  std::vector<std::unique_ptr<InvertibleBlock>> blocks;
  blocks.push_back(block.make());
  return {std::move(blocks), block.input, dtype};
}

class Block : public ::testing::TestWithParam<BlockCase> {};
INSTANTIATE_TEST_SUITE_P(All, Block, ::testing::ValuesIn(testing::all_block_cases()),
                         [](const auto& each) { return each.param.name; });

TEST_P(Block, GradientsAgreeWithFiniteDifferences) {
  ChainCase c = chain_of(GetParam());
  for (const Phase phase : {Phase::train, Phase::evaluate})
    for (const ActivationPolicy policy : kActivationPolicies) {
      c.chain.set_options({{policy}, {}});
      const GradientReport report =
          check_gradients([&] { return c.loss(phase); }, [&] { c.backward(phase); }, c.checked(),
                          {.most_entries = policy == ActivationPolicy::invert ? 24 : 6});
      EXPECT_LT(report.worst, 1e-7)
          << name_of(policy) << (phase == Phase::train ? ", training: " : ", evaluation: ")
          << report.text();
    }
}

TEST_P(Block, PoliciesGiveTheSameGradients) {
  ChainCase c = chain_of(GetParam());
  for (const Phase phase : {Phase::train, Phase::evaluate}) {
    std::vector<double> stored;
    for (const BlockPolicy& policy : testing::all_policies()) {
      c.chain.set_options({{policy}, {}});
      c.zero_grad();
      c.backward(phase);
      if (stored.empty()) stored = c.gradients();
      EXPECT_LT(relative_difference(c.gradients(), stored),
                keeps_input(policy.policy) ? 1e-12 : 1e-9)
          << name_of(policy);
    }
  }
}

// What is made anew is made by the same operations of the same values; only a stem goes through a
// batch in parts, and a kept tape without its input goes on from one that was rebuilt.
TEST_P(Block, FormsOfTapesGiveTheSameBits) {
  const std::string& name = GetParam().name;
  if (name.find("entry") != name.npos || name.find("low_res") != name.npos) return;
  for (const DType dtype : {DType::f64, DType::f32}) {
    ChainCase c = chain_of(GetParam(), dtype);
    for (const ActivationPolicy policy :
         {ActivationPolicy::store, ActivationPolicy::recompute, ActivationPolicy::invert}) {
      std::vector<double> full;
      for (const TapeForm form : kTapeForms) {
        c.chain.set_options({{{policy, form}}, {}});
        c.zero_grad();
        c.backward(Phase::train);
        if (form == TapeForm::full) full = c.gradients();
        EXPECT_EQ(c.gradients(), full) << name_of(BlockPolicy(policy, form));
      }
    }
  }
}

TEST_P(Block, InverseComesBackAndTakesItsLogDetAlong) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    ChainCase c = chain_of(GetParam(), dtype);
    const NoGradGuard no_grad;
    const auto result = c.chain.forward(Variable(c.x), Phase::evaluate);
    const Tensor log_det = result.log_det.value();
    EXPECT_EQ(result.y.value().shape(), c.chain.output_shape(c.x.shape()));
    const double unit = dtype == DType::f64 ? 1e-12 : 1e-4;
    expect_near(c.chain.inverse(result.y.value(), log_det), c.x, unit);
    expect_near(log_det, Tensor::zeros(log_det.shape(), DType::f64), unit);
  }
}

TEST_P(Block, LogDetIsThatOfTheJacobian) {
  ChainCase c = chain_of(GetParam());
  c.x = c.x.slice_batch(0, 1);
  EXPECT_NEAR(numeric_log_det(
                  c.x, [&](const Tensor& batch) { return c.map(batch); }, 3e-6),
              c.log_det(), 1e-7);
}

TEST_P(Block, RefusesAnotherShape) {
  ChainCase c = chain_of(GetParam());
  const Shape& s = GetParam().input;
  for (const Shape& wrong : {Shape{s[0], s[1], s[2] + 1, s[3] + 1}, Shape{s[0], s[1] * s[2]}}) {
    EXPECT_THROW(c.map(Tensor::zeros(wrong, DType::f64)), Error);
  }
  EXPECT_THROW(c.map(Tensor::zeros({0, s[1], s[2], s[3]}, DType::f64)), Error);
}

TEST(BlockErrors, ConstructorsNameTheReason) {
  const auto subnet = [](int64_t out) { return pointwise_subnet(2, out, 1.0); };
  const TwoSidedCoupling::Subnets both{subnet, subnet};
  CouplingSpec spec;
  testing::expect_error(ErrorKind::usage, "slow coupling: expected at least 2 channels, got 1",
                        [&] { SlowCoupling(1, spec, subnet); });
  testing::expect_error(ErrorKind::usage, "at least 2 channels",
                        [&] { TwoSidedCoupling(1, true, spec, both); });
  spec.welling = true;
  testing::expect_error(ErrorKind::usage, "welling does not apply",
                        [&] { TwoSidedCoupling(4, true, spec, both); });
  spec.mixing.kind = MixingKind::conv1x1;
  testing::expect_error(ErrorKind::usage, "welling needs a fixed mixing",
                        [&] { SlowCoupling(4, spec, subnet); });
  spec = {};
  spec.clamp = 0.0;
  testing::expect_error(ErrorKind::usage, "clamp above 0", [&] { SlowCoupling(4, spec, subnet); });
  spec = {};
  spec.act_norm = {ActNormKind::sigmoid, 10.0};
  testing::expect_error(ErrorKind::usage, "below 10 for sigmoid",
                        [&] { SlowCoupling(4, spec, subnet); });
  spec = {};
  spec.mixing.kind = MixingKind::swap;
  testing::expect_error(ErrorKind::usage, "mixing swap: expected an even number",
                        [&] { SlowCoupling(5, spec, subnet); });
}

/// Haar, two couplings, a downsampling, a learned mixing and the DCT.
ChainCase toy_chain() {
  CouplingSpec spec;
  spec.act_norm.initial = 0.9;
  const auto bottleneck = [](int64_t stride) {
    return [stride](int64_t out) { return bottleneck_subnet(3, out, stride, 1.0); };
  };
  std::vector<std::unique_ptr<InvertibleBlock>> blocks;
  blocks.push_back(std::make_unique<HaarBlock>());
  blocks.push_back(std::make_unique<SlowCoupling>(4, spec, bottleneck(1)));
  blocks.push_back(std::make_unique<TwoSidedCoupling>(
      4, false, spec, TwoSidedCoupling::Subnets{bottleneck(1), bottleneck(1)}));
  blocks.push_back(std::make_unique<TwoSidedCoupling>(
      4, true, spec, TwoSidedCoupling::Subnets{bottleneck(2), bottleneck(1)}));
  spec.mixing.kind = MixingKind::conv1x1;
  blocks.push_back(std::make_unique<SlowCoupling>(16, spec, bottleneck(1)));
  blocks.push_back(std::make_unique<DctBlock>(2, 16, DctMap{}, false));
  return {std::move(blocks), {1, 8, 8, 1}};
}

TEST(ToyChain, LogDetIsThatOfTheWholeJacobian) {
  ChainCase c = toy_chain();
  EXPECT_NEAR(numeric_log_det(
                  c.x, [&](const Tensor& batch) { return c.map(batch); }, 3e-6),
              c.log_det(), 1e-7);
}

TEST(ToyChain, GradientsUnderMixedPolicies) {
  ChainCase c = toy_chain();
  c.chain.set_options({{ActivationPolicy::store,
                        {ActivationPolicy::tapes, TapeForm::narrow},
                        {ActivationPolicy::last_tape, TapeForm::lean},
                        ActivationPolicy::invert,
                        {ActivationPolicy::store, TapeForm::narrow},
                        ActivationPolicy::invert},
                       {3}});
  const GradientReport report =
      check_gradients([&] { return c.loss(Phase::evaluate); }, [&] { c.backward(Phase::evaluate); },
                      c.checked(), {.most_entries = 8});
  EXPECT_LT(report.worst, 1e-7) << report.text();
}

}  // namespace
}  // namespace pal
