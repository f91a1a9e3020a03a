#include "layers/coupling_block.h"

#include "kernels/mixing/permute_channels.h"
#include "layers/batch_parts.h"

namespace pal {
namespace {

// Variance of a channel that counts as constant. Dequantisation noise alone has 2.6e-6 after the
// first Haar map if the pixels' deviation is 0.35, so it is normalised as any other channel.
constexpr double kContrast = 1e-6;

int64_t pixels_of(const Tensor& t) { return t.rows() / t.size(0); }

}  // namespace

CouplingBlock::CouplingBlock(int64_t out_channels, const CouplingSpec& spec, CouplingGains gains)
    : gains_(gains),
      out_channels_(out_channels),
      spec_(spec),
      act_norm_(out_channels, spec.act_norm),
      mixing_(out_channels, spec.mixing) {
  expect(spec.clamp > 0.0, "coupling: expected a clamp above 0, got {}", spec.clamp);
  expect(!spec.welling || !mixing_.is_learned(),
         "coupling: welling needs a fixed mixing (permutation, orthogonal or swap)");
  gains_.clamp = spec.clamp;
}

void CouplingBlock::add_subnet(std::string name, int64_t in_channels, const SubnetSpec& spec,
                               Shape (*input_shape)(const Shape&, int64_t)) {
  auto subnet = std::make_unique<Subnet>(in_channels, spec, spec_.compute);
  // GIN changes the gradient of the factors once more.
  Parameter* last_bias = spec_.gin ? nullptr : subnet->take_last_bias_gradient();
  subnets_.push_back({std::move(name), std::move(subnet), input_shape, in_channels, last_bias});
}

void CouplingBlock::collect(const std::string& prefix, StateList& state) {
  for (const NamedSubnet& named : subnets_) named.subnet->collect(prefix + named.name + ".", state);
  act_norm_.collect(prefix, state);
  mixing_.collect(prefix, state);
}

void CouplingBlock::initialise(DType dtype, uint64_t seed) {
  for (const NamedSubnet& named : subnets_) named.subnet->initialise(dtype);
  mixing_.initialise(dtype, seed);
}

void CouplingBlock::refresh() { mixing_.refresh(); }

OutputMap CouplingBlock::make_map(const ActNorm::Values& values) const {
  OutputMap map;
  map.scale = values.scale;
  map.offset = values.offset;
  map.log_scale_sum = values.log_scale_sum;
  if (mixing_.is_index()) {
    map.index = mixing_.index();
    map.inverse_index = mixing_.inverse_index();
  }
  return map;
}

Tensor CouplingBlock::mix(const Tensor& x, bool inverse) const {
  if (!mixing_.is_index()) return inverse ? mixing_.unapply(x) : mixing_.apply(x);
  if (!mixing_.index().defined()) return x;
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  PAL_BACKEND(x, permute_channels(x, inverse ? mixing_.inverse_index() : mixing_.index(), y));
  return y;
}

Tensor CouplingBlock::forward(const Tensor& x, const Tensor& log_det, Phase phase,
                              BlockMemory* memory) {
  const Shape wanted = output_shape(x.shape());
  const ActNorm::Values values = act_norm_.evaluate();
  const Tensor entered = spec_.welling ? mix(x, true) : x;
  if (memory != nullptr) {
    memory->subnets.resize(subnets_.size());
    if (keeps_input(memory->policy)) memory->input = entered;
  }
  Tensor y = couple(entered, make_map(values), log_det, phase, memory);
  if (!mixing_.is_index()) {
    if (memory != nullptr && mixing_.is_learned() && keeps_input(memory->policy))
      memory->unmixed = y;
    y = mixing_.apply(y);
  }
  expect(y.shape() == wanted, "{}: expected {}, got {}", kind(), wanted.str(), y.shape().str());
  const auto pixels = static_cast<double>(pixels_of(y));
  add_to_log_det(log_det, pixels * mixing_.log_det());
  return y;
}

Tensor CouplingBlock::fit_act_norm(const Tensor& x, double deviation, Phase phase, int64_t most) {
  ChannelMoments moments;
  visit_parts(x, most, [&](const Tensor& part) {
    const Tensor unused = Tensor::zeros({part.size(0)}, DType::f64, Tag::workspace);
    const Tensor entered = spec_.welling ? mix(part, true) : part;
    // Coupled, but neither scaled nor mixed.
    moments.add(couple(entered, OutputMap(), unused, phase, nullptr));
  });
  act_norm_.fit(moments, deviation, {.contrast = kContrast});
  return map_parts(x, most, [&](const Tensor& part) {
    const Tensor unused = Tensor::zeros({part.size(0)}, DType::f64, Tag::workspace);
    return forward(part, unused, phase, nullptr);
  });
}

Tensor CouplingBlock::inverse(const Tensor& y, const Tensor& log_det) {
  const ActNorm::Values values = act_norm_.evaluate();
  const Tensor unmixed = mixing_.is_index() ? y : mixing_.unapply(y);
  const Tensor x = uncouple(unmixed, make_map(values), log_det);
  const auto pixels = static_cast<double>(pixels_of(y));
  add_to_log_det(log_det, -pixels, values.log_scale_sum);
  add_to_log_det(log_det, -pixels * mixing_.log_det());
  return spec_.welling ? mix(x, false) : x;
}

BlockBackward CouplingBlock::backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                      BlockMemory& memory, bool want_grad_x) {
  const ActNorm::Values values = act_norm_.evaluate();
  const int64_t pixels = pixels_of(grad_y);
  if (!mixing_.is_index()) {
    y = memory.input.defined() ? memory.unmixed : mixing_.unapply(y);
    memory.unmixed = Tensor();
    grad_y = mixing_.backward(grad_y, y, grad_log_det, pixels);
  }
  CouplingGrads act_norm_grads;
  if (parameter_grads_enabled()) {
    const Tensor both = Tensor::zeros({2, out_channels_}, DType::f64, Tag::workspace);
    act_norm_grads.scale = both.view_at(0, {out_channels_});
    act_norm_grads.offset = both.view_at(out_channels_, {out_channels_});
  }
  BlockBackward result = couple_backward(std::move(y), std::move(grad_y), grad_log_det,
                                         make_map(values), memory, want_grad_x, act_norm_grads);
  act_norm_.backward(act_norm_grads.scale, act_norm_grads.offset, grad_log_det, pixels);
  if (spec_.welling) {
    // x = W entered and W is orthogonal, so its gradient maps like x itself.
    result.x = mix(result.x, false);
    if (result.grad_x.defined()) result.grad_x = mix(result.grad_x, false);
  }
  return result;
}

