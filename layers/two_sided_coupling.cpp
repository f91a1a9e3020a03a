#include "layers/two_sided_coupling.h"

#include "kernels/resample/squeeze.h"

// With h the squeeze (the identity in a Glow block), f and g the two subnets:
//   first coupling    y2 from h(x2), with the factors f(x1); neither scaled nor permuted
//   second coupling   y from h(x1) and y2, with the factors g(y2): its kernel applies act norm and
//                     index map to both halves and writes the whole output
// The way back is the reverse: y2 stands in y as it is, then y1 gives h(x1), then y2 gives h(x2).
//
// The backward pass takes the couplings in the same reverse order. The run of a subnet whose
// factors undo a coupling is also the one that is differentiated, so each subnet runs once at most.
// Where x is kept but not the tapes, the first coupling must make y2 again. Names with `low` are
// halves at the output's resolution. Each tensor is dropped at its last use, y and grad_y once the
// second coupling is through: the peak is one block's halves and their gradients.

namespace pal {
namespace {

Shape same_resolution(const Shape& input, int64_t in) { return input.with_last(in); }
Shape half_resolution(const Shape& input, int64_t in) {
  return {input[0], input[1] / 2, input[2] / 2, in};
}

OutputMap with_active_first(OutputMap map) {
  map.active_first = true;
  return map;
}

}  // namespace

TwoSidedCoupling::TwoSidedCoupling(int64_t channels, bool downsample, const CouplingSpec& spec,
                                   const Subnets& subnets)
    : CouplingBlock(downsample ? 4 * channels : channels, spec, {.s_gain = 0.2, .t_gain = 1.0}),
      downsample_(downsample),
      first_(downsample ? channels - channels / 2 : channels / 2),
      second_(channels - first_) {
  expect(channels >= 2, "{}: expected at least 2 channels, got {}", kind(), channels);
  expect(!downsample || !spec.welling, "downsampling coupling: welling does not apply");
  const int64_t growth = downsample ? 4 : 1;  // of the channels, by the squeeze
  add_subnet(downsample ? "s_hi" : "s1", first_, subnets.first(2 * growth * second_),
             same_resolution);
  add_subnet(downsample ? "s_lo" : "s2", growth * second_, subnets.second(2 * growth * first_),
             downsample ? half_resolution : same_resolution);
}

Shape TwoSidedCoupling::output_shape(const Shape& input) const {
  expect(input.rank() == 4 && input.last() == first_ + second_,
         "{}: expected [n, h, w, {}], got {}", kind(), first_ + second_, input.str());
  if (!downsample_) return input;
  expect(input[1] % 2 == 0 && input[2] % 2 == 0, "{}: expected even height and width, got {}",
         kind(), input.str());
  return {input[0], input[1] / 2, input[2] / 2, 4 * input[3]};
}

Tensor TwoSidedCoupling::lower(const Tensor& half) const {
  if (!downsample_) return half;
  const Shape& s = half.shape();
  const Tensor lowered = Tensor::empty({s[0], s[1] / 2, s[2] / 2, 4 * s[3]}, half.dtype());
  PAL_BACKEND(half, squeeze(half, lowered));
  return lowered;
}

void TwoSidedCoupling::raise(const Tensor& lowered, const Tensor& half) const {
  if (downsample_)
    PAL_BACKEND(half, unsqueeze(lowered, half));
  else
    half.copy_from(lowered);
}

Tensor TwoSidedCoupling::couple(const Tensor& x, const OutputMap& map, const Tensor& log_det,
                                Phase phase, BlockMemory* memory) {
  const Tensor x1 = x.slice_channels(0, first_);
  const Tensor x2 = lower(x.slice_channels(first_, second_));
  const Tensor first_factors = run_subnet(0, x1, phase, memory);
  const Tensor y2 = Tensor::empty(x2.shape(), x.dtype());
  PAL_BACKEND(x, coupling_forward(x2, {}, first_factors, gains_, with_shift({}, first_factors), y2,
                                  log_det));
  const Tensor second_factors = run_subnet(1, y2, phase, memory);
  const Tensor y = Tensor::empty(output_shape(x.shape()), x.dtype());
  PAL_BACKEND(x, coupling_forward(lower(x1), y2, second_factors, gains_,
                                  with_shift(with_active_first(map), second_factors), y, log_det));
  return y;
}

Tensor TwoSidedCoupling::uncouple(const Tensor& y, const OutputMap& map, const Tensor& log_det) {
  const OutputMap both = with_active_first(map);
  const int64_t growth = downsample_ ? 4 : 1;
  const Tensor y2 = Tensor::empty(y.shape().with_last(growth * second_), y.dtype());
  PAL_BACKEND(y, coupling_inverse_passive(y, both, y2));
  const Tensor second_factors = run_subnet(1, y2, Phase::evaluate, nullptr);
  const Tensor x1_low = Tensor::empty(y.shape().with_last(growth * first_), y.dtype());
  PAL_BACKEND(y, coupling_inverse(y, second_factors, gains_, with_shift(both, second_factors),
                                  x1_low, log_det));
  const Tensor x = Tensor::empty({y.size(0), y.size(1) * (downsample_ ? 2 : 1),
                                  y.size(2) * (downsample_ ? 2 : 1), first_ + second_},
                                 y.dtype());
  const Tensor x1 = x.slice_channels(0, first_);
  raise(x1_low, x1);
  const Tensor first_factors = run_subnet(0, x1, Phase::evaluate, nullptr);
  const Tensor x2_low = Tensor::empty(y2.shape(), y.dtype());
  PAL_BACKEND(y, coupling_inverse(y2, first_factors, gains_, with_shift({}, first_factors), x2_low,
                                  log_det));
  raise(x2_low, x.slice_channels(first_, second_));
  return x;
}

BlockBackward TwoSidedCoupling::couple_backward(Tensor&& y, Tensor&& grad_y,
                                                const Tensor& grad_log_det, const OutputMap& map,
                                                BlockMemory& memory, bool want_grad_x,
                                                const CouplingGrads& act_norm) {
  const OutputMap both = with_active_first(map);
  const bool stored = memory.input.defined();
  const int64_t scale = downsample_ ? 2 : 1;
  const int64_t growth = scale * scale;
  const Shape low1 = grad_y.shape().with_last(growth * first_);
  const Shape low2 = grad_y.shape().with_last(growth * second_);
  const Shape x_shape = {grad_y.size(0), grad_y.size(1) * scale, grad_y.size(2) * scale,
                         first_ + second_};
  Tensor x = memory.input;
  const bool rerun = !memory.subnets[1].tape.output.defined();

  // The second coupling: y1 from x1, conditioned on y2.
  LocalTape first_tape;
  Tensor y2;
  if (!stored) {
    y2 = Tensor::empty(low2, grad_y.dtype());
    PAL_BACKEND(y, coupling_inverse_passive(y, both, y2));
  } else if (!rerun) {
    y2 = memory.subnets[1].tape.input.value();
  } else {
    // Only x is kept: run the first coupling forward again.
    first_tape = tape_of(0, x.slice_channels(0, first_), memory);
    const Tensor first_factors = first_tape.output.value();
    y2 = Tensor::empty(low2, grad_y.dtype());
    const Tensor unused = Tensor::zeros({grad_y.size(0)}, DType::f64, Tag::workspace);
    PAL_BACKEND(x, coupling_forward(lower(x.slice_channels(first_, second_)), {}, first_factors,
                                    gains_, with_shift({}, first_factors), y2, unused));
  }
  Tensor x1_low;
  Tensor grad_x1_low;
  Tensor grad_y2;
  {
    LocalTape tape = tape_of(1, y2, memory);
    x1_low = stored ? lower(x.slice_channels(0, first_)) : Tensor::empty(low1, grad_y.dtype());
    CouplingGrads grads = half_grads(1, Tensor::empty(low1, grad_y.dtype()), tape.output.value());
    grads.passive = Tensor::empty(low2, grad_y.dtype());
    grads.scale = act_norm.scale;
    grads.offset = act_norm.offset;
    {
      const Tensor& factors = tape.output.value();
      const OutputMap shifted = with_shift(both, factors);
      if (stored)
        PAL_BACKEND(x, coupling_backward(x1_low, y2, grad_y, grad_log_det, factors, gains_, shifted,
                                         grads));
      else
        PAL_BACKEND(y, coupling_inverse_backward(y, grad_y, grad_log_det, factors, gains_, shifted,
                                                 x1_low, grads));
      finish_grad_factors(factors, grads);
    }
    y = Tensor();
    grad_y = Tensor();
    grad_x1_low = grads.active;
    grad_y2 = grads.passive;
    backward_subnet(std::move(tape), std::move(grads.factors), grad_y2);
  }

  // The first coupling: y2 from x2, conditioned on x1.
  if (!stored) {
    x = Tensor::empty(x_shape, y2.dtype());
    raise(x1_low, x.slice_channels(0, first_));
  }
  x1_low = Tensor();
  const Tensor grad_x = want_grad_x ? Tensor::empty(x_shape, x.dtype()) : Tensor();
  const Tensor grad_x1 = want_grad_x ? grad_x.slice_channels(0, first_) : Tensor();
  if (want_grad_x) raise(grad_x1_low, grad_x1);
  grad_x1_low = Tensor();
  const Tensor x2 = x.slice_channels(first_, second_);
  if (!first_tape.output.defined()) first_tape = tape_of(0, x.slice_channels(0, first_), memory);
  CouplingGrads grads = half_grads(0, Tensor::empty(low2, x.dtype()), first_tape.output.value());
  {
    const Tensor& factors = first_tape.output.value();
    const OutputMap alone = with_shift({}, factors);
    const Tensor x2_low = stored ? lower(x2) : Tensor::empty(low2, x.dtype());
    if (stored)
      PAL_BACKEND(
          x, coupling_backward(x2_low, {}, grad_y2, grad_log_det, factors, gains_, alone, grads));
    else
      PAL_BACKEND(x, coupling_inverse_backward(y2, grad_y2, grad_log_det, factors, gains_, alone,
                                               x2_low, grads));
    finish_grad_factors(factors, grads);
    if (!stored) raise(x2_low, x2);
  }
  y2 = Tensor();
  grad_y2 = Tensor();
  if (want_grad_x) raise(grads.active, grad_x.slice_channels(first_, second_));
  grads.active = Tensor();
  backward_subnet(std::move(first_tape), std::move(grads.factors), grad_x1);
  return {x, grad_x};
}

}  // namespace pal
