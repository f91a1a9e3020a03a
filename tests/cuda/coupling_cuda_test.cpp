#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/coupling/coupling.h"
#include "kernels/mixing/permutation.h"
#include "runtime/philox.h"
#include "tests/cuda/parity.h"
#include "tests/support/coupling_options.h"
#include "tests/support/numeric.h"

namespace pal::test {
namespace {

using testing::CouplingOptions;
using testing::expect_error;

const CouplingGains kGains{0.7, 0.2, 0.5};
/// Lies around tensors that are channel slices.
constexpr double kAround = 77.0;

/// A coupling and the dtype of its subnet's output.
struct Variant {
  CouplingOptions options;
  DType subnet = DType::f32;

  std::string text() const {
    return std::string(options.act_norm ? " act_norm" : "") +
           (options.permuted ? " permuted" : "") + (options.active_first ? " active_first" : "") +
           (options.gin ? " gin" : "") + " " + name_of(subnet);
  }
};

/// All options with either dtype.
std::vector<Variant> all_variants() {
  std::vector<Variant> all;
  for (const DType subnet : {DType::f32, DType::bf16})
    for (const CouplingOptions& options : testing::all_coupling_options())
      all.push_back({options, subnet});
  return all;
}

/// The usual: an act norm and a permutation behind it.
constexpr CouplingOptions kMapped{.act_norm = true, .permuted = true};
constexpr CouplingOptions kMappedFirst{.act_norm = true, .permuted = true, .active_first = true};
constexpr CouplingOptions kMappedGin{.act_norm = true, .permuted = true, .gin = true};

/// Rounding in another order, through an inverse that magnifies it by up to 2.5.
double tolerance(DType dtype) { return dtype == DType::bf16 ? 1e-2 : 2e-5; }

struct Named {
  std::string name;
  Tensor tensor;
  double tolerance;
};

Tensor index_tensor(const std::vector<int32_t>& index) {
  const Tensor t =
      Tensor::empty({static_cast<int64_t>(index.size())}, DType::i32, Tag::data, Device());
  std::copy(index.begin(), index.end(), t.data<int32_t>());
  return t;
}

/// Operands of one coupling on one device.
class Case {
 public:
  Case(const Shape& half, int64_t passive_channels, const Variant& v) : options(v.options) {
    const int64_t channels = half.last() + passive_channels;
    const Shape n = {half[0]};
    active = random_tensor(half, DType::f32, 1);
    if (passive_channels > 0)
      passive = random_tensor(half.with_last(passive_channels), DType::f32, 2);
    a = random_tensor(half.with_last(2 * half.last()), v.subnet, 3, 2.0);
    grad_y = random_tensor(half.with_last(channels), DType::f32, 4);
    grad_log_det = random_tensor(n, DType::f64, 5);
    grad_a = random_tensor(a.shape(), v.subnet, 6);
    output.active_first = options.active_first;
    if (options.act_norm) {
      output.scale = random_tensor({channels}, DType::f32, 7, 0.1);
      for (int64_t c = 0; c < channels; ++c) output.scale.data<float>()[c] += 1.0F;
      output.offset = random_tensor({channels}, DType::f32, 8);
      output.log_scale_sum = random_tensor({1}, DType::f64, 11);
    }
    if (options.permuted) {
      const auto index = random_permutation(channels, Philox(9, RandomPurpose::test));
      output.index = index_tensor(index);
      output.inverse_index = index_tensor(invert_permutation(index));
    }
    if (options.gin) output.log_s_shift = random_tensor(n, DType::f64, 10, 0.1);
    y = Tensor::empty(grad_y.shape(), DType::f32, Tag::data, Device());
    cpu::coupling_forward(active, passive, a, kGains, output, y, zeros(n));
  }

