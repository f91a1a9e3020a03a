// Every coupling_* golden file, under each activation policy.
#include <gtest/gtest.h>

#include "layers/coupling_block.h"
#include "tests/support/golden_blocks.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_close;
using testing::GoldenFile;

/// A chain of one block with the golden parameters.
struct Case {
  explicit Case(const std::string& path, DType dtype_ = DType::f32) : golden(path), dtype(dtype_) {
    chain.add(testing::golden_coupling(golden), "b");
    chain.collect(state);
    store.materialise(state.parameters, dtype, 1);
    chain.block(0).initialise(dtype, 1);
    for (Parameter* p : state.parameters)
      testing::copy_golden(golden, "param." + p->name.substr(2), p->value);
    store.mark_changed();
    for (const Buffer& b : state.buffers) {
      const std::string name = b.name.substr(2);
      if (name.find("running_") != std::string::npos)
        testing::copy_golden(golden, "buffer_before." + name, *b.tensor);
      else
        testing::copy_golden_mixing(golden, "param.", name, *b.tensor);
    }
    chain.block(0).refresh();
  }

  GoldenFile golden;
  DType dtype;
  InvertibleChain chain;
  StateList state;
  ParameterStore store;
};

class CouplingGolden : public ::testing::TestWithParam<std::tuple<std::string, ActivationPolicy>> {
};

TEST_P(CouplingGolden, TrainingPassIsReproduced) {
  Case c(std::get<0>(GetParam()));
  c.chain.set_options({{std::get<1>(GetParam())}, {}});
  const Variable x(c.golden.tensor("x"), true);
  const auto result = c.chain.forward(x, Phase::train);
  expect_close(c.golden, "out", result.y.value());
  expect_close(c.golden, "logdet", result.log_det.value());
  const Tensor ones = Tensor::empty(result.log_det.value().shape(), DType::f64);
  ones.fill(1.0);
  backward({result.y, result.log_det}, {c.golden.tensor("grad_out"), ones});
  expect_close(c.golden, "grad.x", x.grad());
  for (const Parameter* p : c.state.parameters)
    expect_close(c.golden, "grad." + p->name.substr(2), p->grad);
  for (const Buffer& b : c.state.buffers)
    if (b.name.find("running_") != std::string::npos)
      expect_close(c.golden, "buffer_after." + b.name.substr(2), *b.tensor);
}

INSTANTIATE_TEST_SUITE_P(Files, CouplingGolden,
                         ::testing::Combine(::testing::ValuesIn(testing::golden_files("coupling_")),
                                            ::testing::Values(ActivationPolicy::store,
                                                              ActivationPolicy::recompute,
                                                              ActivationPolicy::invert)),
                         [](const auto& each) {
                           std::string path = std::get<0>(each.param);
                           path = path.substr(path.find_last_of('/') + 1);
                           path = path.substr(0, path.find('.'));
                           return path + "_" + name_of(std::get<1>(each.param));
                         });

class CouplingGoldenEval : public ::testing::TestWithParam<std::string> {};

TEST_P(CouplingGoldenEval, EvaluationAndInverseAreReproduced) {
  Case c(GetParam());
  for (const Buffer& b : c.state.buffers)
    if (b.name.find("running_") != std::string::npos)
      testing::copy_golden(c.golden, "buffer_after." + b.name.substr(2), *b.tensor);
  const NoGradGuard no_grad;
  if (c.golden.has("eval_out")) {
    const auto result = c.chain.forward(Variable(c.golden.tensor("x")), Phase::evaluate);
    expect_close(c.golden, "eval_out", result.y.value());
    expect_close(c.golden, "eval_logdet", result.log_det.value());
  }
  const Tensor y = c.golden.tensor("inv_in");
  const Tensor log_det = Tensor::zeros({y.size(0)}, DType::f64);
  expect_close(c.golden, "inv_out", c.chain.inverse(y, log_det));
  expect_close(c.golden, "inv_logdet", log_det);
}

INSTANTIATE_TEST_SUITE_P(Files, CouplingGoldenEval,
                         ::testing::ValuesIn(testing::golden_files("coupling_")),
                         [](const auto& each) {
                           std::string path = each.param;
                           path = path.substr(path.find_last_of('/') + 1);
                           return path.substr(0, path.find('.'));
                         });

// Another set need not hold every kind of file.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CouplingGolden);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CouplingGoldenEval);

}  // namespace
}  // namespace pal
