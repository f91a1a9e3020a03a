#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "layers/models/ib_inn.h"
#include "layers/training/fault_search.h"
#include "layers/training/train_step.h"
#include "tests/support/numeric.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::set_value;
using testing::value_at;
using testing::values_of;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

ModelConfig tiny_flow() {
  ModelConfig config;
  config.image_size = 8;
  config.classes = 3;
  config.blocks = {2, 1};
  config.widths = {4, 4};
  config.subnet = SubnetKind::basic;
  config.coupling = CouplingKind::glow;
  return config;
}

/// Passes its input on; while `armed`, with one value that is not a number.
class Plant : public InvertibleBlock {
 public:
  explicit Plant(const bool& armed) : armed_(armed) {}
  std::string kind() const override { return "plant"; }
  Shape output_shape(const Shape& input) const override { return input; }
  Tensor forward(const Tensor& x, const Tensor&, Phase, BlockMemory*) override {
    const Tensor y = x.clone();
    if (armed_) set_value(y, 5, kNaN);
    return y;
  }
  Tensor inverse(const Tensor& y, const Tensor&) override { return y.clone(); }
  BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor&, BlockMemory& memory,
                         bool) override {
    return {y.defined() ? std::move(y) : memory.input, std::move(grad_y)};
  }

 private:
  const bool& armed_;
};

/// A network in training: what a checkpoint would hold of it.
struct Trained {
  Trained(const ModelConfig& config, const OptimizerSpec& spec, BlockPolicy policy) {
    model = build_model(config);
    // At the end of the flow: an activation that no batch norm has seen.
    if (auto* const flow = dynamic_cast<IbInn*>(model.get()))
      flow->chain().add(std::make_unique<Plant>(armed), "plant");
    model->materialise(7);
    model->set_policy(policy);
    optimizer = std::make_unique<Optimizer>(model->parameters(), spec);
    step = std::make_unique<TrainStep>(*model, *optimizer, false);
  }

  StepInput input(uint64_t key) const {
    const testing::RandomBatch batch(model->config(), {.count = 6, .seed = key});
    StepInput in;
    in.images = batch.images;
    in.labels = batch.labels;
    in.smoothing = 0.05;
    in.update.weight_decay = 0.01;
    in.update.learning_rate = in.update.learning_rate_means = 1e-3;
    in.update.bad_steps = 2;
    return in;
  }

  StepResult run(const StepInput& in) {
    step->run(in);
    return step->take();
  }

  std::map<std::string, std::vector<double>> saved() const {
    std::map<std::string, std::vector<double>> all;
    for (const auto& [name, tensor] :
         to_checkpoint(*model, {}, {}, optimizer->flat_states()).tensors)
      if (tensor.dtype() != DType::i32) all[name] = values_of(tensor);
    return all;
  }

  bool armed = false;
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<TrainStep> step;
};

struct Case {
  ModelConfig config;
  OptimizerSpec spec;
  BlockPolicy policy;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw})
    for (const bool averages : {false, true}) {
      for (const ActivationPolicy policy : {ActivationPolicy::store, ActivationPolicy::invert})
        all.push_back({tiny_flow(), {kind, averages}, policy});
      all.push_back({testing::tiny_resnet(), {kind, averages}, ActivationPolicy::recompute});
    }
  return all;
}

TEST(SkippedStep, LeavesEverySavedTensorAsItWas) {
  for (const Case& c : cases()) {
    Trained t(c.config, c.spec, c.policy);
    Trained twin(c.config, c.spec, c.policy);
    for (uint64_t key = 1; key <= 3; ++key) {
      EXPECT_TRUE(t.run(t.input(key)).taken());
      EXPECT_TRUE(twin.run(t.input(key)).taken());
    }
    const auto before = t.saved();
    EXPECT_TRUE(
        before.contains(c.spec.kind == OptimizerKind::adamw
                            ? "optimizer.exp_avg_sq." + t.model->state().parameters[0]->name
                            : "optimizer.momentum." + t.model->state().parameters[0]->name));
    StepInput broken = t.input(4);
    set_value(broken.images, 17, kNaN);
    const StepResult first = t.run(broken);
    EXPECT_EQ(first.guard.verdict, StepVerdict::not_finite);
    EXPECT_EQ(first.guard.not_finite_in_row, 1);
    EXPECT_EQ(t.saved(), before);
    if (c.config.family == ModelFamily::flow) {
      t.armed = true;
      EXPECT_EQ(t.run(t.input(4)).guard.not_finite_in_row, 2);
      t.armed = false;
      EXPECT_EQ(t.saved(), before);
    }
    // The next good step is that of a run that saw nothing of it, bias correction included.
    const StepResult next = t.run(t.input(5));
    EXPECT_TRUE(next.taken());
    EXPECT_EQ(next.guard.updates, 4);
    twin.run(t.input(5));
    EXPECT_EQ(t.saved(), twin.saved());
    EXPECT_NE(t.saved(), before);
  }
}

TEST(SkippedStep, OneTooManyHaltsWithoutAChange) {
  Trained t(tiny_flow(), {}, ActivationPolicy::store);
  t.run(t.input(1));
  const auto before = t.saved();
  StepInput broken = t.input(2);
  set_value(broken.images, 0, std::numeric_limits<double>::infinity());
  for (int i = 1; i <= 2; ++i) EXPECT_FALSE(t.run(broken).halted());
  EXPECT_TRUE(t.run(broken).halted());
  const StepResult after = t.run(t.input(3));
  EXPECT_TRUE(after.halted());
  EXPECT_EQ(after.guard.not_finite, 3);
  EXPECT_EQ(t.saved(), before);
}

