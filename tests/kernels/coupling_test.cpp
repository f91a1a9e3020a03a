#include "kernels/coupling/coupling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/gradient_check.h"
#include "kernels/library/planned.h"
#include "kernels/mixing/permutation.h"
#include "runtime/parallel.h"
#include "tests/support/jacobian.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::largest_magnitude;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::set_value;
using testing::tensor_with;
using testing::value_at;
using testing::values_of;

const CouplingGains kGains{0.7, 0.2, 1.0};

struct Options {
  bool act_norm = false;
  bool permutation = false;
  bool active_first = false;
  bool gin = false;
};

Tensor index_tensor(const std::vector<int32_t>& index) {
  return tensor_with({static_cast<int64_t>(index.size())}, DType::i32,
                     std::vector<double>(index.begin(), index.end()));
}

/// Operands of one coupling, in double: a [n, h, w, 2 ca].
struct Case {
  Case(const Shape& a_shape, int64_t passive_channels, const Options& o) : options(o) {
    const int64_t half = a_shape.last() / 2;
    const int64_t channels = half + passive_channels;
    active = random_tensor(a_shape.with_last(half), DType::f64, 1);
    if (passive_channels > 0)
      passive = random_tensor(a_shape.with_last(passive_channels), DType::f64, 2);
    a = random_tensor(a_shape, DType::f64, 3, 2.0);
    y_shape = a_shape.with_last(channels);
    grad_y = random_tensor(y_shape, DType::f64, 4);
    grad_log_det = random_tensor({a_shape[0]}, DType::f64, 5);
    output.active_first = o.active_first;
    if (o.act_norm) {
      output.scale = random_tensor({channels}, DType::f64, 6, 0.2);
      for (int64_t c = 0; c < channels; ++c)
        set_value(output.scale, c, 0.8 + value_at(output.scale, c));
      output.offset = random_tensor({channels}, DType::f64, 7);
    }
    if (o.permutation) {
      const auto index = random_permutation(channels, Philox(8, RandomPurpose::test));
      output.index = index_tensor(index);
      output.inverse_index = index_tensor(invert_permutation(index));
    }
  }

  int64_t channels() const { return y_shape.last(); }

  /// The same case in another dtype of the stream and of a.
  Case in(DType stream, DType subnet) const {
    Case c = *this;
    c.active = active.to(stream);
    if (passive.defined()) c.passive = passive.to(stream);
    c.a = a.to(subnet);
    c.grad_y = grad_y.to(stream);
    if (output.scale.defined()) {
      c.output.scale = output.scale.to(stream);
      c.output.offset = output.offset.to(stream);
    }
    return c;
  }
  /// The same case with every image a channel slice of a wider one.
  Case pitched() const {
    Case c = *this;
    c.active = pitched_copy(active);
    if (passive.defined()) c.passive = pitched_copy(passive);
    c.a = pitched_copy(a);
    c.grad_y = pitched_copy(grad_y);
    c.slices = true;
    return c;
  }

  Tensor image(const Shape& shape, DType dtype) const {
    return slices ? pitched_tensor(shape, dtype) : Tensor::empty(shape, dtype);
  }
  CouplingOutput shifted() const {
    CouplingOutput result = output;
    if (!options.gin) return result;
    result.log_s_shift = Tensor::empty({a.size(0)}, DType::f64);
    cpu::coupling_mean_log_s(a, kGains, result.log_s_shift);
    return result;
  }

  struct Forward {
    Tensor y, log_det;
  };
  Forward forward() const {
    const Forward f = {image(y_shape, active.dtype()), Tensor::zeros({a.size(0)}, DType::f64)};
    cpu::coupling_forward(active, passive, a, kGains, shifted(), f.y, f.log_det);
    return f;
  }