  /// The same operands on the GPU; as channel slices with `before` channels in front and `behind`
  /// after them if there are any.
  Case on_gpu(int64_t before = 0, int64_t behind = 0) const {
    Case c = *this;
    c.device = gpu();
    c.begin = before;
    c.after = behind;
    for (Tensor* t : {&c.active, &c.passive, &c.a, &c.grad_y, &c.grad_a, &c.y})
      if (t->defined()) *t = before + behind > 0 ? gpu_slice(*t, before, behind) : test::on_gpu(*t);
    for (Tensor* t : {&c.grad_log_det, &c.output.scale, &c.output.offset, &c.output.log_scale_sum,
                      &c.output.index, &c.output.inverse_index, &c.output.log_s_shift})
      if (t->defined()) *t = test::on_gpu(*t);
    return c;
  }

  Tensor zeros(const Shape& shape) const {
    return Tensor::zeros(shape, DType::f64, Tag::data, device);
  }
  Tensor image(const Shape& shape, DType dtype = DType::f32) const {
    const Tensor wide =
        Tensor::empty(shape.with_last(begin + shape.last() + after), dtype, Tag::data, device);
    wide.fill(kAround);
    images.push_back(wide);
    return wide.slice_channels(begin, shape.last());
  }

  CouplingGrads empty_grads() const {
    CouplingGrads g;
    if (passive.defined()) {
      // The halves of one image, as in the layers.
      const Tensor x = image(y.shape());
      const bool first = options.active_first;
      g.active = x.slice_channels(first ? 0 : passive.channels(), active.channels());
      g.passive = x.slice_channels(first ? active.channels() : 0, passive.channels());
    } else {
      g.active = image(active.shape());
    }
    g.factors = image(a.shape(), a.dtype());
    if (options.act_norm) {
      g.scale = zeros({y.channels()});
      g.offset = zeros({y.channels()});
      // Added to.
      g.scale.fill(2.0);
    }
    if (options.gin) g.log_s = image({1, 1, 1, a.size(0)}, DType::f64).reshape({a.size(0)});
    g.factor_sums = Tensor::zeros({a.channels()}, DType::f32, Tag::data, device);
    g.factor_sums.fill(3.0);
    return g;
  }

  /// All results of all functions; each is computed from the operands alone.
  std::vector<Named> results() const {
    images.clear();
    const int64_t n = a.size(0);
    std::vector<Named> r;
    const auto keep = [&](const std::string& name, const Tensor& tensor) {
      if (tensor.defined()) r.push_back({name, tensor, tolerance(tensor.dtype())});
      return tensor;
    };
    const auto keep_grads = [&](const std::string& name, const CouplingGrads& g) {
      keep(name + " grad active", g.active);
      keep(name + " grad passive", g.passive);
      keep(name + " grad a", g.factors);
      keep(name + " grad scale", g.scale);
      keep(name + " grad offset", g.offset);
      keep(name + " grad log_s", g.log_s);
      // The CPU sums gradients that are rounded to a's dtype.
      keep(name + " factor sums", g.factor_sums);
      r.back().tolerance = tolerance(a.dtype());
    };
    const Tensor log_det = keep("log_det", zeros({n}));
    log_det.fill(3.0);
    const Tensor out = keep("y", image(y.shape()));
    PAL_BACKEND(a, coupling_forward(active, passive, a, kGains, output, out, log_det));

    if (passive.defined()) {
      const Tensor kept = keep("passive", image(passive.shape()));
      PAL_BACKEND(a, coupling_inverse_passive(y, output, kept));
    }
    const Tensor log_det_back = keep("log_det of the inverse", zeros({n}));
    const Tensor rebuilt = keep("active", image(active.shape()));
    PAL_BACKEND(a, coupling_inverse(y, a, kGains, output, rebuilt, log_det_back));
    const Tensor again = keep("active, no log_det", image(active.shape()));
    PAL_BACKEND(a, coupling_inverse(y, a, kGains, output, again, {}));

    const CouplingGrads inverted = empty_grads();
    const Tensor beside = keep("active by the backward", image(active.shape()));
    PAL_BACKEND(
        a, coupling_inverse_backward(y, grad_y, grad_log_det, a, kGains, output, beside, inverted));
    keep_grads("inverse", inverted);
    const CouplingGrads stored = empty_grads();
    PAL_BACKEND(
        a, coupling_backward(active, passive, grad_y, grad_log_det, a, kGains, output, stored));
    keep_grads("stored", stored);

    const Tensor mean = keep("mean", zeros({n}));
    mean.fill(5.0);
    PAL_BACKEND(a, coupling_mean_log_s(a, kGains, mean));
    const Tensor updated = keep("grad a of the mean", image(a.shape(), a.dtype()));
    updated.copy_from(grad_a);
    PAL_BACKEND(a, coupling_mean_log_s_backward(a, kGains, grad_log_det, updated));
    return r;
  }

