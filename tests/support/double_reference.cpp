// Plain convolutions and matrix products in double, installed before main in every test program.
#include "kernels/library/double_reference.h"

namespace pal {
namespace {

/// Calls body(output pixel, input pixel, tap) for every pair that a convolution connects.
template <typename Body>
void for_each_tap(const Shape& x, const Shape& y, const ConvGeometry& g, Body&& body) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oh = 0; oh < y[1]; ++oh)
      for (int64_t ow = 0; ow < y[2]; ++ow)
        for (int64_t kh = 0; kh < g.kernel; ++kh)
          for (int64_t kw = 0; kw < g.kernel; ++kw) {
            const int64_t ih = oh * g.stride + kh - g.padding;
            const int64_t iw = ow * g.stride + kw - g.padding;
            if (ih < 0 || ih >= x[1] || iw < 0 || iw >= x[2]) continue;
            body((n * y[1] + oh) * y[2] + ow, (n * x[1] + ih) * x[2] + iw, kh * g.kernel + kw);
          }
}

void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                  const Tensor& y) {
  const int64_t in = x.channels();
  const int64_t out = y.channels();
  const int64_t taps = g.kernel * g.kernel;
  y.zero();
  for_each_tap(x.shape(), y.shape(), g, [&](int64_t to, int64_t from, int64_t tap) {
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < in; ++i)
        y.data<double>()[to * out + o] +=
            x.data<double>()[from * in + i] * weight.data<double>()[(o * taps + tap) * in + i];
  });
  if (!bias.defined()) return;
  for (int64_t row = 0; row < y.rows(); ++row)
    for (int64_t o = 0; o < out; ++o) y.data<double>()[row * out + o] += bias.data<double>()[o];
}

void conv_backward_data(const Tensor& grad_y, const Tensor& weight, const ConvGeometry& g,
                        const Tensor& grad_x) {
  const int64_t in = grad_x.channels();
  const int64_t out = grad_y.channels();
  const int64_t taps = g.kernel * g.kernel;
  grad_x.zero();
  for_each_tap(grad_x.shape(), grad_y.shape(), g, [&](int64_t to, int64_t from, int64_t tap) {
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < in; ++i)
        grad_x.data<double>()[from * in + i] +=
            grad_y.data<double>()[to * out + o] * weight.data<double>()[(o * taps + tap) * in + i];
  });
}

void conv_backward_weight(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                          const Tensor& grad_weight, const Tensor& grad_bias) {
  const int64_t in = x.channels();
  const int64_t out = grad_y.channels();
  const int64_t taps = g.kernel * g.kernel;
  for_each_tap(x.shape(), grad_y.shape(), g, [&](int64_t to, int64_t from, int64_t tap) {
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < in; ++i)
        grad_weight.data<double>()[(o * taps + tap) * in + i] +=
            grad_y.data<double>()[to * out + o] * x.data<double>()[from * in + i];
  });
  if (!grad_bias.defined()) return;
  for (int64_t row = 0; row < grad_y.rows(); ++row)
    for (int64_t o = 0; o < out; ++o)
      grad_bias.data<double>()[o] += grad_y.data<double>()[row * out + o];
}

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, bool transpose_a, bool transpose_b,
          bool accumulate) {
  const int64_t depth = transpose_a ? a.rows() : a.channels();
  for (int64_t m = 0; m < c.rows(); ++m)
    for (int64_t n = 0; n < c.channels(); ++n) {
      double sum = 0.0;
      for (int64_t k = 0; k < depth; ++k)
        sum += a.data<double>()[transpose_a ? k * a.pitch() + m : m * a.pitch() + k] *
               b.data<double>()[transpose_b ? n * b.pitch() + k : k * b.pitch() + n];
      double& target = c.data<double>()[m * c.pitch() + n];
      target = accumulate ? target + sum : sum;
    }
}

const bool installed = [] {
  double_reference() = {conv_forward, conv_backward_data, conv_backward_weight, gemm};
  return true;
}();

}  // namespace
}  // namespace pal
