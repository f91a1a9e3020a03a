// Models whose batch norms have the statistics of all ranks: a training step on several ranks is
// that of one process with the whole batch, whatever is kept, recomputed or inverted.
#include <gtest/gtest.h>

#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/thread_ranks.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::RandomBatch;
using testing::relative_difference;
using testing::values_of;

/// Images of all ranks, which divide into no even shares.
constexpr int64_t kImages = 7;

/// Counts the calls that it hands on.
class CountingCommunicator : public Communicator {
 public:
  explicit CountingCommunicator(Communicator& to) : Communicator(to.rank(), to.size()), to_(to) {}
  void all_reduce(const Tensor& values) override {
    ++sums;
    to_.all_reduce(values);
  }
  void all_gather(const Tensor& mine, const Tensor& all) override {
    ++gathers;
    to_.all_gather(mine, all);
  }
  void broadcast(const Tensor& values, int root) override { to_.broadcast(values, root); }
  void start_all_reduce(const Tensor& values) override { to_.start_all_reduce(values); }
  void finish() override { to_.finish(); }

  int sums = 0;
  int gathers = 0;

 private:
  Communicator& to_;
};

std::unique_ptr<Model> made(const ModelConfig& config, DType dtype) {
  auto model = build_model(config);
  model->materialise(3, dtype);
  return model;
}

int norms_of(const Model& model) {
  int count = 0;
  for (const Buffer& b : model.state().buffers) count += b.name.ends_with("running_mean") ? 1 : 0;
  return count;
}

/// A rank's part of the images.
struct Share {
  Share(int64_t images, const Communicator& ranks)
      : begin(images * ranks.rank() / ranks.size()),
        count(images * (ranks.rank() + 1) / ranks.size() - begin) {}
  Tensor of(const Tensor& t) const { return t.slice_batch(begin, count); }
  int64_t begin;
  int64_t count;
};

struct Outcome {
  double loss = 0.0;
  std::vector<double> grads;                    ///< summed over the ranks
  std::vector<std::vector<double>> statistics;  ///< running ones, by rank
};

using Policies = std::vector<BlockPolicy>;

/// One training step's gradients on `size` ranks, rank r with policies[r % their number].
Outcome step(const ModelConfig& config, DType dtype, int size, const Policies& policies,
             bool synchronised = true) {
  const RandomBatch batch(config, {.count = kImages, .dtype = dtype, .smoothing = 0.05});
  Outcome outcome;
  outcome.statistics.resize(static_cast<size_t>(size));
  testing::on_ranks(size, [&](Communicator& all) {
    const ThreadScope one(1);
    CountingCommunicator ranks(all);
    const auto r = static_cast<size_t>(ranks.rank());
    const auto model = made(config, dtype);
    model->set_policy(policies[r % policies.size()]);
    model->synchronise_norms(synchronised ? &ranks : nullptr);
    const Share mine(kImages, ranks);
    LossSpec loss;
    loss.factor = static_cast<double>(mine.count) / static_cast<double>(kImages);
    const LossResult result =
        model->forward_backward(mine.of(batch.images), mine.of(batch.targets), loss);
    // Norms exchange once in the forward pass and once in the backward pass.
    const int exchanges = synchronised && size > 1 ? norms_of(*model) : 0;
    EXPECT_EQ(ranks.gathers, exchanges);
    EXPECT_EQ(ranks.sums, exchanges);
    outcome.statistics[r] = values_of(model->parameters().all_statistics());
    const Tensor grads = model->parameters().all_grads().clone();
    all.all_reduce(grads);
    const double sum = sum_over_ranks(all, result.loss());
    if (r > 0) return;
    outcome.loss = sum;
    outcome.grads = values_of(grads);
  });
  return outcome;
}

void expect_one_process(const ModelConfig& config, const Policies& policies) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Outcome whole = step(config, dtype, 1, {policies[0]});
    const auto compare = [&](int size, const Policies& chosen, const std::string& what) {
      const Outcome found = step(config, dtype, size, chosen);
      const bool exact = dtype == DType::f64;
      EXPECT_NEAR(found.loss, whole.loss, exact ? 1e-10 : 1e-5) << what;
      EXPECT_LT(relative_difference(found.grads, whole.grads), exact ? 1e-9 : 1e-4) << what;
      for (const auto& each : found.statistics) EXPECT_EQ(each, found.statistics[0]) << what;
      EXPECT_LT(relative_difference(found.statistics[0], whole.statistics[0]), exact ? 1e-12 : 1e-6)
          << what;
    };
    for (const int size : {2, 3, 4})
      for (const BlockPolicy& policy : policies)
        compare(size, {policy},
                std::string(config.arch) + " " + name_of(dtype) + " " + name_of(policy) + " on " +
                    std::to_string(size));
    // Ranks need not keep the same.
    compare(4, policies, std::string(config.arch) + " mixed");
  }
}

