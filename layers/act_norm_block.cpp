#include "layers/act_norm_block.h"

#include "kernels/coupling/act_norm.h"

namespace pal {
namespace {

int64_t rows_per_sample(const Tensor& t) { return t.rows() / t.size(0); }

}  // namespace

Shape ActNormBlock::output_shape(const Shape& input) const {
  expect(input.last() == channels_, "act norm: expected {} channels, got {}", channels_,
         input.str());
  return input;
}

void ActNormBlock::collect(const std::string& prefix, StateList& state) {
  act_norm_.collect(prefix, state);
}

Tensor ActNormBlock::forward(const Tensor& x, const Tensor& log_det, Phase, BlockMemory* memory) {
  const ActNorm::Values values = act_norm_.evaluate();
  const Tensor y = Tensor::empty(output_shape(x.shape()), x.dtype());
  PAL_BACKEND(x, act_norm_forward(x, values.scale, values.offset, y));
  add_to_log_det(log_det, static_cast<double>(rows_per_sample(x)), values.log_scale_sum);
  if (memory != nullptr && keeps_input(memory->policy)) memory->input = x;
  return y;
}

Tensor ActNormBlock::inverse(const Tensor& y, const Tensor& log_det) {
  const ActNorm::Values values = act_norm_.evaluate();
  const Tensor x = Tensor::empty(y.shape(), y.dtype());
  PAL_BACKEND(y, act_norm_inverse(y, values.scale, values.offset, x));
  add_to_log_det(log_det, -static_cast<double>(rows_per_sample(y)), values.log_scale_sum);
  return x;
}

BlockBackward ActNormBlock::backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                     BlockMemory& memory, bool want_grad_x) {
  const ActNorm::Values values = act_norm_.evaluate();
  BlockBackward result;
  result.x = memory.input.defined() ? memory.input : inverse(y, {});
  if (want_grad_x) result.grad_x = Tensor::empty(grad_y.shape(), grad_y.dtype());
  const Tensor grad_scale = Tensor::zeros({channels_}, DType::f64, Tag::workspace);
  const Tensor grad_offset = Tensor::zeros({channels_}, DType::f64, Tag::workspace);
  PAL_BACKEND(grad_y, act_norm_backward(result.x, grad_y, values.scale, result.grad_x, grad_scale,
                                        grad_offset));
  act_norm_.backward(grad_scale, grad_offset, grad_log_det, rows_per_sample(grad_y));
  return result;
}

Tensor ActNormBlock::fit(const Tensor& x, double most) {
  ChannelMoments moments;
  moments.add(x);
  act_norm_.fit(moments, 1.0, {.most = most});
  const Tensor unused = Tensor::zeros({x.size(0)}, DType::f64, Tag::workspace);
  return forward(x, unused, Phase::train, nullptr);
}

}  // namespace pal
