// Training steps that several ranks share, or that take their images in parts.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "layers/models/ib_inn.h"
#include "layers/training/train_step.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"
#include "tests/support/random_batch.h"
#include "tests/support/thread_ranks.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::RandomBatch;
using testing::values_of;

/// Images of a step, which divide into no even shares.
constexpr int64_t kWhole = 11;

/// How the images of steps are divided, and what is asked of them.
struct Way {
  int ranks = 1;
  int parts = 1;
  bool synchronised = true;
  ReductionSpec reduction = {};
  BlockPolicy policy = ActivationPolicy::invert;
  bool head_only = false;
  int bad_rank = -1;  ///< whose second step has an image that is not a number
};

/// What steps leave behind.
struct Outcome {
  std::vector<StepResult> results;
  std::vector<std::vector<double>> weights;     ///< by rank
  std::vector<std::vector<double>> statistics;  ///< by rank
};

std::unique_ptr<Model> made(const ModelConfig& config) {
  auto model = build_model(config);
  model->materialise(7);
  return model;
}

/// Three steps.
Outcome steps(const ModelConfig& config, const Way& way) {
  Outcome outcome;
  outcome.weights.resize(static_cast<size_t>(way.ranks));
  outcome.statistics.resize(static_cast<size_t>(way.ranks));
  testing::on_ranks(way.ranks, [&](Communicator& ranks) {
    const ThreadScope one(1);
    const auto model = made(config);
    model->set_policy(way.policy);
    if (way.synchronised) model->synchronise_norms(&ranks);
    Optimizer optimizer(model->parameters());
    TrainStep step(*model, optimizer, false, ranks, way.reduction);
    const int64_t begin = kWhole * ranks.rank() / ranks.size();
    const int64_t mine = kWhole * (ranks.rank() + 1) / ranks.size() - begin;
    std::vector<StepResult> results;
    for (uint64_t key = 1; key <= 3; ++key) {
      const RandomBatch batch(config, {.count = kWhole, .seed = key});
      if (key == 2 && ranks.rank() == way.bad_rank)
        batch.images.data<float>()[begin * batch.images.numel() / kWhole] =
            std::numeric_limits<float>::quiet_NaN();
      for (int part = 0; part < way.parts; ++part) {
        const int64_t from = begin + mine * part / way.parts;
        const int64_t count = begin + mine * (part + 1) / way.parts - from;
        StepInput input;
        input.images = batch.images.slice_batch(from, count);
        input.labels = batch.labels.slice_batch(from, count);
        input.loss.factor = key == 1 ? 0.05 : 1.0;
        input.whole = kWhole;
        input.part = part;
        input.parts = way.parts;
        input.head_only = way.head_only;
        step.run(input);
      }
      EXPECT_EQ(step.pending(), 1);
      results.push_back(step.take());
    }
    const auto r = static_cast<size_t>(ranks.rank());
    outcome.weights[r] = values_of(model->parameters().all_values());
    outcome.statistics[r] = values_of(model->parameters().all_statistics());
    if (r == 0) outcome.results = results;
  });
  return outcome;
}

void expect_equal_ranks(const Outcome& outcome) {
  for (size_t r = 1; r < outcome.weights.size(); ++r) {
    EXPECT_EQ(outcome.weights[r], outcome.weights[0]) << "weights of rank " << r;
    EXPECT_EQ(outcome.statistics[r], outcome.statistics[0]) << "statistics of rank " << r;
  }
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0.0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

void expect_same_steps(const Outcome& wanted, const Outcome& found, double tolerance) {
  for (size_t i = 0; i < wanted.results.size(); ++i) {
    EXPECT_NEAR(found.results[i].loss, wanted.results[i].loss, tolerance) << i;
    EXPECT_NEAR(found.results[i].nll_joint, wanted.results[i].nll_joint, tolerance) << i;
    EXPECT_NEAR(found.results[i].cross_entropy, wanted.results[i].cross_entropy, tolerance) << i;
    EXPECT_EQ(found.results[i].accuracy, wanted.results[i].accuracy) << i;
    EXPECT_NEAR(found.results[i].grad_norm, wanted.results[i].grad_norm,
                10.0 * tolerance * (1.0 + wanted.results[i].grad_norm))
        << i;
  }
  EXPECT_LT(largest_difference(wanted.weights[0], found.weights[0]), tolerance);
}

TEST(SharedStep, RanksMakeTheStepOfOneProcess) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    const bool flow = config.family == ModelFamily::flow;
    const Outcome alone = steps(config, {.policy = ActivationPolicy::store});
    for (const int ranks : {2, 3, 4})
      for (const ActivationPolicy policy :
           {ActivationPolicy::store, ActivationPolicy::recompute, ActivationPolicy::invert}) {
        if (!flow && policy == ActivationPolicy::invert) continue;
        const Outcome shared = steps(config, {.ranks = ranks, .policy = policy});
        expect_equal_ranks(shared);
        expect_same_steps(alone, shared, 2e-4);
      }
  }
}

