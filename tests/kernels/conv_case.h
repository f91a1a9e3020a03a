#pragma once
#include <cstring>

#include "kernels/library/conv.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"

// Convolutions for the tests of our own kernels, beside the reference in double.
namespace pal::testing {

struct ConvResults {
  Tensor y, grad_x, grad_weight;
};

struct ConvCase {
  ConvCase(const Shape& x_shape, int64_t out, const ConvGeometry& g = {3, 1, 1})
      : geometry(g),
        x(random_tensor(x_shape, DType::f32, 1)),
        weight(random_tensor({out, g.kernel, g.kernel, x_shape.last()}, DType::f32, 2)),
        bias(random_tensor({out}, DType::f32, 3)),
        grad_y(random_tensor(g.out_shape(x_shape, out), DType::f32, 4)) {}

  std::string name() const {
    return x.shape().str() + " -> " + grad_y.shape().str() + " kernel " +
           std::to_string(geometry.kernel) + " stride " + std::to_string(geometry.stride);
  }
  /// What must be overwritten; gradients of weights begin at 0.5, as they are added to.
  ConvResults empty(DType dtype) const {
    const ConvResults r = {Tensor::empty(grad_y.shape(), dtype), Tensor::empty(x.shape(), dtype),
                           Tensor::empty(weight.shape(), dtype)};
    r.y.fill(77.0);
    r.grad_x.fill(77.0);
    r.grad_weight.fill(0.5);
    return r;
  }
  ConvResults exact() const {
    const ConvResults r = empty(DType::f64);
    WeightShadow shadow;
    const Tensor wide = weight.to(DType::f64);
    cpu::conv_forward(x.to(DType::f64), wide, bias.to(DType::f64), geometry, shadow, r.y);
    cpu::conv_backward_data(grad_y.to(DType::f64), wide, geometry, shadow, r.grad_x);
    cpu::conv_backward_weight(x.to(DType::f64), grad_y.to(DType::f64), geometry, r.grad_weight, {});
    return r;
  }

  ConvGeometry geometry;
  Tensor x, weight, bias, grad_y;
};

inline void expect_near(const ConvResults& actual, const ConvResults& wanted, double unit,
                        const std::string& name) {
  const auto compare = [&](const Tensor& a, const Tensor& b, const char* what) {
    expect_near(a, b, unit * std::max(1.0, largest_magnitude(b)), name + " " + what);
  };
  compare(actual.y, wanted.y, "y");
  compare(actual.grad_x, wanted.grad_x, "grad_x");
  compare(actual.grad_weight, wanted.grad_weight, "grad_weight");
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}
inline bool same_bits(const ConvResults& a, const ConvResults& b) {
  return same_bits(a.y, b.y) && same_bits(a.grad_x, b.grad_x) &&
         same_bits(a.grad_weight, b.grad_weight);
}

/// The number of threads as it was, whatever happens.
struct ThreadsRestored {
  ~ThreadsRestored() { set_thread_count(before); }
  int before = thread_count();
};

}  // namespace pal::testing