TEST(SkippedStep, ARowGoesOnInAnotherProcess) {
  Trained t(tiny_flow(), {OptimizerKind::adamw}, ActivationPolicy::store);
  t.run(t.input(1));
  StepInput broken = t.input(2);
  set_value(broken.images, 0, kNaN);
  t.run(broken);
  const GuardState state = GuardState::from_json(t.run(broken).guard.json());
  EXPECT_EQ(state.not_finite_in_row, 2);
  Trained next(tiny_flow(), {OptimizerKind::adamw}, ActivationPolicy::store);
  load_state(to_checkpoint(*t.model, {}, {}, t.optimizer->flat_states()), "memory", *next.model,
             next.optimizer->flat_states());
  next.optimizer->set_guard(state);
  EXPECT_TRUE(next.run(broken).halted());
  next.optimizer->set_guard(state);
  EXPECT_TRUE(next.run(t.input(3)).taken());
  EXPECT_TRUE(t.run(t.input(3)).taken());
  EXPECT_EQ(t.saved(), next.saved());
}

TEST(SkippedStep, OutliersAreSkippedWhereThatIsWanted) {
  Trained t(tiny_flow(), {}, ActivationPolicy::store);
  StepInput in = t.input(1);
  in.update.learning_rate = in.update.learning_rate_means = 1e-5;
  in.update.skip_outliers = 6.0;
  for (uint64_t key = 0; key < 40; ++key) {
    in.images = t.input(key).images;
    EXPECT_TRUE(t.run(in).taken()) << key;
  }
  const auto before = t.saved();
  StepInput wild = in;
  wild.images = testing::random_tensor(in.images.shape(), DType::f32, 3, 100.0);
  const StepResult result = t.run(wild);
  EXPECT_EQ(result.guard.verdict, StepVerdict::outlier);
  EXPECT_TRUE(std::isfinite(result.grad_norm));
  EXPECT_GT(result.grad_norm, result.guard.norm_mean);
  EXPECT_EQ(t.saved(), before);
  wild.update.skip_outliers = 0.0;
  EXPECT_TRUE(t.run(wild).taken());
}

TEST(WeightAverage, FollowsTheWeightsAndChangesPlacesWithThem) {
  Trained t(tiny_flow(), {OptimizerKind::sgd, true}, ActivationPolicy::store);
  const Tensor& values = t.model->parameters().all_values();
  const Tensor& statistics = t.model->parameters().all_statistics();
  std::vector<double> wanted = values_of(values);
  std::vector<double> wanted_statistics = values_of(statistics);
  for (uint64_t key = 1; key <= 5; ++key) {
    StepInput in = t.input(key);
    in.update.average_decay = 0.3;
    t.run(in);
    const double decay =
        std::min(0.3, (1.0 + static_cast<double>(key)) / (10.0 + static_cast<double>(key)));
    const auto move = [&](std::vector<double>& average, const Tensor& now) {
      for (size_t i = 0; i < average.size(); ++i)
        average[i] += (1.0 - decay) * (value_at(now, static_cast<int64_t>(i)) - average[i]);
    };
    move(wanted, values);
    move(wanted_statistics, statistics);
  }
  WeightAverage& average = *t.optimizer->average();
  for (size_t i = 0; i < wanted.size(); ++i)
    ASSERT_NEAR(value_at(average.values(), static_cast<int64_t>(i)), wanted[i], 1e-6);
  for (size_t i = 0; i < wanted_statistics.size(); ++i)
    ASSERT_NEAR(value_at(average.statistics(), static_cast<int64_t>(i)), wanted_statistics[i],
                1e-6);
  const auto raw = values_of(values), averaged = values_of(average.values());
  average.exchange();
  EXPECT_EQ(values_of(values), averaged);
  EXPECT_EQ(values_of(average.values()), raw);
  average.exchange();
  EXPECT_EQ(values_of(values), raw);
}

TEST(FaultSearch, NamesWhatIsNotFinite) {
  Trained t(tiny_flow(), {}, ActivationPolicy::store);
  const testing::RandomBatch batch(t.model->config(), {.count = 6});
  const auto find = [&](bool head_only = false) {
    const auto before = t.saved();
    const Fault fault = find_fault(*t.model, batch.images, batch.targets, {}, head_only);
    EXPECT_EQ(t.saved(), before);
    return fault;
  };
  EXPECT_EQ(find().place, Fault::Place::nowhere);
  t.armed = true;
  EXPECT_EQ(find().place, Fault::Place::activation);
  EXPECT_EQ(find().text, "the output of plant (plant) is not finite");
  EXPECT_EQ(find(true).place, Fault::Place::loss);
  t.armed = false;
  Parameter* const weight = t.model->state().parameters[2];
  weight->value.fill(3e38);
  t.model->parameters().mark_changed();
  EXPECT_EQ(find().place, Fault::Place::activation);
  EXPECT_NE(find().text.find("blocks.2"), std::string::npos) << find().text;
  set_value(batch.images, 3, kNaN);
  EXPECT_EQ(find().text, "the images are not finite");
  EXPECT_EQ(find().place, Fault::Place::images);
}

}  // namespace
}  // namespace pal
