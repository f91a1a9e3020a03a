#include "layers/training/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "layers/training/schedule.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::random_tensor;
using testing::set_value;
using testing::value_at;
using testing::values_of;

/// Two parameters of the network and one of the means, in an order that the store must change.
struct Model {
  explicit Model(DType dtype) {
    StateList list;
    list.add("mu", means);
    list.add("a", first);
    list.add("b", second);
    store.materialise(list.parameters, dtype, 3);
  }
  void set_gradients(uint64_t key) const {
    const Tensor random = random_tensor(store.all_grads().shape(), store.dtype(), key, 3.0);
    store.all_grads().copy_from(random);
  }
  Parameter means{{3, 2}, Init::normal(1.0), ParameterGroup::means};
  Parameter first{{5}, Init::normal(1.0)};
  Parameter second{{2, 3}, Init::constant(0.5)};
  ParameterStore store;
};

TEST(ParameterStore, IsFlatWithTheNetworkFirst) {
  Model m(DType::f32);
  EXPECT_EQ(m.store.count(ParameterGroup::network), 11);
  EXPECT_EQ(m.store.count(ParameterGroup::means), 6);
  EXPECT_EQ(m.first.value.raw(), m.store.all_values().raw());
  EXPECT_EQ(m.means.value.raw(), m.store.values(ParameterGroup::means).raw());
  EXPECT_EQ(m.means.grad.raw(), m.store.grads(ParameterGroup::means).raw());
  EXPECT_EQ(value_at(m.second.value, 5), 0.5);
  // Values follow the name and the seed, not the order or the neighbours.
  Parameter alone{{5}, Init::normal(1.0)};
  alone.name = "a";
  ParameterStore other;
  other.materialise({&alone}, DType::f32, 3);
  EXPECT_EQ(values_of(alone.value), values_of(m.first.value));
  Parameter twin{{5}, Init::normal(1.0)};
  twin.name = "a";
  testing::expect_error(ErrorKind::usage, "two parameters are called a", [&] {
    other.materialise({&alone, &twin}, DType::f32, 3);
  });
}

TEST(Sgd, FollowsItsDefinition) {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const double clip : {0.0, 4.0, 1e6}) {
      Model m(dtype);
      Optimizer sgd(m.store);
      UpdateOptions options;
      options.learning_rate = 0.1;
      options.learning_rate_means = 0.3;
      options.momentum = 0.8;
      options.weight_decay = 0.01;
      options.clip_norm = clip;
      auto wanted = values_of(m.store.all_values());
      std::vector<double> buffer(wanted.size(), 0.0);
      for (uint64_t step = 1; step <= 4; ++step) {
        m.set_gradients(step);
        const auto grads = values_of(m.store.all_grads());
        double norm = 0.0;
        for (size_t i = 0; i < 11; ++i) norm += grads[i] * grads[i];
        norm = std::sqrt(norm);
        const double factor = clip > 0.0 ? std::min(1.0, clip / (norm + 1e-6)) : 1.0;
        for (size_t i = 0; i < wanted.size(); ++i) {
          const bool network = i < 11;
          const double g = network ? factor * grads[i] + 0.01 * wanted[i] : grads[i];
          buffer[i] = 0.8 * buffer[i] + g;
          wanted[i] -= (network ? 0.1 : 0.3) * buffer[i];
        }
        EXPECT_NEAR(sgd.step(options), norm, 1e-6 * norm);
      }
      const double tolerance = dtype == DType::f64 ? 1e-13 : 1e-5;
      for (size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_NEAR(value_at(m.store.all_values(), static_cast<int64_t>(i)), wanted[i], tolerance);
        EXPECT_NEAR(value_at(sgd.moments()[0], static_cast<int64_t>(i)), buffer[i], tolerance);
      }
    }
}

TEST(Sgd, LeavesEverythingAloneIfAGradientIsNotFinite) {
  for (const int64_t place : {0, 10, 11, 16})
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      Model m(DType::f32);
      Optimizer sgd(m.store);
      m.set_gradients(1);
      sgd.step({});
      const auto values = values_of(m.store.all_values());
      const auto momentum = values_of(sgd.moments()[0]);
      m.set_gradients(2);
      set_value(m.store.all_grads(), place, bad);
      EXPECT_FALSE(std::isfinite(sgd.step({})));
      EXPECT_EQ(values_of(m.store.all_values()), values);
      EXPECT_EQ(values_of(sgd.moments()[0]), momentum);
    }
}

