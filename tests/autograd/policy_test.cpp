// What the activation policies promise on long chains; the inversion monitor; anchors.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/chain_case.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"

namespace pal {
namespace {

using testing::ChainCase;
using testing::expect_error;
using testing::plain_blocks;
using testing::relative_difference;

constexpr int64_t kChannels = 12;
const Shape kInput{2, 8, 8, kChannels};

ChainCase plain_chain(int count, double act_norm_init, double subnet_gain, DType dtype) {
  return {plain_blocks(count, kChannels, act_norm_init, subnet_gain), kInput, dtype, false};
}

std::vector<double> gradients_under(ChainCase& c, BlockPolicy policy,
                                    std::vector<int> anchors = {}) {
  c.chain.set_options({{policy}, std::move(anchors)});
  c.zero_grad();
  c.backward(Phase::train);
  return c.gradients();
}

/// Error of the first block's rebuilt input in one training step.
double inversion_error(ChainCase& c, std::vector<int> anchors = {}) {
  c.chain.set_options({{ActivationPolicy::invert}, std::move(anchors)});
  c.chain.monitor_next(0);
  c.backward(Phase::train);
  EXPECT_EQ(c.chain.last_check().block, 0);
  return c.chain.last_check().relative_error;
}

TEST(Policies, FiftyBlocksInDoubleGiveEqualGradients) {
  ChainCase c = plain_chain(50, 1.0, 0.1, DType::f64);
  const auto stored = gradients_under(c, ActivationPolicy::store);
  for (const BlockPolicy& policy : testing::all_policies())
    EXPECT_LT(relative_difference(gradients_under(c, policy), stored),
              keeps_input(policy.policy) ? 1e-12 : 1e-9)
        << name_of(policy);
}

TEST(Policies, BlocksMayHaveDifferentPolicies) {
  ChainCase c = plain_chain(6, 1.0, 0.1, DType::f64);
  const auto stored = gradients_under(c, ActivationPolicy::store);
  using enum ActivationPolicy;
  using enum TapeForm;
  c.chain.set_options(
      {{invert, {store, lean}, {invert, narrow}, {tapes, narrow}, {recompute, lean}, tapes}, {}});
  c.zero_grad();
  c.backward(Phase::train);
  EXPECT_LT(relative_difference(c.gradients(), stored), 1e-9);
}

TEST(Policies, FiftyBlocksInFloatGiveGradientsWithinTheirRounding) {
  ChainCase c = plain_chain(50, 1.0, 0.1, DType::f32);
  const auto stored = gradients_under(c, ActivationPolicy::store);
  for (const BlockPolicy& policy : testing::all_policies())
    EXPECT_LT(relative_difference(gradients_under(c, policy), stored),
              keeps_input(policy.policy) ? 1e-6 : 1e-4)
        << name_of(policy);
}

TEST(Policies, RecomputationLeavesRunningStatisticsAlone) {
  std::vector<std::vector<double>> after;
  for (const BlockPolicy& policy : testing::all_policies()) {
    ChainCase c = plain_chain(4, 1.0, 0.1, DType::f32);
    const auto before = c.running_statistics();
    gradients_under(c, policy);
    after.push_back(c.running_statistics());
    EXPECT_NE(after.back(), before);
  }
  // Bit for bit, and the same as those of a forward pass alone.
  for (const auto& each : after) EXPECT_EQ(each, after[0]);
  ChainCase c = plain_chain(4, 1.0, 0.1, DType::f32);
  c.loss(Phase::train);
  EXPECT_EQ(c.running_statistics(), after[0]);
  // Evaluation changes nothing, whatever the policy.
  c.backward(Phase::evaluate);
  EXPECT_EQ(c.running_statistics(), after[0]);
}

TEST(Policies, AnchorsOfEveryBlockMakeInversionExact) {
  ChainCase c = plain_chain(6, 1.0, 0.1, DType::f32);
  const auto stored = gradients_under(c, ActivationPolicy::store);
  const auto anchored = gradients_under(c, ActivationPolicy::invert, {1, 2, 3, 4, 5});
  EXPECT_LT(relative_difference(anchored, stored), 1e-5);
}

// layers/models/README.md, 10: the stream shrinks until the translations dominate.
TEST(Conditioning, PlainBlocksAtScale0706CannotBeInvertedInFloat) {
  for (const int count : {24, 32}) {
    ChainCase shrinking = plain_chain(count, 0.7, 1.0, DType::f32);
    const double lost = inversion_error(shrinking);
    EXPECT_TRUE(!(lost < 1.0)) << count << " blocks: " << lost;
    ChainCase keeping = plain_chain(count, 1.0, 0.1, DType::f32);
    EXPECT_LT(inversion_error(keeping), 1e-5) << count;
  }
  ChainCase in_double = plain_chain(50, 1.0, 0.1, DType::f64);
  EXPECT_LT(inversion_error(in_double), 1e-12);
}

TEST(Conditioning, AnchorsResetTheDrift) {
  ChainCase c = plain_chain(16, 0.7, 1.0, DType::f32);
  const double drifted = inversion_error(c);
  const double anchored = inversion_error(c, {4, 8, 12});
  EXPECT_GT(drifted, 1e-4);
  EXPECT_LT(anchored, 1e-2 * drifted);
  EXPECT_LT(anchored, 1e-4);
  // And gradients come nearer to the stored ones.
  const auto stored = gradients_under(c, ActivationPolicy::store);
  const double far = relative_difference(gradients_under(c, ActivationPolicy::invert), stored);
  const double near =
      relative_difference(gradients_under(c, ActivationPolicy::invert, {4, 8, 12}), stored);
  EXPECT_LT(near, 0.1 * far);
}

TEST(Monitor, MeasuresTheBlockThatWasAskedForOnce) {
  ChainCase c = plain_chain(5, 1.0, 0.1, DType::f32);
  EXPECT_EQ(c.chain.last_check().block, -1);
  c.chain.monitor_next(3);
  c.loss(Phase::train);  // nothing is recorded, so nothing is measured
  EXPECT_EQ(c.chain.last_check().block, -1);
  c.backward(Phase::train);
  EXPECT_EQ(c.chain.last_check().block, 3);
  EXPECT_EQ(c.chain.last_check().name, "blocks.3");
  EXPECT_GT(c.chain.last_check().relative_error, 0.0);
  EXPECT_LT(c.chain.last_check().relative_error, 1e-5);
  const InversionCheck first = c.chain.last_check();
  c.backward(Phase::train);
  EXPECT_EQ(c.chain.last_check().relative_error, first.relative_error);
  // A stored input is its own.
  c.chain.set_options({{ActivationPolicy::store}, {}});
  c.chain.monitor_next(2);
  c.backward(Phase::train);
  EXPECT_EQ(c.chain.last_check().block, 2);
  EXPECT_EQ(c.chain.last_check().relative_error, 0.0);
}

TEST(Chain, TheInputGradientIsOptional) {
  for (const ActivationPolicy policy :
       {ActivationPolicy::store, ActivationPolicy::recompute, ActivationPolicy::invert}) {
    ChainCase c = plain_chain(3, 1.0, 0.1, DType::f64);
    c.chain.set_options({{policy}, {}});
    c.backward(Phase::evaluate, true);
    const auto with = testing::values_of(c.store.all_grads());
    EXPECT_GT(testing::largest_magnitude(c.grad_x), 0.0);
    c.zero_grad();
    c.backward(Phase::evaluate, false);
    EXPECT_EQ(testing::values_of(c.store.all_grads()), with);
  }
}

TEST(Chain, NothingIsRecordedWithoutGrad) {
  ChainCase c = plain_chain(2, 1.0, 0.1, DType::f32);
  const NoGradGuard no_grad;
  const auto result = c.chain.forward(Variable(c.x, true), Phase::train);
  EXPECT_FALSE(result.y.requires_grad());
}

TEST(Chain, RefusesOptionsThatDoNotFit) {
  ChainCase c = plain_chain(3, 1.0, 0.1, DType::f32);
  expect_error(ErrorKind::usage, "expected 1 or 3 policies, got 2", [&] {
    c.chain.set_options({{ActivationPolicy::store, ActivationPolicy::invert}, {}});
  });
  expect_error(ErrorKind::usage, "no block 3 to anchor", [&] {
    c.chain.set_options({{ActivationPolicy::store}, {3}});
  });
  expect_error(ErrorKind::usage, "no block -1", [&] {
    c.chain.set_options({{ActivationPolicy::store}, {-1}});
  });
  expect_error(ErrorKind::usage, "gradients of both outputs", [&] {
    const auto result = c.chain.forward(Variable(c.x), Phase::train);
    backward({result.y}, {c.grad_y});
  });
}

TEST(RelativeError, IsThatOfTheNorms) {
  const Tensor a = testing::tensor_with({2, 1}, DType::f64, {3, 4});
  const Tensor b = testing::tensor_with({2, 1}, DType::f64, {3, 4.5});
  EXPECT_DOUBLE_EQ(relative_error(a, b), 0.1);
  EXPECT_EQ(relative_error(a, a), 0.0);
  const Tensor zero = Tensor::zeros({2, 1}, DType::f64);
  EXPECT_EQ(relative_error(zero, zero), 0.0);
  EXPECT_TRUE(std::isinf(relative_error(zero, a)));
  EXPECT_THROW(relative_error(a, Tensor::zeros({3, 1}, DType::f64)), Error);
}

}  // namespace
}  // namespace pal