  /// Nothing was written beside the images of the last results.
  void expect_clean_surroundings() const {
    if (begin + after == 0) return;
    for (const Tensor& wide : images) {
      const Tensor all = on_cpu(wide);
      const int64_t width = all.channels();
      for (int64_t i = 0; i < all.numel(); ++i) {
        if (i % width >= begin && i % width < width - after) continue;
        ASSERT_EQ(testing::value_at(all, i), kAround) << all.shape().str();
      }
    }
  }

  CouplingOptions options;
  Device device;
  int64_t begin = 0;
  int64_t after = 0;
  Tensor active, passive, a, grad_y, grad_log_det, grad_a, y;
  OutputMap output;
  mutable std::vector<Tensor> images;
};

void expect_parity(const std::vector<Named>& wanted, const std::vector<Named>& found,
                   const std::string& what) {
  ASSERT_EQ(wanted.size(), found.size()) << what;
  for (size_t i = 0; i < wanted.size(); ++i)
    expect_close(wanted[i].tensor, found[i].tensor, wanted[i].tolerance,
                 what + ", " + wanted[i].name);
}

struct Size {
  Shape half;  ///< the active half's
  int64_t passive;
  std::string text() const { return half.str() + " + " + std::to_string(passive); }
};

void expect_parity(const Size& size, const Variant& v) {
  const Case c(size.half, size.passive, v);
  const Case g = c.on_gpu();
  expect_parity(c.results(), g.results(), size.text() + v.text());
}

class CouplingCudaOptions : public ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(All, CouplingCudaOptions, ::testing::ValuesIn(all_variants()));

TEST_P(CouplingCudaOptions, AllResultsAreThoseOfTheCpu) {
  // No vectors, pairs (more pixels than a tile), fours, a short last tile.
  for (const Size& size : {Size{{2, 3, 5, 7}, 6}, Size{{1, 10, 18, 6}, 6}, Size{{3, 3, 5, 36}, 36}})
    expect_parity(size, GetParam());
}

TEST(CouplingCuda, ShapesOfAllKinds) {
  // One value, one channel, no passive half, one pixel, rows longer than a block.
  const Size sizes[] = {{{1, 1, 1, 1}, 1},    {{3, 2, 3, 1}, 0},  {{3, 5, 7, 12}, 0},
                        {{5, 1, 1, 8}, 8},    {{2, 1, 3, 2}, 10}, {{1, 2, 3, 130}, 131},
                        {{1, 1, 2, 600}, 600}};
  // Each with the usual options and three others: every fifth, round all of them.
  const auto all = all_variants();
  size_t next = 0;
  for (const Size& size : sizes)
    for (int i = 0; i < 4; ++i, next += 5)
      expect_parity(size, i == 0 ? Variant{kMapped} : all[next % all.size()]);
}

TEST(CouplingCuda, ChannelSlicesOfAnyPitch) {
  const int begins[] = {1, 3, 4, 2, 1};
  const int afters[] = {2, 0, 8, 4, 3};
  for (int i = 0; i < 5; ++i)
    for (const Variant& v : {Variant{}, Variant{kMapped}, Variant{kMappedFirst, DType::bf16},
                             Variant{{.act_norm = true, .gin = true}}}) {
      const Case c({2, 3, 5, 8}, 8, v);
      const Case g = c.on_gpu(begins[i], afters[i]);
      expect_parity(c.results(), g.results(), "slice " + std::to_string(i) + v.text());
      g.expect_clean_surroundings();
    }
}

TEST(CouplingCuda, RowsTooLongForSharedMemory) {
  // The backward passes' operands and sums do not fit; then the rows alone; then not even the sums.
  for (const Size& size :
       {Size{{2, 1, 1, 2100}, 2100}, Size{{1, 1, 2, 3500}, 3501}, Size{{1, 1, 2, 6200}, 6100}})
    for (const Variant& v : {Variant{kMapped}, Variant{{.permuted = true}, DType::bf16}})
      expect_parity(size, v);
}

TEST(CouplingCuda, GroupsOfTiles) {
  // So many tiles that the sums of channels are kept over three of them, over the last two.
  expect_parity({{1541, 1, 1, 1}, 1}, {kMappedGin});
}

TEST(CouplingCuda, SchedulesDoNotChangeABit) {
  for (const Size& size : {Size{{3, 7, 11, 30}, 31}, Size{{3, 10, 18, 6}, 6}})
    for (const Variant& v :
         {Variant{kMappedGin}, Variant{{.act_norm = true, .active_first = true}, DType::bf16}}) {
      const Case g = Case(size.half, size.passive, v).on_gpu();
      run_schedules([&] {
        std::vector<Tensor> tensors;
        for (const Named& each : g.results()) tensors.push_back(each.tensor);
        return tensors;
      });
    }
}

TEST(CouplingCuda, TheInverseUndoesTheForward) {
  for (const CouplingOptions& options : {CouplingOptions{}, kMapped, kMappedFirst, kMappedGin}) {
    Case g = Case({2, 5, 7, 12}, 12, {options}).on_gpu();
    g.output.log_scale_sum = {};  // which the inverse leaves to its caller
    const Tensor log_det = g.zeros({2});
    const Tensor y = g.image(g.y.shape());
    cuda::coupling_forward(g.active, g.passive, g.a, kGains, g.output, y, log_det);
    const Tensor x = g.image(y.shape());
    const Tensor passive = x.slice_channels(0, 12);
    const Tensor active = x.slice_channels(12, 12);
    cuda::coupling_inverse_passive(y, g.output, passive);
    cuda::coupling_inverse(y, g.a, kGains, g.output, active, log_det);
    expect_close(g.passive, passive, 4e-5, "passive");
    expect_close(g.active, active, 4e-5, "active");
    // The same floats in the same order.
    expect_close(g.zeros({2}), log_det, 1e-12, "log_det");

    const CouplingGrads stored = g.empty_grads();
    cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                            stored);
    const CouplingGrads inverted = g.empty_grads();
    cuda::coupling_inverse_backward(y, g.grad_y, g.grad_log_det, g.a, kGains, g.output, active,
                                    inverted);
    expect_close(g.active, active, 4e-5, "active by the backward");
    expect_close(stored.active, inverted.active, 2e-5, "grad active");
    expect_close(stored.passive, inverted.passive, 2e-5, "grad passive");
    expect_close(stored.factors, inverted.factors, 2e-5, "grad a");
    expect_close(stored.factor_sums, inverted.factor_sums, 2e-5, "factor sums");
    if (g.options.act_norm) {
      expect_close(stored.scale, inverted.scale, 2e-5, "grad scale");
      expect_close(stored.offset, inverted.offset, 2e-5, "grad offset");
    }
  }
}

TEST(CouplingCuda, GradientsThatAreNotWanted) {
  const Case g = Case({2, 3, 5, 8}, 8, {kMapped}).on_gpu();
  const CouplingGrads all = g.empty_grads();
  cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                          all);
  CouplingGrads some = g.empty_grads();
  some.scale = some.offset = Tensor();
  cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                          some);
  expect_same(all.active, some.active, "active without sums");
  expect_same(all.passive, some.passive, "passive without sums");
  expect_same(all.factors, some.factors, "a without sums");
  expect_same(all.factor_sums, some.factor_sums, "factor sums without act norm's");
  some = g.empty_grads();
  some.factor_sums = Tensor();
  cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                          some);
  expect_same(all.active, some.active, "active without factor sums");
  expect_same(all.factors, some.factors, "a without factor sums");
  expect_same(all.scale, some.scale, "scale without factor sums");
  expect_same(all.offset, some.offset, "offset without factor sums");
  some = g.empty_grads();
  some.passive = Tensor();
  cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                          some);
  expect_same(all.active, some.active, "active without passive");
  expect_same(all.scale, some.scale, "scale without passive");
  expect_same(all.offset, some.offset, "offset without passive");
}