  CouplingGrads empty_grads() const {
    CouplingGrads g;
    g.active = image(active.shape(), active.dtype());
    if (passive.defined()) g.passive = image(passive.shape(), active.dtype());
    g.a = image(a.shape(), a.dtype());
    if (output.scale.defined()) {
      g.scale = Tensor::zeros({channels()}, DType::f64);
      g.offset = Tensor::zeros({channels()}, DType::f64);
    }
    if (options.gin) g.log_s = Tensor::empty({a.size(0)}, DType::f64);
    return g;
  }
  void finish(const CouplingGrads& g) const {
    if (options.gin) cpu::coupling_mean_log_s_backward(a, kGains, g.log_s, g.a);
  }
  void backward(const CouplingGrads& g) const {
    cpu::coupling_backward(active, passive, grad_y, grad_log_det, a, kGains, shifted(), g);
    finish(g);
  }
  /// Returns the rebuilt active half.
  Tensor inverse_backward(const Tensor& y, const CouplingGrads& g) const {
    const Tensor rebuilt = image(active.shape(), active.dtype());
    cpu::coupling_inverse_backward(y, grad_y, grad_log_det, a, kGains, shifted(), rebuilt, g);
    finish(g);
    return rebuilt;
  }

  Options options;
  bool slices = false;
  Tensor active, passive, a, grad_y, grad_log_det;
  CouplingOutput output;
  Shape y_shape;
};

/// The coupling from its definition, one value at a time.
Case::Forward plain(const Case& c) {
  const Case::Forward f = {Tensor::empty(c.y_shape, DType::f64),
                           Tensor::zeros({c.a.size(0)}, DType::f64)};
  const int64_t half = c.a.channels() / 2;
  const int64_t kept = c.channels() - half;
  const int64_t pixels = c.a.rows() / c.a.size(0);
  for (int64_t n = 0; n < c.a.size(0); ++n) {
    const auto log_s_at = [&](int64_t p, int64_t i) {
      return kGains.clamp *
             std::tanh(kGains.s_gain * value_at(c.a, (n * pixels + p) * 2 * half + i));
    };
    double mean = 0.0;
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t i = 0; i < half; ++i)
        mean += log_s_at(p, i) / static_cast<double>(pixels * half);
    if (!c.options.gin) mean = 0.0;
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t row = n * pixels + p;
      std::vector<double> changed, v;
      for (int64_t i = 0; i < half; ++i) {
        const double log_s = log_s_at(p, i) - mean;
        set_value(f.log_det, n, value_at(f.log_det, n) + log_s);
        changed.push_back(value_at(c.active, row * half + i) * std::exp(log_s) +
                          kGains.t_gain * value_at(c.a, row * 2 * half + half + i));
      }
      for (int64_t i = 0; i < kept; ++i) v.push_back(value_at(c.passive, row * kept + i));
      v.insert(c.options.active_first ? v.begin() : v.end(), changed.begin(), changed.end());
      for (int64_t i = 0; i < c.channels(); ++i) {
        const int64_t from =
            c.options.permutation ? static_cast<int64_t>(value_at(c.output.index, i)) : i;
        double value = v[static_cast<size_t>(from)];
        if (c.options.act_norm)
          value = value * value_at(c.output.scale, from) + value_at(c.output.offset, from);
        set_value(f.y, row * c.channels() + i, value);
      }
    }
  }
  return f;
}

struct Size {
  Shape a;
  int64_t passive;
};
// One pixel, primes, no passive half, more pixels than a chunk, more channels than a tile.
const Size kSizes[] = {{{1, 1, 1, 2}, 1},    {{2, 3, 5, 2}, 0},    {{3, 5, 7, 6}, 4},
                       {{2, 1, 13, 34}, 17}, {{2, 17, 19, 10}, 7}, {{1, 3, 3, 600}, 301}};

class Coupling : public ::testing::TestWithParam<int> {
 protected:
  Options options() const {
    const int bits = GetParam();
    return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
  }
};
INSTANTIATE_TEST_SUITE_P(Options, Coupling, ::testing::Range(0, 16), [](const auto& each) {
  const int bits = each.param;
  return std::string(bits & 1 ? "actnorm_" : "") + (bits & 2 ? "permuted_" : "") +
         (bits & 4 ? "activefirst_" : "") + (bits & 8 ? "gin" : "affine");
});

