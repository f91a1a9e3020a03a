#include "autograd/ops.h"

#include "autograd/conv_passes.h"
#include "autograd/norm_statistics.h"
#include "kernels/arrays/elementwise.h"

namespace pal {

Variable conv2d(const Variable& x, const Conv& conv) {
  const DeviceScope device(x.value().device());
  const Tensor input = x.value().dense();
  return record({x}, {conv_pass(input, conv)}, true, [=](const Gradients& grads) -> Gradients {
    conv_weight_pass(input, grads[0], conv);
    if (!x.requires_grad()) return {};
    const Tensor grad_x = Tensor::empty(input.shape(), input.dtype());
    conv_data_pass(grads[0], conv, grad_x);
    return {grad_x};
  })[0];
}

Variable batch_norm(const Variable& x, const BatchNormArgs& args, const Norm& norm,
                    bool batch_statistics_used, DType result, bool overwrite) {
  expect(!overwrite || !grad_enabled(), "batch_norm: x is needed for its gradient");
  const DeviceScope device(x.value().device());
  const Tensor y = overwrite && x.value().dtype() == result
                       ? x.value()
                       : Tensor::empty(x.value().shape(), result);
  PAL_BACKEND(y, batch_norm_forward(x.value(), args, norm.relu, y));
  return record({x}, {y}, true, [=](const Gradients& grads) -> Gradients {
    return {batch_norm_gradients(x, grads[0], norm, args, batch_statistics_used)};
  })[0];
}

Tensor batch_norm_gradients(const Variable& x, const Tensor& grad_y, const Norm& norm,
                            const BatchNormArgs& args, bool batch_statistics_used,
                            const Tensor& reused) {
  BatchNormGrads wanted;
  if (parameter_grads_enabled()) {
    wanted.weight = norm.weight->grad;
    wanted.bias = norm.bias->grad;
  }
  const bool in_place = x.grad_target().defined();
  if (in_place) {
    wanted.x = x.grad_target();
    wanted.accumulate_x = true;
  } else if (x.requires_grad()) {
    wanted.x = reused.defined() ? reused : Tensor::empty(x.value().shape(), x.value().dtype());
  }
  if (batch_statistics_used && norm.ranks != nullptr)
    synchronised_norm_backward(x.value(), grad_y, args, norm, wanted);
  else
    PAL_BACKEND(grad_y, batch_norm_backward(x.value(), grad_y, args, norm.relu,
                                            batch_statistics_used, wanted));
  return in_place ? Tensor() : wanted.x;
}

Variable relu(const Variable& x) {
  const DeviceScope device(x.value().device());
  const Tensor y = Tensor::empty(x.value().shape(), x.value().dtype());
  PAL_BACKEND(y, relu_forward(x.value(), y));
  return record({x}, {y}, false, [y](const Gradients& grads) -> Gradients {
    const Tensor grad_x = Tensor::empty(y.shape(), y.dtype());
    PAL_BACKEND(y, relu_backward(y, grads[0], grad_x));
    return {grad_x};
  })[0];
}

Variable add_relu(const Variable& branch, const Variable& shortcut) {
  const Tensor& y = branch.value();
  const DeviceScope device(y.device());
  PAL_BACKEND(y, add_relu(shortcut.value(), y));
  return record({branch, shortcut}, {y}, false, [y](const Gradients& grads) -> Gradients {
    const Tensor grad = Tensor::empty(y.shape(), y.dtype());
    PAL_BACKEND(y, relu_backward(y, grads[0], grad));
    return {grad, grad};
  })[0];
}

Variable max_pool(const Variable& x, const PoolGeometry& geometry) {
  const DeviceScope device(x.value().device());
  const Shape& in = x.value().shape();
  const Shape out = {in[0], geometry.out_size(in[1]), geometry.out_size(in[2]), in[3]};
  const Tensor y = Tensor::empty(out, x.value().dtype());
  const Tensor taps = Tensor::empty(out, DType::u8);
  PAL_BACKEND(y, max_pool_forward(x.value(), geometry, y, taps));
  return record({x}, {y}, false, [=](const Gradients& grads) -> Gradients {
    const Tensor grad_x = Tensor::empty(in, grads[0].dtype());
    PAL_BACKEND(grad_x, max_pool_backward(grads[0], taps, geometry, grad_x));
    return {grad_x};
  })[0];
}

Variable average_pool(const Variable& x) {
  const DeviceScope device(x.value().device());
  const Shape& in = x.value().shape();
  const Tensor y = Tensor::empty({in[0], in[3]}, x.value().dtype());
  PAL_BACKEND(y, average_pool_forward(x.value(), y));
  return record({x}, {y}, false, [=](const Gradients& grads) -> Gradients {
    const Tensor grad_x = Tensor::empty(in, grads[0].dtype());
    PAL_BACKEND(grad_x, average_pool_backward(grads[0], grad_x));
    return {grad_x};
  })[0];
}

Variable linear(const Variable& x, Parameter& weight, Parameter& bias) {
  const DeviceScope device(x.value().device());
  // A 1x1 convolution over one pixel, which backends run as a matrix product: it adds the bias and
  // adds to the gradients of both parameters.
  const ConvGeometry geometry;
  const Conv conv{&weight, &bias, geometry};
  const auto image = [](const Tensor& t) { return t.reshape({t.size(0), 1, 1, t.size(1)}); };
  const Tensor input = image(x.value().dense());
  const Tensor y = Tensor::empty({x.value().size(0), weight.shape[0]}, input.dtype());
  count_memory(cpu::ConvPass::forward, input, image(y), conv);
  PAL_BACKEND(input, conv_forward(input, image(weight.value), bias.value, geometry, weight.shadow,
                                  image(y)));
  return record({x}, {y}, true, [=, &weight, &bias](const Gradients& grads) -> Gradients {
    const Tensor grad_y = image(grads[0]);
    if (parameter_grads_enabled()) {
      count_memory(cpu::ConvPass::weight, input, grad_y, conv);
      PAL_BACKEND(input,
                  conv_backward_weight(input, grad_y, geometry, image(weight.grad), bias.grad));
    }
    if (!x.requires_grad()) return {};
    const Tensor grad_x = Tensor::empty(x.value().shape(), input.dtype());
    count_memory(cpu::ConvPass::data, image(grad_x), grad_y, conv);
    PAL_BACKEND(input, conv_backward_data(grad_y, image(weight.value), geometry, weight.shadow,
                                          image(grad_x)));
    return {grad_x};
  })[0];
}

Variable cast(const Variable& x, DType dtype) {
  if (x.value().dtype() == dtype) return x;
  const DeviceScope device(x.value().device());
  const Tensor y = Tensor::empty(x.value().shape(), dtype);
  PAL_BACKEND(y, copy_convert(x.value(), y));
  return record({x}, {y}, false, [from = x.value().dtype()](const Gradients& grads) -> Gradients {
    const Tensor grad_x = Tensor::empty(grads[0].shape(), from);
    PAL_BACKEND(grad_x, copy_convert(grads[0], grad_x));
    return {grad_x};
  })[0];
}

}  // namespace pal