TEST(Sgd, NeedsNoMeans) {
  Parameter weight{{2, 3}, Init::normal(1.0)};
  weight.name = "weight";
  ParameterStore store;
  store.materialise({&weight}, DType::f32, 3);
  EXPECT_EQ(store.count(ParameterGroup::means), 0);
  EXPECT_EQ(store.grads(ParameterGroup::means).numel(), 0);
  Optimizer sgd(store);
  const auto before = values_of(weight.value);
  weight.grad.fill(1.0);
  EXPECT_NEAR(sgd.step({.learning_rate = 0.5, .momentum = 0.0, .clip_norm = 0.0}), std::sqrt(6.0),
              1e-12);
  EXPECT_EQ(value_at(sgd.squared_norms(), 1), 0.0);
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_FLOAT_EQ(static_cast<float>(value_at(weight.value, static_cast<int64_t>(i))),
                    static_cast<float>(before[i]) - 0.5F);
}

TEST(Sgd, MarksLibraryCopiesOfWeightsStale) {
  Model m(DType::f32);
  Optimizer sgd(m.store);
  const uint64_t version = m.first.shadow.version;
  m.set_gradients(1);
  sgd.step({});
  EXPECT_GT(m.first.shadow.version, version);
}

TEST(Schedule, FinetuningHasARateOfItsOwnWhereTheRunEndedAtNone) {
  ScheduleSpec spec;
  spec.total_steps = 100;
  spec.warmup_steps = 10;
  const auto at = [&](ScheduleKind kind, int64_t step) {
    spec.kind = kind;
    return finetune_factor(spec, {}, step, 20);
  };
  EXPECT_DOUBLE_EQ(at(ScheduleKind::one_cycle, 0), 1.0);
  EXPECT_NEAR(at(ScheduleKind::one_cycle, 14), 0.5, 1e-15);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::cosine, 0), 1.0);
  EXPECT_NEAR(at(ScheduleKind::cosine, 10), 0.5, 1e-15);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::constant, 0), 1.0);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::step, 0), 0.01);
}

TEST(Schedule, FactorsOverARun) {
  ScheduleSpec spec;
  spec.total_steps = 100;
  const auto at = [&](ScheduleKind kind, int64_t step) {
    spec.kind = kind;
    return schedule_factor(spec, {}, step);
  };
  EXPECT_EQ(at(ScheduleKind::constant, 99), 1.0);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::step, 59), 1.0);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::step, 60), 0.1);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::step, 85), 0.01);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::cosine, 0), 1.0);
  EXPECT_NEAR(at(ScheduleKind::cosine, 50), 0.5, 1e-15);
  EXPECT_NEAR(at(ScheduleKind::cosine, 100), 0.0, 1e-15);
  EXPECT_NEAR(at(ScheduleKind::cosine, 1000), 0.0, 1e-15);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::one_cycle, 40), 1.0);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::one_cycle, 70), 0.5);
  spec.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(at(ScheduleKind::constant, 0), 0.1);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::constant, 4), 0.5);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::constant, 9), 1.0);
  EXPECT_DOUBLE_EQ(at(ScheduleKind::constant, 50), 1.0);
}

TEST(Schedule, ThePlateauRuleDropsTwiceAndEnds) {
  ScheduleSpec spec;
  spec.patience = 3;
  PlateauState state;
  const auto observe_all = [&](std::initializer_list<double> losses) {
    for (const double loss : losses) observe(spec, state, loss);
  };
  observe_all({1.0, 0.5, -0.5, -1.0});
  EXPECT_EQ(state.bad_epochs, 0);
  // Less than a thousandth is no improvement.
  observe_all({-1.0005, -1.0009, -0.9});
  EXPECT_EQ(state.drops, 1);
  EXPECT_DOUBLE_EQ(schedule_factor(spec, state, 0), 0.1);
  observe_all({-1.1, -1.0, -1.0});
  EXPECT_EQ(state.drops, 1);
  observe_all({-1.0});
  EXPECT_EQ(state.drops, 2);
  EXPECT_FALSE(state.finished);
  observe_all({-1.0, -1.0, -1.0});
  EXPECT_TRUE(state.finished);
  EXPECT_EQ(state.drops, 2);
  // A loss that is not a number is no improvement.
  PlateauState broken;
  observe(spec, broken, 1.0);
  observe(spec, broken, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(broken.best, 1.0);
  EXPECT_EQ(broken.bad_epochs, 1);
}

}  // namespace
}  // namespace pal
