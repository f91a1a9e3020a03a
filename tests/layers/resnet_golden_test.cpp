// Small residual networks against PyTorch (tests/resnet/make_golden.py).
#include <gtest/gtest.h>

#include "layers/models/resnet.h"
#include "tests/support/golden_blocks.h"
#include "tests/support/numeric.h"
#include "tests/support/source_file.h"

namespace pal {
namespace {

using testing::expect_close;
using testing::GoldenFile;

struct Case {
  Case(const std::string& path, DType dtype)
      : golden(path), model(config_from_json(golden.config().dump(), path), 1, dtype) {
    for (const Parameter* p : model.state().parameters)
      testing::copy_golden(golden, "state." + p->name, p->value);
    for (const Buffer& b : model.state().buffers)
      testing::copy_golden(golden, "state." + b.name, *b.tensor);
    model.refresh();
    x = golden.tensor("x").to(dtype);
    targets = golden.tensor("targets").to(dtype);
  }
  GoldenFile golden;
  ResNet model;
  Tensor x, targets;
};

class ResNetGolden
    : public ::testing::TestWithParam<std::tuple<const char*, DType, ActivationPolicy>> {
 protected:
  Case make() const {
    const auto& [name, dtype, policy] = GetParam();
    return {testing::source_file(std::string("tests/resnet/") + name + ".safetensors"), dtype};
  }
};

TEST_P(ResNetGolden, HoldsAllOfTheNetwork) {
  const Case c = make();
  size_t known = 0;
  for (const std::string& name : c.golden.names())
    if (name.rfind("state.", 0) == 0) ++known;
  EXPECT_EQ(c.model.state().parameters.size() + c.model.state().buffers.size(), known);
}

TEST_P(ResNetGolden, Evaluation) {
  Case c = make();
  const LossResult result = c.model.evaluate(c.x, c.targets, {});
  expect_close(c.golden, "logits_eval", result.scores);
}

TEST_P(ResNetGolden, OneTrainingPass) {
  Case c = make();
  c.model.set_policy(std::get<2>(GetParam()));
  Tensor grad_x;
  const LossResult result = c.model.forward_backward(c.x, c.targets, {}, Phase::train, &grad_x);
  expect_close(c.golden, "logits_train", result.scores);
  expect_close(c.golden, "loss_ce", result.cross_entropy);
  expect_close(c.golden, "grad.x", grad_x);
  for (const Parameter* p : c.model.state().parameters)
    expect_close(c.golden, "grad." + p->name, p->grad);
  for (const Buffer& b : c.model.state().buffers)
    expect_close(c.golden, "after." + b.name, *b.tensor);
}

INSTANTIATE_TEST_SUITE_P(Networks, ResNetGolden,
                         ::testing::Combine(::testing::Values("resnet_bottleneck", "resnet_basic"),
                                            ::testing::Values(DType::f32, DType::f64),
                                            ::testing::Values(ActivationPolicy::store,
                                                              ActivationPolicy::recompute)),
                         [](const auto& each) {
                           return fmt::format("{}_{}_{}", std::get<0>(each.param),
                                              name_of(std::get<1>(each.param)),
                                              name_of(std::get<2>(each.param)));
                         });

}  // namespace
}  // namespace pal