TEST(SynchronisedNorms, AFlowsStepIsThatOfOneProcess) {
  expect_one_process(testing::tiny_config(), testing::all_policies());
}

TEST(SynchronisedNorms, AFlowWithoutAStemToo) {
  ModelConfig config = testing::tiny_config();
  config.entry = EntryKind::haar;
  config.subnet = SubnetKind::basic;
  config.coupling = CouplingKind::slow;
  expect_one_process(config, {ActivationPolicy::store, ActivationPolicy::invert});
}

TEST(SynchronisedNorms, AResNetsStepIsThatOfOneProcess) {
  expect_one_process(testing::tiny_resnet(), testing::all_policies(false));
}

// What the comparisons above would not miss.
TEST(SynchronisedNorms, WithoutThemRanksDiffer) {
  const ModelConfig config = testing::tiny_config();
  const Outcome whole = step(config, DType::f64, 1, {ActivationPolicy::invert});
  const Outcome apart = step(config, DType::f64, 3, {ActivationPolicy::invert}, false);
  EXPECT_GT(relative_difference(apart.grads, whole.grads), 1e-2);
  EXPECT_NE(apart.statistics[1], apart.statistics[0]);
}

TEST(SynchronisedNorms, OneRankIsAsIfThereWereNone) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    const Outcome without = step(config, DType::f32, 1, {ActivationPolicy::recompute}, false);
    const Outcome with = step(config, DType::f32, 1, {ActivationPolicy::recompute});
    EXPECT_EQ(with.grads, without.grads);
    EXPECT_EQ(with.statistics, without.statistics);
    EXPECT_EQ(with.loss, without.loss);
  }
}

TEST(SynchronisedNorms, EvaluationExchangesNothing) {
  const ModelConfig config = testing::tiny_config();
  const RandomBatch batch(config);
  testing::on_ranks(2, [&](Communicator& all) {
    const ThreadScope one(1);
    CountingCommunicator ranks(all);
    const auto model = made(config, DType::f32);
    model->synchronise_norms(&ranks);
    (void)model->evaluate(batch.images, batch.targets, {});
    (void)model->forward_backward(batch.images, batch.targets, {}, Phase::evaluate);
    EXPECT_EQ(ranks.gathers + ranks.sums, 0);
  });
}

TEST(SynchronisedNorms, AveragedStatisticsAreThoseOfAllRanks) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    const auto averaged = [&](int size) {
      std::vector<std::vector<double>> found(static_cast<size_t>(size));
      testing::on_ranks(size, [&](Communicator& ranks) {
        const ThreadScope one(1);
        const auto model = made(config, DType::f32);
        model->synchronise_norms(&ranks);
        for (const int64_t k : {1, 2, 3}) {
          const RandomBatch batch(config, {.count = kImages, .seed = static_cast<uint64_t>(k)});
          model->set_average_count(k);
          model->update_statistics(Share(kImages, ranks).of(batch.images));
        }
        found[static_cast<size_t>(ranks.rank())] = values_of(model->parameters().all_statistics());
      });
      return found;
    };
    const auto whole = averaged(1)[0];
    const auto shared = averaged(3);
    for (const auto& each : shared) EXPECT_EQ(each, shared[0]);
    EXPECT_LT(relative_difference(shared[0], whole), 1e-6);
  }
}

// A recorded graph of one kind must not stand for the other.
TEST(SynchronisedNorms, AreAnotherStep) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    const auto model = made(config, DType::f32);
    const StepVariant alone = model->step_variant();
    SingleCommunicator single;
    model->synchronise_norms(&single);
    EXPECT_EQ(model->step_variant(), alone);
    testing::ThreadRanks threads(2);
    testing::ThreadCommunicator ranks(threads, 0, 2);
    model->synchronise_norms(&ranks);
    EXPECT_NE(model->step_variant(), alone);
    model->synchronise_norms(nullptr);
    EXPECT_EQ(model->step_variant(), alone);
  }
}

}  // namespace
}  // namespace pal