TEST(CouplingCuda, TheInverseNeedsNoSums) {
  const Case g = Case({2, 3, 5, 8}, 8, {kMapped}).on_gpu();
  const Tensor rebuilt = g.image(g.active.shape());
  const auto invert = [&](const CouplingGrads& grads) {
    cuda::coupling_inverse_backward(g.y, g.grad_y, g.grad_log_det, g.a, kGains, g.output, rebuilt,
                                    grads);
    return rebuilt.clone();
  };
  const CouplingGrads all = g.empty_grads();
  const Tensor wanted = invert(all);
  CouplingGrads some = g.empty_grads();
  some.scale = some.offset = some.factor_sums = Tensor();
  expect_same(wanted, invert(some), "rebuilt");
  expect_same(all.active, some.active, "active");
  expect_same(all.passive, some.passive, "passive");
  expect_same(all.factors, some.factors, "a");
}

TEST(CouplingCuda, ANanInTheFactorsIsSeen) {
  const Case c({1, 3, 3, 2}, 2, {kMapped});
  c.a.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const Case g = c.on_gpu();
  expect_parity(c.results(), g.results(), "NaN");
}

TEST(CouplingCuda, WrongArgumentsAreRefused) {
  const Case g = Case({2, 3, 5, 4}, 3, {kMapped}).on_gpu();
  const Tensor log_det = g.zeros({2});
  const auto forward = [&](const Tensor& a, const Tensor& y, const Tensor& sums) {
    cuda::coupling_forward(g.active, g.passive, a, kGains, g.output, y, sums);
  };
  expect_error(ErrorKind::usage, "does not fit a", [&] {
    forward(g.a, g.image({2, 3, 4, 7}), log_det);
  });
  expect_error(ErrorKind::usage, "log_det of shape [2], got [1]",
               [&] { forward(g.a, g.y, g.zeros({1})); });
  expect_error(ErrorKind::usage, "coupling_forward: f64 streams are for the CPU backend",
               [&] { forward(g.a, g.image(g.y.shape(), DType::f64), log_det); });
  expect_error(ErrorKind::usage, "no kernel for a stream of f32 and a subnet output of f64",
               [&] { forward(g.image(g.a.shape(), DType::f64), g.y, log_det); });
  expect_error(ErrorKind::usage, "expected a [n > 0, h, w, 2 c]",
               [&] { forward(g.a.slice_batch(0, 0), g.y, log_det); });
  expect_error(ErrorKind::usage, "coupling_inverse_passive: f64 streams are for the CPU", [&] {
    cuda::coupling_inverse_passive(g.image(g.y.shape(), DType::f64), {}, g.passive);
  });
  expect_error(ErrorKind::usage, "coupling_inverse_passive: [2, 3, 5, 3] does not fit y", [&] {
    cuda::coupling_inverse_passive(g.image({2, 3, 4, 7}), {}, g.passive);
  });
  expect_error(ErrorKind::usage, "coupling_mean_log_s: f64 streams are for the CPU", [&] {
    cuda::coupling_mean_log_s(g.image(g.a.shape(), DType::f64), kGains, log_det);
  });
  expect_error(ErrorKind::usage, "expected f32, got nothing",
               [&] { cuda::coupling_forward(g.active, {}, g.a, kGains, g.output, g.y, log_det); });
  expect_error(ErrorKind::usage, "expected f32, got nothing",
               [&] { cuda::coupling_inverse(g.y, g.a, kGains, g.output, {}, log_det); });
  CouplingGrads grads = g.empty_grads();
  grads.factors = g.image({2, 3, 5, 4});
  expect_error(ErrorKind::usage, "grad_a of shape", [&] {
    cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                            grads);
  });
  grads = g.empty_grads();
  grads.factor_sums = g.zeros({4});
  expect_error(ErrorKind::usage, "factor_sums of shape [8], got [4]", [&] {
    cuda::coupling_backward(g.active, g.passive, g.grad_y, g.grad_log_det, g.a, kGains, g.output,
                            grads);
  });
}

}  // namespace
}  // namespace pal::test