TEST_P(Coupling, ForwardIsItsDefinition) {
  for (const Size& size : kSizes) {
    const Case c(size.a, size.passive, options());
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
  const Case rounded = Case({3, 5, 7, 34}, 11, options());
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
  expect_near(g.a, exact.a, largest_magnitude(exact.a) / 128.0, "a");
}

TEST_P(Coupling, InverseUndoesForward) {
  for (const Size& size : kSizes)
    for (const DType dtype : {DType::f64, DType::f32}) {
      const Case dense = Case(size.a, size.passive, options()).in(dtype, dtype);
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

TEST_P(Coupling, GradientsAgreeWithFiniteDifferences) {
  for (const Size& size : {kSizes[0], kSizes[1], Size{{2, 2, 3, 6}, 4}, Size{{1, 13, 11, 2}, 2}}) {
    const Case dense(size.a, size.passive, options());
    for (const Case& c : {dense, dense.pitched()}) {
      const auto loss = [&] {
        const auto f = c.forward();
        return testing::inner(f.y, c.grad_y) + testing::inner(f.log_det, c.grad_log_det);
      };
      const CouplingGrads g = c.empty_grads();
      std::vector<CheckedTensor> checked = {{"active", c.active, g.active}, {"a", c.a, g.a}};
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
  compare(a.a, b.a, "a");
  compare(a.scale, b.scale, "scale");
  compare(a.offset, b.offset, "offset");
  compare(a.log_s, b.log_s, "log_s");
}

TEST_P(Coupling, InversionGivesTheStoredGradientsAndInputs) {
  for (const Size& size : kSizes) {
    const Case exact(size.a, size.passive, options());
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
  const Case c({2, 3, 5, 6}, 4, options());
  const CouplingGrads all = c.empty_grads();
  c.backward(all);
  CouplingGrads some = c.empty_grads();
  some.scale = some.offset = Tensor();
  c.backward(some);
  EXPECT_EQ(values_of(some.active), values_of(all.active));
  EXPECT_EQ(values_of(some.passive), values_of(all.passive));
  EXPECT_EQ(values_of(some.a), values_of(all.a));
  c.inverse_backward(c.forward().y, some);
  expect_near(some.active, all.active, 1e-13);
  some.passive = Tensor();
  c.backward(some);
  EXPECT_EQ(values_of(some.active), values_of(all.active));
}

TEST_P(Coupling, ThreadsDoNotChangeABit) {
  const Case c = Case({3, 23, 29, 34}, 17, options()).in(DType::f32, DType::f32);
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
      for (const Tensor& t : {g.active, g.passive, g.a, g.scale, g.offset, g.log_s})
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
  const Case c({1, 2, 3, 4}, 3, options());
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
  EXPECT_NEAR(testing::numeric_log_det(x, map), wanted, 1e-9);
  EXPECT_TRUE(!c.options.gin || std::abs(value_at(c.forward().log_det, 0)) < 1e-13);
}

TEST(CouplingKernels, HandValues) {
  // s = 0: the identity but for t; then act norm and a swap of the two channels.
  const Tensor active = tensor_with({1, 1, 1, 1}, DType::f32, {3});
  const Tensor passive = tensor_with({1, 1, 1, 1}, DType::f32, {5});
  const Tensor a = tensor_with({1, 1, 1, 2}, DType::f32, {0, 2});
  CouplingOutput output;
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
  const Case c = Case({1, 3, 3, 4}, 2, {true, true, false, false}).in(DType::f32, DType::f32);
  set_value(c.a, 9, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(value_at(c.forward().log_det, 0)));
}

TEST(CouplingKernels, RefuseWhatDoesNotFit) {
  const Case c({2, 3, 5, 6}, 4, {true, true, false, false});
  const Tensor log_det = Tensor::zeros({2}, DType::f64);
  const Tensor y = Tensor::empty(c.y_shape, DType::f64);
  const auto forward = [&](const Tensor& active, const Tensor& passive, const Tensor& a,
                           const CouplingOutput& output, const Tensor& to, const Tensor& sum) {
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
  CouplingOutput wrong = c.output;
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
  grads.a = zeros({2, 3, 5, 4});
  expect_error(ErrorKind::usage, "grad_a of shape", [&] { c.backward(grads); });
  grads = c.empty_grads();
  grads.active = zeros({2, 3, 5, 2});
  expect_error(ErrorKind::usage, "grad_active of shape", [&] { c.backward(grads); });
  grads = c.empty_grads();
  grads.scale = zeros({5});
  expect_error(ErrorKind::usage, "grad_scale of shape", [&] { c.backward(grads); });
}

}  // namespace
}  // namespace pal
