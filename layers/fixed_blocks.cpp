#include "layers/fixed_blocks.h"

#include "kernels/resample/haar.h"
#include "kernels/resample/squeeze.h"

namespace pal {
namespace {

Shape halved(const char* kind, const Shape& input) {
  expect(input.rank() == 4 && input[1] % 2 == 0 && input[2] % 2 == 0,
         "{}: expected [n, h, w, c] with even height and width, got {}", kind, input.str());
  return {input[0], input[1] / 2, input[2] / 2, 4 * input[3]};
}

Shape doubled(const Shape& y) { return {y[0], 2 * y[1], 2 * y[2], y[3] / 4}; }

/// The fixed maps are cheap and exact to invert, so nothing needs to be kept but what policies ask.
void keep(BlockMemory* memory, const Tensor& x) {
  if (memory != nullptr && keeps_input(memory->policy)) memory->input = x;
}

}  // namespace

Shape HaarBlock::output_shape(const Shape& input) const { return halved("Haar", input); }

Tensor HaarBlock::forward(const Tensor& x, const Tensor& log_det, Phase, BlockMemory* memory) {
  const Tensor y = Tensor::empty(output_shape(x.shape()), x.dtype());
  haar_forward(x, y, rebalance_);
  add_to_log_det(log_det, haar_log_det(x.shape(), rebalance_));
  keep(memory, x);
  return y;
}

Tensor HaarBlock::inverse(const Tensor& y, const Tensor& log_det) {
  const Tensor x = Tensor::empty(doubled(y.shape()), y.dtype());
  haar_inverse(y, x, rebalance_);
  add_to_log_det(log_det, -haar_log_det(x.shape(), rebalance_));
  return x;
}

BlockBackward HaarBlock::backward(Tensor&& y, Tensor&& grad_y, const Tensor&, BlockMemory& memory,
                                  bool want_grad_x) {
  BlockBackward result;
  result.x = memory.input.defined() ? memory.input : inverse(y, {});
  if (!want_grad_x) return result;
  result.grad_x = Tensor::empty(doubled(grad_y.shape()), grad_y.dtype());
  haar_backward(grad_y, result.grad_x, rebalance_);
  return result;
}

Shape SqueezeBlock::output_shape(const Shape& input) const { return halved("squeeze", input); }

Tensor SqueezeBlock::forward(const Tensor& x, const Tensor&, Phase, BlockMemory* memory) {
  const Tensor y = Tensor::empty(output_shape(x.shape()), x.dtype());
  PAL_BACKEND(x, squeeze(x, y));
  keep(memory, x);
  return y;
}

Tensor SqueezeBlock::inverse(const Tensor& y, const Tensor&) {
  const Tensor x = Tensor::empty(doubled(y.shape()), y.dtype());
  PAL_BACKEND(y, unsqueeze(y, x));
  return x;
}

BlockBackward SqueezeBlock::backward(Tensor&& y, Tensor&& grad_y, const Tensor&,
                                     BlockMemory& memory, bool want_grad_x) {
  return {memory.input.defined() ? memory.input : inverse(y, {}),
          want_grad_x ? inverse(grad_y, {}) : Tensor()};
}

Shape DctBlock::output_shape(const Shape& input) const {
  expect(input.rank() == 4 && input[1] == size_ && input[2] == size_ && input[3] == channels_,
         "DCT pooling: expected [n, {}, {}, {}], got {}", size_, size_, channels_, input.str());
  return {input[0], size_ * size_ * channels_};
}

double DctBlock::log_det() const {
  return reported_ ? dct_reported_log_det(size_, channels_, map_)
                   : dct_log_det(size_, channels_, map_);
}

Tensor DctBlock::forward(const Tensor& x, const Tensor& log_det_sum, Phase, BlockMemory* memory) {
  const Tensor y = Tensor::empty(output_shape(x.shape()), x.dtype());
  PAL_BACKEND(x, dct_forward(x, y, map_));
  add_to_log_det(log_det_sum, log_det());
  keep(memory, x);
  return y;
}

Tensor DctBlock::inverse(const Tensor& y, const Tensor& log_det_sum) {
  const Tensor x = Tensor::empty({y.size(0), size_, size_, channels_}, y.dtype());
  PAL_BACKEND(y, dct_inverse(y, x, map_));
  add_to_log_det(log_det_sum, -log_det());
  return x;
}

BlockBackward DctBlock::backward(Tensor&& y, Tensor&& grad_y, const Tensor&, BlockMemory& memory,
                                 bool want_grad_x) {
  BlockBackward result;
  result.x = memory.input.defined() ? memory.input : inverse(y, {});
  if (!want_grad_x) return result;
  result.grad_x = Tensor::empty({grad_y.size(0), size_, size_, channels_}, grad_y.dtype());
  PAL_BACKEND(grad_y, dct_backward(grad_y, result.grad_x, map_));
  return result;
}

}  // namespace pal
