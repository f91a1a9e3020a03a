#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/coupling/coupling.h"
#include "kernels/mixing/permutation.h"
#include "tests/support/coupling_options.h"
#include "tests/support/numeric.h"

// What the tests of the coupling share: operands, all functions on them, and the definition.
namespace pal::testing::coupling {

inline const CouplingGains kGains{0.7, 0.2, 1.0};

inline Tensor index_tensor(const std::vector<int32_t>& index) {
  return tensor_with({static_cast<int64_t>(index.size())}, DType::i32,
                     std::vector<double>(index.begin(), index.end()));
}

/// Operands of one coupling, in double: a [n, h, w, 2 ca].
struct Case {
  Case(const Shape& a_shape, int64_t passive_channels, const CouplingOptions& o) : options(o) {
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
    if (o.permuted) {
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
  OutputMap shifted() const {
    OutputMap result = output;
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
    g.factors = image(a.shape(), a.dtype());
    if (output.scale.defined()) {
      g.scale = Tensor::zeros({channels()}, DType::f64);
      g.offset = Tensor::zeros({channels()}, DType::f64);
    }
    if (options.gin) g.log_s = Tensor::empty({a.size(0)}, DType::f64);
    return g;
  }
  void finish(const CouplingGrads& g) const {
    if (options.gin) cpu::coupling_mean_log_s_backward(a, kGains, g.log_s, g.factors);
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

  CouplingOptions options;
  bool slices = false;
  Tensor active, passive, a, grad_y, grad_log_det;
  OutputMap output;
  Shape y_shape;
};

/// The coupling from its definition, one value at a time.
inline Case::Forward plain(const Case& c) {
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
            c.options.permuted ? static_cast<int64_t>(value_at(c.output.index, i)) : i;
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
inline const Size kSizes[] = {{{1, 1, 1, 2}, 1},    {{2, 3, 5, 2}, 0},    {{3, 5, 7, 6}, 4},
                              {{2, 1, 13, 34}, 17}, {{2, 17, 19, 10}, 7}, {{1, 3, 3, 600}, 301}};

/// Every test with all options.
class Coupling : public ::testing::TestWithParam<CouplingOptions> {};

}  // namespace pal::testing::coupling
