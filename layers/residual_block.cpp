#include "layers/residual_block.h"

#include <cmath>

namespace pal {
namespace {

LayerSpec fan_out_conv(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  // The gain is on sqrt(2 / fan in), and the kernel counts in either fan.
  const double gain = std::sqrt(static_cast<double>(in) / static_cast<double>(out));
  return LayerSpec::conv(out, kernel, stride, false, gain);
}

LayerSpec norm() {
  LayerSpec spec = LayerSpec::batch_norm();
  spec.momentum = kResidualMomentum;
  return spec;
}

void append_relu(SubnetSpec& spec) { spec.push_back(LayerSpec::relu()); }
void append(SubnetSpec& spec, const SubnetSpec& part) {
  spec.insert(spec.end(), part.begin(), part.end());
}

}  // namespace

SubnetSpec conv_norm(int64_t in, int64_t out, int64_t kernel, int64_t stride, int number) {
  return {fan_out_conv(in, out, kernel, stride).named("conv" + std::to_string(number)),
          norm().named("bn" + std::to_string(number))};
}

SubnetSpec bottleneck_branch(int64_t in, int64_t width, int64_t stride) {
  SubnetSpec spec = conv_norm(in, width, 1, 1, 1);
  append_relu(spec);
  append(spec, conv_norm(width, width, 3, stride, 2));
  append_relu(spec);
  append(spec, conv_norm(width, 4 * width, 1, 1, 3));
  return spec;
}

SubnetSpec basic_branch(int64_t in, int64_t width, int64_t stride) {
  SubnetSpec spec = conv_norm(in, width, 3, stride, 1);
  append_relu(spec);
  append(spec, conv_norm(width, width, 3, 1, 2));
  return spec;
}

ResidualBlock::ResidualBlock(int64_t in_channels, const SubnetSpec& branch, int64_t stride,
                             DType compute)
    : branch_(in_channels, branch, compute) {
  const int64_t out = branch_.output_shape({1, 1, 1, in_channels}).last();
  if (stride == 1 && out == in_channels) return;
  const SubnetSpec projection = {fan_out_conv(in_channels, out, 1, stride), norm()};
  shortcut_ = std::make_unique<Subnet>(in_channels, projection, compute);
}

void ResidualBlock::collect(const std::string& prefix, StateList& state) {
  branch_.collect(prefix, state);
  if (shortcut_) shortcut_->collect(prefix + "downsample.", state);
}

void ResidualBlock::initialise(DType dtype) {
  branch_.initialise(dtype);
  if (shortcut_) shortcut_->initialise(dtype);
}

void ResidualBlock::set_average_count(int64_t batches) {
  branch_.set_average_count(batches);
  if (shortcut_) shortcut_->set_average_count(batches);
}

void ResidualBlock::synchronise_norms(Communicator* ranks) {
  branch_.synchronise_norms(ranks);
  if (shortcut_) shortcut_->synchronise_norms(ranks);
}

Variable ResidualBlock::run(const Variable& x, Phase phase, TapeForm form, Statistics* record,
                            const Statistics* replay) {
  const auto pass = [=](std::vector<Tensor> Statistics::*which) {
    return SubnetPass{.phase = phase,
                      .remade = remade_of(form, Remade::nothing),
                      .record = record != nullptr ? &(record->*which) : nullptr,
                      .replay = replay != nullptr ? &(replay->*which) : nullptr};
  };
  const Variable branch = branch_.forward(x, pass(&Statistics::branch));
  if (!shortcut_) return add_relu(branch, x);
  return add_relu(branch, shortcut_->forward(x, pass(&Statistics::shortcut)));
}

Variable ResidualBlock::forward(const Variable& x, Phase phase, BlockPolicy policy) {
  expect(keeps_input(policy.policy),
         "residual block: expected policy store or recompute; it cannot be inverted");
  const TapeForm form = policy.form;
  if (policy.policy == ActivationPolicy::store || !grad_enabled())
    return run(x, phase, form, nullptr, nullptr);
  const auto statistics = std::make_shared<Statistics>();
  Tensor y;
  {
    const NoGradGuard no_grad;
    y = run(Variable(x.value()), phase, form, statistics.get(), nullptr).value();
  }
  return record({x}, {y}, true, [this, x, phase, form, statistics](Gradients& grads) -> Gradients {
    const EnableGradGuard grad;
    const Variable input(x.value(), x.requires_grad());
    pal::backward_from(run(input, phase, form, nullptr, statistics.get()), std::move(grads[0]));
    return {input.grad()};
  })[0];
}

}  // namespace pal
