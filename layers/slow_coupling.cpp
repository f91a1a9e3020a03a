#include "layers/slow_coupling.h"

namespace pal {

SlowCoupling::SlowCoupling(int64_t channels, const CouplingSpec& spec,
                           const std::function<SubnetSpec(int64_t)>& subnet)
    : CouplingBlock(channels, spec, {.s_gain = 0.1, .t_gain = 0.1}),
      passive_(channels - channels / 2),
      active_(channels / 2) {
  expect(channels >= 2, "slow coupling: expected at least 2 channels, got {}", channels);
  add_subnet("s", passive_, subnet(2 * active_),
             [](const Shape& input, int64_t in) { return input.with_last(in); });
}

Shape SlowCoupling::output_shape(const Shape& input) const {
  expect(input.rank() == 4 && input.last() == passive_ + active_,
         "slow coupling: expected [n, h, w, {}], got {}", passive_ + active_, input.str());
  return input;
}

Tensor SlowCoupling::couple(const Tensor& x, const OutputMap& map, const Tensor& log_det,
                            Phase phase, BlockMemory* memory) {
  const Tensor x1 = x.slice_channels(0, passive_);
  const Tensor factors = run_subnet(0, x1, phase, memory);
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  PAL_BACKEND(x, coupling_forward(x.slice_channels(passive_, active_), x1, factors, gains_,
                                  with_shift(map, factors), y, log_det));
  return y;
}

Tensor SlowCoupling::uncouple(const Tensor& y, const OutputMap& map, const Tensor& log_det) {
  const Tensor x = Tensor::empty(y.shape(), y.dtype());
  const Tensor x1 = x.slice_channels(0, passive_);
  PAL_BACKEND(y, coupling_inverse_passive(y, map, x1));
  const Tensor factors = run_subnet(0, x1, Phase::evaluate, nullptr);
  PAL_BACKEND(y, coupling_inverse(y, factors, gains_, with_shift(map, factors),
                                  x.slice_channels(passive_, active_), log_det));
  return x;
}

BlockBackward SlowCoupling::couple_backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                            const OutputMap& map, BlockMemory& memory,
                                            bool want_grad_x, const CouplingGrads& act_norm) {
  const bool stored = memory.input.defined();
  const Tensor x = stored ? memory.input : Tensor::empty(grad_y.shape(), grad_y.dtype());
  const Tensor x1 = x.slice_channels(0, passive_);
  const Tensor x2 = x.slice_channels(passive_, active_);
  if (!stored) PAL_BACKEND(y, coupling_inverse_passive(y, map, x1));
  LocalTape tape = tape_of(0, x1, memory);
  const Tensor grad_x = Tensor::empty(x.shape(), x.dtype());
  CouplingGrads grads =
      half_grads(0, grad_x.slice_channels(passive_, active_), tape.output.value());
  grads.passive = grad_x.slice_channels(0, passive_);
  grads.scale = act_norm.scale;
  grads.offset = act_norm.offset;
  {
    const Tensor& factors = tape.output.value();
    const OutputMap shifted = with_shift(map, factors);
    if (stored)
      PAL_BACKEND(x,
                  coupling_backward(x2, x1, grad_y, grad_log_det, factors, gains_, shifted, grads));
    else
      PAL_BACKEND(x, coupling_inverse_backward(y, grad_y, grad_log_det, factors, gains_, shifted,
                                               x2, grads));
    finish_grad_factors(factors, grads);
  }
  y = Tensor();
  grad_y = Tensor();
  backward_subnet(std::move(tape), std::move(grads.factors),
                  want_grad_x ? grads.passive : Tensor());
  return {x, want_grad_x ? grad_x : Tensor()};
}

}  // namespace pal