TEST(SharedStep, BucketsOfAnySizeGiveTheSameBits) {
  const ModelConfig config = testing::tiny_config();
  const Outcome large = steps(config, {.ranks = 2});
  for (const int64_t bytes : {4, 100, 4096}) {
    const Outcome small = steps(config, {.ranks = 2, .reduction = {.bucket_bytes = bytes}});
    EXPECT_EQ(small.weights, large.weights) << bytes;
  }
}

TEST(SharedStep, GradientsAreToldOfWhenTheyAreComplete) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    const auto model = made(config);
    model->set_policy(ActivationPolicy::recompute);
    const Tensor& grads = model->parameters().all_grads();
    std::vector<int64_t> places;
    std::vector<std::vector<double>> told;
    model->on_gradients([&](int64_t from) {
      places.push_back(from);
      told.push_back(values_of(grads.view_at(from, {grads.numel() - from})));
    });
    const RandomBatch batch(config, {.count = 4, .seed = 1});
    model->parameters().zero_grad();
    (void)model->forward_backward(batch.images, batch.targets, {});
    const std::vector<double> all = values_of(grads);
    ASSERT_GE(places.size(), 3U);
    EXPECT_TRUE(std::ranges::is_sorted(places, std::ranges::greater()));
    EXPECT_LT(places.back(), grads.numel() / 2);
    for (size_t i = 0; i < places.size(); ++i)
      EXPECT_EQ(told[i], std::vector<double>(all.begin() + places[i], all.end())) << config.arch;
    EXPECT_TRUE(std::ranges::any_of(told.front(), [](double g) { return g != 0.0; }));
    model->on_gradients({});
  }
}

TEST(SharedStep, NormsOfTheirOwnLeaveEqualStatistics) {
  const Outcome shared = steps(testing::tiny_config(), {.ranks = 3, .synchronised = false});
  expect_equal_ranks(shared);
  for (const StepResult& result : shared.results) EXPECT_TRUE(result.taken());
}

TEST(SharedStep, PartsAreAsRanksWithNormsOfTheirOwn) {
  const ModelConfig config = testing::tiny_config();
  const Outcome parts = steps(config, {.parts = 2});
  const Outcome ranks = steps(config, {.ranks = 2, .synchronised = false});
  // Running statistics move part by part, but no gradient sees them.
  expect_same_steps(parts, ranks, 1e-5);
  const Outcome both = steps(config, {.ranks = 2, .parts = 3, .synchronised = false});
  expect_equal_ranks(both);
}

TEST(SharedStep, TheHeadAloneLeavesTheRest) {
  const ModelConfig config = testing::tiny_config();
  const Outcome alone = steps(config, {.head_only = true});
  const Outcome shared = steps(config, {.ranks = 3, .synchronised = false, .head_only = true});
  expect_equal_ranks(shared);
  expect_same_steps(alone, shared, 1e-5);
  EXPECT_EQ(shared.statistics[0], alone.statistics[0]);
}

TEST(SharedStep, WhatIsNotFiniteOnOneRankSkipsTheStepOnAll) {
  const Outcome shared = steps(testing::tiny_config(), {.ranks = 3, .bad_rank = 2});
  expect_equal_ranks(shared);
  EXPECT_TRUE(shared.results[0].taken());
  EXPECT_EQ(shared.results[1].guard.verdict, StepVerdict::not_finite);
  EXPECT_TRUE(shared.results[2].taken());
  EXPECT_EQ(shared.results[2].guard.not_finite, 1);
}

TEST(SharedStep, BucketsWithoutRoomAreRefused) {
  testing::on_ranks(2, [](Communicator& ranks) {
    const auto model = made(testing::tiny_config());
    Optimizer optimizer(model->parameters());
    expect_error(ErrorKind::usage, "bucket: 3 bytes hold no number",
                 [&] { TrainStep step(*model, optimizer, false, ranks, {.bucket_bytes = 3}); });
  });
}

}  // namespace
}  // namespace pal
