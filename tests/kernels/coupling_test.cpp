#include "kernels/coupling/coupling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/parallel.h"
#include "runtime/profiler.h"
#include "tests/kernels/coupling_case.h"
#include "tests/support/jacobian.h"

namespace pal::testing::coupling {
namespace {

INSTANTIATE_TEST_SUITE_P(Options, Coupling, ::testing::ValuesIn(all_coupling_options()),
                         [](const auto& each) {
                           const CouplingOptions& o = each.param;
                           return std::string(o.act_norm ? "actnorm_" : "") +
                                  (o.permuted ? "permuted_" : "") +
                                  (o.active_first ? "activefirst_" : "") +
                                  (o.gin ? "gin" : "affine");
                         });

TEST_P(Coupling, ForwardIsItsDefinition) {
  for (const Size& size : kSizes) {
    const Case c(size.a, size.passive, GetParam());
    const auto wanted = plain(c);
    for (const Case& each : {c, c.pitched()}) {
      const auto f = each.forward();
      expect_near(f.y, wanted.y, 1e-12, size.a.str());
      expect_near(f.log_det, wanted.log_det, 1e-11, size.a.str());
    }
    const Case single = c.in(DType::f32, DType::f32);
    const double largest = largest_magnitude(wanted.y);
    for (const Case& each : {single, single.pitched()}) {
      const auto f = each.forward();
      expect_near(f.y, wanted.y, 1e-6 * largest, size.a.str());
      // Partial sums of up to 512 float terms.
      expect_near(f.log_det, wanted.log_det, 1e-5 * std::sqrt(static_cast<double>(c.a.numel())),
                  size.a.str());
    }
  }
}

TEST_P(Coupling, Bf16FactorsOnAFloatStream) {
  const Case rounded = Case({3, 5, 7, 34}, 11, GetParam());
  rounded.a.copy_from(rounded.a.to(DType::bf16).to(DType::f64));
  const auto wanted = plain(rounded);
  const Case c = rounded.in(DType::f32, DType::bf16);
  const auto f = c.forward();
  expect_near(f.y, wanted.y, 1e-6 * largest_magnitude(wanted.y));
  expect_near(f.log_det, wanted.log_det, 1e-4);
  const CouplingGrads g = c.empty_grads();
  c.backward(g);
  const CouplingGrads exact = rounded.empty_grads();
  rounded.backward(exact);
  expect_near(g.active, exact.active, 2e-6 * largest_magnitude(exact.active), "active");
  expect_near(g.factors, exact.factors, largest_magnitude(exact.factors) / 128.0, "a");
}

TEST_P(Coupling, InverseUndoesForward) {
  for (const Size& size : kSizes)
    for (const DType dtype : {DType::f64, DType::f32}) {
      const Case dense = Case(size.a, size.passive, GetParam()).in(dtype, dtype);
      for (const Case& c : {dense, dense.pitched()}) {
        const auto f = c.forward();
        const double tolerance = (dtype == DType::f64 ? 1e-14 : 4e-6) * 10.0;
        if (c.passive.defined()) {
          const Tensor passive = c.image(c.passive.shape(), dtype);
          cpu::coupling_inverse_passive(f.y, c.output, passive);
          expect_near(passive, c.passive, tolerance, "passive " + size.a.str());
        }
        const Tensor active = c.image(c.active.shape(), dtype);
        cpu::coupling_inverse(f.y, c.a, kGains, c.shifted(), active, f.log_det);
        expect_near(active, c.active, tolerance, "active " + size.a.str());
        // The log-determinant of the way back takes away exactly what the way out added.
        expect_near(f.log_det, Tensor::zeros({c.a.size(0)}, DType::f64), 0.0, "log_det");
        cpu::coupling_inverse(f.y, c.a, kGains, c.shifted(), active, {});
        expect_near(active, c.active, tolerance, "without log_det");
      }
    }
}

TEST_P(Coupling, ThreadsDoNotChangeABit) {
  const Case c = Case({3, 23, 29, 34}, 17, GetParam()).in(DType::f32, DType::f32);
  const auto run = [&](int threads) {
    set_thread_count(threads);
    const auto f = c.forward();
    const CouplingGrads stored = c.empty_grads();
    c.backward(stored);
    const CouplingGrads inverted = c.empty_grads();
    const Tensor rebuilt = c.inverse_backward(f.y, inverted);
    std::vector<std::vector<double>> all = {values_of(f.y), values_of(f.log_det),
                                            values_of(rebuilt)};
    for (const CouplingGrads& g : {stored, inverted})
      for (const Tensor& t : {g.active, g.passive, g.factors, g.scale, g.offset, g.log_s})
        if (t.defined()) all.push_back(values_of(t));
    return all;
  };
  const auto one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(5), one);
  set_thread_count(2);
}

TEST_P(Coupling, LogDetIsThatOfTheJacobian) {
  // The factors do not depend on the coupling's own inputs here, as in the network, where they
  // depend on the passive half alone: the Jacobian is triangular.
  const Case c({1, 2, 3, 4}, 3, GetParam());
  const auto map = [&](const Tensor& batch) {
    const int64_t n = batch.size(0);
    Case many = c;
    many.active = batch.slice_channels(0, 2);
    many.passive = batch.slice_channels(2, 3);
    many.a = Tensor::empty({n, 2, 3, 4}, DType::f64);
    for (int64_t i = 0; i < n; ++i) many.a.slice_batch(i, 1).copy_from(c.a);
    many.y_shape = {n, 2, 3, 5};
    return many.forward().y;
  };
  const Tensor x = Tensor::empty({1, 2, 3, 5}, DType::f64);
  x.slice_channels(0, 2).copy_from(c.active);
  x.slice_channels(2, 3).copy_from(c.passive);
  double wanted = value_at(c.forward().log_det, 0);
  if (c.options.act_norm)
    for (int64_t i = 0; i < 5; ++i) wanted += 6.0 * std::log(value_at(c.output.scale, i));
  EXPECT_NEAR(numeric_log_det(x, map), wanted, 1e-9);
  EXPECT_TRUE(!c.options.gin || std::abs(value_at(c.forward().log_det, 0)) < 1e-13);
}

TEST(CouplingKernels, HandValues) {
  // s = 0: the identity but for t; then act norm and a swap of the two channels.
  const Tensor active = tensor_with({1, 1, 1, 1}, DType::f32, {3});
  const Tensor passive = tensor_with({1, 1, 1, 1}, DType::f32, {5});
  const Tensor a = tensor_with({1, 1, 1, 2}, DType::f32, {0, 2});
  OutputMap output;
  output.scale = tensor_with({2}, DType::f32, {2, 4});
  output.offset = tensor_with({2}, DType::f32, {0.5, -1});
  output.index = output.inverse_index = index_tensor({1, 0});
  const Tensor y = Tensor::empty({1, 1, 1, 2});
  const Tensor log_det = tensor_with({1}, DType::f64, {10});
  const CouplingGains gains{0.7, 0.1, 0.5};
  cpu::coupling_forward(active, passive, a, gains, output, y, log_det);
  // v = (passive, active) = (5, 3 + 0.5 * 2); scaled (10.5, 15); swapped.
  EXPECT_EQ(values_of(y), (std::vector<double>{15, 10.5}));
  EXPECT_EQ(value_at(log_det, 0), 10.0);
  // A large s saturates at the clamp.
  set_value(a, 0, 1e6);
  cpu::coupling_forward(active, passive, a, gains, {}, y, log_det);
  EXPECT_NEAR(value_at(log_det, 0), 10.7, 1e-6);
  EXPECT_NEAR(value_at(y, 1), 3 * std::exp(0.7) + 1, 1e-5);
}

TEST(CouplingKernels, ANanInTheFactorsIsSeen) {
  const Case c =
      Case({1, 3, 3, 4}, 2, {.act_norm = true, .permuted = true}).in(DType::f32, DType::f32);
  set_value(c.a, 9, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(value_at(c.forward().log_det, 0)));
}

TEST(CouplingKernels, TheInverseOfAPermutedCouplingReadsYTwice) {
  // Per active channel and its passive partner, floats of 4 bytes and two factors of 2.
  const auto bytes_of_a_pair = [](bool permuted) {
    const Case c = Case({2, 4, 4, 12}, 6, {.permuted = permuted}).in(DType::f32, DType::bf16);
    const auto f = c.forward();
    Profiler::reset();
    Profiler::enable();
    cpu::coupling_inverse_passive(f.y, c.output, Tensor::empty(c.passive.shape()));
    cpu::coupling_inverse(f.y, c.a, kGains, c.output, Tensor::empty(c.active.shape()), {});
    Profiler::disable();
    int64_t bytes = 0;
    for (const KernelTotal& total : Profiler::totals()) bytes += total.bytes;
    Profiler::reset();
    return bytes / c.active.numel();
  };
  EXPECT_EQ(bytes_of_a_pair(false), 4 * 4 + 2 * 2);
  EXPECT_EQ(bytes_of_a_pair(true), 6 * 4 + 2 * 2);
}

TEST(CouplingKernels, RefuseWhatDoesNotFit) {
  const Case c({2, 3, 5, 6}, 4, {.act_norm = true, .permuted = true});
  const Tensor log_det = Tensor::zeros({2}, DType::f64);
  const Tensor y = Tensor::empty(c.y_shape, DType::f64);
  const auto forward = [&](const Tensor& active, const Tensor& passive, const Tensor& a,
                           const OutputMap& output, const Tensor& to, const Tensor& sum) {
    cpu::coupling_forward(active, passive, a, kGains, output, to, sum);
  };
  const auto zeros = [](const Shape& shape) { return Tensor::zeros(shape, DType::f64); };
  expect_error(ErrorKind::usage, "coupling_forward: expected a [n > 0, h, w, 2 c]", [&] {
    forward(zeros({0, 3, 5, 3}), zeros({0, 3, 5, 4}), zeros({0, 3, 5, 6}), {}, zeros({0, 3, 5, 7}),
            zeros({0}));
  });
  expect_error(ErrorKind::usage, "2 c]", [&] {
    forward(c.active, c.passive, zeros({2, 3, 5, 5}), {}, y, log_det);
  });
  expect_error(ErrorKind::usage, "active half [2, 3, 5, 2]",
               [&] { forward(c.active.slice_channels(0, 2), c.passive, c.a, {}, y, log_det); });
  expect_error(ErrorKind::usage, "passive half [2, 3, 5, 3]",
               [&] { forward(c.active, c.passive.slice_channels(0, 3), c.a, {}, y, log_det); });
  expect_error(ErrorKind::usage, "expected f64, got nothing",
               [&] { forward(c.active, {}, c.a, {}, y, log_det); });
  expect_error(ErrorKind::usage, "expected f64, got nothing",
               [&] { forward({}, c.passive, c.a, {}, y, log_det); });
  expect_error(ErrorKind::usage, "does not fit a", [&] {
    forward(c.active, c.passive, c.a, {}, zeros({2, 3, 4, 7}), log_det);
  });
  OutputMap wrong = c.output;
  wrong.scale = zeros({6});
  expect_error(ErrorKind::usage, "scale and offset of 7 channels",
               [&] { forward(c.active, c.passive, c.a, wrong, y, log_det); });
  wrong = c.output;
  wrong.index = index_tensor({0, 1, 2});
  expect_error(ErrorKind::usage, "index and inverse index of 7 channels",
               [&] { forward(c.active, c.passive, c.a, wrong, y, log_det); });
  expect_error(ErrorKind::usage, "log_det of shape [2], got [1]",
               [&] { forward(c.active, c.passive, c.a, {}, y, zeros({1})); });
  expect_error(ErrorKind::usage, "no kernel for a stream of f64 and a subnet output of f32",
               [&] { forward(c.active, c.passive, c.a.to(DType::f32), {}, y, log_det); });
  CouplingGrads grads = c.empty_grads();
  grads.factors = zeros({2, 3, 5, 4});
  expect_error(ErrorKind::usage, "grad_a of shape", [&] { c.backward(grads); });
  grads = c.empty_grads();
  grads.active = zeros({2, 3, 5, 2});
  expect_error(ErrorKind::usage, "grad_active of shape", [&] { c.backward(grads); });
  grads = c.empty_grads();
  grads.factor_sums = zeros({3});
  expect_error(ErrorKind::usage, "factor_sums of shape [6], got [3]", [&] { c.backward(grads); });
  grads = c.empty_grads();
  grads.scale = zeros({5});
  expect_error(ErrorKind::usage, "grad_scale of shape", [&] { c.backward(grads); });
}

}  // namespace
}  // namespace pal::testing::coupling