Tensor CouplingBlock::run_subnet(size_t which, const Tensor& half, Phase phase,
                                 BlockMemory* memory) {
  Subnet& subnet = *subnets_[which].subnet;
  SubnetPass pass{.phase = phase};
  if (memory == nullptr) return subnet.forward(Variable(half), pass).value();
  SubnetMemory& kept = memory->subnets[which];
  pass.record = &kept.statistics;
  if (!keeps_tape(memory->policy, which + 1 == subnets_.size()))
    return subnet.forward(Variable(half), pass).value();
  pass.remade = remade_of(memory->form, Remade::nothing);
  const EnableGradGuard grad;
  kept.tape.input = Variable(half, true);
  kept.tape.output = subnet.forward(kept.tape.input, pass);
  if (!keeps_input(memory->policy)) kept.tape.input.drop_value();
  return kept.tape.output.value();
}

LocalTape CouplingBlock::tape_of(size_t which, const Tensor& half, BlockMemory& memory) {
  SubnetMemory& kept = memory.subnets[which];
  if (kept.tape.output.defined()) {
    LocalTape tape = std::exchange(kept.tape, LocalTape());
    if (!keeps_input(memory.policy)) tape.input.set_value(half);
    return tape;
  }
  const EnableGradGuard grad;
  LocalTape tape;
  tape.input = Variable(half, true);
  tape.output =
      subnets_[which].subnet->forward(tape.input, {.phase = memory.phase,
                                                   .remade = remade_of(memory.form, Remade::stem),
                                                   .replay = &kept.statistics});
  return tape;
}

void CouplingBlock::backward_subnet(LocalTape tape, Tensor grad_factors, const Tensor& grad_half) {
  const TagScope tag(Tag::subnet);
  tape.input.redirect_grad(grad_half);
  tape.input = Variable();
  pal::backward_from(std::move(tape.output), std::move(grad_factors));
}

OutputMap CouplingBlock::with_shift(const OutputMap& map, const Tensor& factors) const {
  if (!spec_.gin) return map;
  OutputMap shifted = map;
  shifted.log_s_shift = Tensor::empty({factors.size(0)}, DType::f64, Tag::workspace);
  PAL_BACKEND(factors, coupling_mean_log_s(factors, gains_, shifted.log_s_shift));
  return shifted;
}

CouplingGrads CouplingBlock::half_grads(size_t which, const Tensor& grad_active,
                                        const Tensor& factors) const {
  const Parameter* last_bias = subnets_[which].last_bias;
  CouplingGrads grads;
  if (last_bias != nullptr && factors.device().is_cuda() && parameter_grads_enabled())
    grads.factor_sums = last_bias->grad;
  grads.active = grad_active;
  grads.factors = Tensor::empty(factors.shape(), factors.dtype(), Tag::subnet);
  if (spec_.gin) grads.log_s = Tensor::empty({factors.size(0)}, DType::f64, Tag::workspace);
  return grads;
}

void CouplingBlock::finish_grad_factors(const Tensor& factors, const CouplingGrads& grads) const {
  if (spec_.gin)
    PAL_BACKEND(factors, coupling_mean_log_s_backward(factors, gains_, grads.log_s, grads.factors));
}

}  // namespace pal
