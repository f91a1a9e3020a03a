// Gradients of the coupling, from stored inputs and from inverted ones.
#include <gtest/gtest.h>

#include "autograd/gradient_check.h"
#include "kernels/arrays/reduce.h"
#include "kernels/coupling/coupling.h"
#include "tests/kernels/coupling_case.h"

namespace pal::testing::coupling {
namespace {

TEST_P(Coupling, GradientsAgreeWithFiniteDifferences) {
  for (const Size& size : {kSizes[0], kSizes[1], Size{{2, 2, 3, 6}, 4}, Size{{1, 13, 11, 2}, 2}}) {
    const Case dense(size.a, size.passive, GetParam());
    for (const Case& c : {dense, dense.pitched()}) {
      const auto loss = [&] {
        const auto f = c.forward();
        return inner(f.y, c.grad_y) + inner(f.log_det, c.grad_log_det);
      };
      const CouplingGrads g = c.empty_grads();
      std::vector<CheckedTensor> checked = {{"active", c.active, g.active}, {"a", c.a, g.factors}};
      if (c.passive.defined()) checked.push_back({"passive", c.passive, g.passive});
      if (c.options.act_norm) {
        checked.push_back({"scale", c.output.scale, g.scale});
        checked.push_back({"offset", c.output.offset, g.offset});
      }
      const GradientCheckOptions some{.most_entries = 40};
      const auto stored = check_gradients(
          loss, [&] { c.backward(g); }, checked, some);
      EXPECT_LT(stored.worst, 1e-7) << size.a.str() << " " << stored.text();
      const auto inverted = check_gradients(
          loss, [&] { c.inverse_backward(c.forward().y, g); }, checked, some);
      EXPECT_LT(inverted.worst, 1e-7) << size.a.str() << " inverted " << inverted.text();
    }
  }
}

void expect_same_grads(const CouplingGrads& a, const CouplingGrads& b, double share,
                       const std::string& what) {
  const auto compare = [&](const Tensor& x, const Tensor& y, const char* name) {
    ASSERT_EQ(x.defined(), y.defined());
    if (x.defined())
      expect_near(x, y, share * std::max(1.0, largest_magnitude(y)), what + " " + name);
  };
  compare(a.active, b.active, "active");
  compare(a.passive, b.passive, "passive");
  compare(a.factors, b.factors, "a");
  compare(a.scale, b.scale, "scale");
  compare(a.offset, b.offset, "offset");
  compare(a.log_s, b.log_s, "log_s");
}

TEST_P(Coupling, InversionGivesTheStoredGradientsAndInputs) {
  for (const Size& size : kSizes) {
    const Case exact(size.a, size.passive, GetParam());
    const CouplingGrads wanted = exact.empty_grads();
    exact.backward(wanted);
    for (const DType dtype : {DType::f64, DType::f32}) {
      const double share = dtype == DType::f64 ? 1e-13 : 2e-5;
      const Case dense = exact.in(dtype, dtype);
      for (const Case& c : {dense, dense.pitched()}) {
        const CouplingGrads stored = c.empty_grads();
        c.backward(stored);
        expect_same_grads(stored, wanted, share, "stored " + size.a.str());
        const CouplingGrads inverted = c.empty_grads();
        const Tensor rebuilt = c.inverse_backward(c.forward().y, inverted);
        expect_same_grads(inverted, wanted, share, "inverted " + size.a.str());
        expect_near(rebuilt, c.active, dtype == DType::f64 ? 1e-13 : 4e-5, "rebuilt");
      }
    }
  }
}

TEST_P(Coupling, ActNormScalesGradientsThatAreWantedWithoutItsOwn) {
  const Case c({2, 3, 5, 6}, 4, GetParam());
  const CouplingGrads all = c.empty_grads();
  c.backward(all);
  CouplingGrads some = c.empty_grads();
  some.scale = some.offset = Tensor();
  c.backward(some);
  EXPECT_EQ(values_of(some.active), values_of(all.active));
  EXPECT_EQ(values_of(some.passive), values_of(all.passive));
  EXPECT_EQ(values_of(some.factors), values_of(all.factors));
  c.inverse_backward(c.forward().y, some);
  expect_near(some.active, all.active, 1e-13);
  some.passive = Tensor();
  c.backward(some);
  EXPECT_EQ(values_of(some.active), values_of(all.active));
}

TEST_P(Coupling, FactorSumsAreThoseOfTheFactorsGradient) {
  for (const DType subnet : {DType::f64, DType::f32, DType::bf16}) {
    const DType stream = subnet == DType::f64 ? subnet : DType::f32;
    const Case c = Case({2, 3, 5, 6}, 4, GetParam()).in(stream, subnet);
    for (const bool inverse : {false, true}) {
      CouplingGrads g = c.empty_grads();
      g.log_s = Tensor();
      g.factor_sums = tensor_with({6}, stream, {1, 2, 3, 4, 5, 6});
      const Tensor wanted = g.factor_sums.clone();
      if (inverse)
        cpu::coupling_inverse_backward(c.forward().y, c.grad_y, c.grad_log_det, c.a, kGains,
                                       c.shifted(), c.image(c.active.shape(), stream), g);
      else
        cpu::coupling_backward(c.active, c.passive, c.grad_y, c.grad_log_det, c.a, kGains,
                               c.shifted(), g);
      cpu::channel_sums(g.factors, wanted);
      EXPECT_EQ(values_of(g.factor_sums), values_of(wanted));
    }
  }
}

}  // namespace
}  // namespace pal::testing::coupling
