#include "layers/models/ib_inn.h"

#include <cmath>

#include "kernels/arrays/reduce.h"
#include "layers/act_norm_block.h"
#include "layers/batch_parts.h"
#include "layers/fixed_blocks.h"
#include "layers/slow_coupling.h"
#include "layers/two_sided_coupling.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

// Largest initial scale of a latent dimension: one that hardly varies in the first batch may vary
// in the next.
constexpr double kMostLatentScale = 30.0;

CouplingSpec coupling_spec(const ModelConfig& config) {
  CouplingSpec spec;
  spec.clamp = config.clamp;
  spec.act_norm = {config.act_norm, config.act_norm_init};
  spec.mixing = {config.mixing, config.reflections};
  spec.welling = config.welling;
  spec.gin = config.gin;
  spec.compute = config.compute;
  return spec;
}

/// Adds blocks while following the channels and the resolution. Names are `blocks.<i>`, i counted
/// from 1 and fixed maps included, as in the published checkpoints.
class ChainBuilder {
 public:
  ChainBuilder(const ModelConfig& config, InvertibleChain& chain)
      : config_(config), chain_(chain), channels_(config.channels), size_(config.image_size) {}

  void entry() {
    const double gain = config_.subnet_gain;
    const int64_t width = config_.entry_width;
    const bool wide_kernel = config_.entry_7x7;
    TwoSidedCoupling::Subnets subnets;
    subnets.first = [=](int64_t out) {
      return wide_kernel ? entry_strided_7x7_subnet(width, out, gain)
                         : entry_strided_subnet(width, out, gain);
    };
    subnets.second = [=](int64_t out) { return entry_low_res_subnet(width, out, gain); };
    CouplingSpec spec = coupling_spec(config_);
    spec.welling = false;
    add(std::make_unique<TwoSidedCoupling>(channels_, true, spec, subnets), true);
    haar();
    const int64_t points = channels_;
    plain([=](int64_t out) { return pointwise_subnet(points, out, gain); });
  }

  void haar() { add(std::make_unique<HaarBlock>(), true); }

  void stage(int64_t blocks, int64_t stride, int64_t width) {
    for (int64_t i = 0; i < blocks; ++i) {
      if (i == 0 && stride == 2)
        downsampling(width);
      else
        plain([this, width](int64_t out) { return subnet(width, out, 1); });
    }
  }

  void pool() {
    chain_.add(std::make_unique<DctBlock>(size_, channels_, DctMap{config_.dct, 0.5},
                                          config_.dct_reported),
               next_name());
    if (config_.latent_norm)
      chain_.add(std::make_unique<ActNormBlock>(size_ * size_ * channels_,
                                                ActNormSpec{config_.act_norm, 1.0}),
                 next_name());
  }

  int64_t channels() const { return channels_; }

 private:
  SubnetSpec subnet(int64_t width, int64_t out, int64_t stride) const {
    return config_.subnet == SubnetKind::bottleneck
               ? bottleneck_subnet(width, out, stride, config_.subnet_gain)
               : basic_subnet(width, out, stride, config_.subnet_gain);
  }

  void downsampling(int64_t width) {
    TwoSidedCoupling::Subnets subnets;
    subnets.first = [this, width](int64_t out) { return subnet(width, out, 2); };
    subnets.second = [this, width](int64_t out) { return subnet(width, out, 1); };
    CouplingSpec spec = coupling_spec(config_);
    spec.welling = false;
    add(std::make_unique<TwoSidedCoupling>(channels_, true, spec, subnets), true);
  }

  void plain(const std::function<SubnetSpec(int64_t)>& make) {
    if (config_.coupling == CouplingKind::slow)
      add(std::make_unique<SlowCoupling>(channels_, coupling_spec(config_), make), false);
    else
      add(std::make_unique<TwoSidedCoupling>(channels_, false, coupling_spec(config_),
                                             TwoSidedCoupling::Subnets{make, make}),
          false);
  }

  std::string next_name() const { return "blocks." + std::to_string(chain_.size() + 1); }

  void add(std::unique_ptr<InvertibleBlock> block, bool halves) {
    chain_.add(std::move(block), next_name());
    if (!halves) return;
    channels_ *= 4;
    size_ /= 2;
  }

  const ModelConfig& config_;
  InvertibleChain& chain_;
  int64_t channels_;
  int64_t size_;
};

}  // namespace

void build_chain(const ModelConfig& config, InvertibleChain& chain) {
  validate(config);
  ChainBuilder builder(config, chain);
  if (config.entry == EntryKind::entry)
    builder.entry();
  else
    builder.haar();
  for (size_t stage = 0; stage < config.blocks.size(); ++stage)
    builder.stage(config.blocks[stage], config.strides[stage], config.widths[stage]);
  builder.pool();
}

MixtureSpec mixture_spec(const ModelConfig& config) {
  int64_t halvings = config.entry == EntryKind::entry ? 2 : 1;
  for (const int64_t stride : config.strides) halvings += stride == 2 ? 1 : 0;
  MixtureSpec spec;
  spec.classes = config.classes;
  spec.dims = config.channels * config.image_size * config.image_size;
  spec.mean_dims = config.channels << (2 * halvings);
  spec.rank = config.rank;
  spec.mu_init = config.mu_init;
  spec.head_permutation = config.head_permutation;
  return spec;
}

IbInn::IbInn(const ModelConfig& config) : Model(config) {
  build_chain(config, chain_);
  head_ = std::make_unique<MixtureHead>(mixture_spec(config));
  chain_.collect(state_);
  head_->collect(state_);
  for (int i = 0; i < chain_.size(); ++i) {
    if (auto* coupling = dynamic_cast<CouplingBlock*>(&chain_.block(i)))
      act_norms_.add(coupling->act_norm());
    else if (auto* norm = dynamic_cast<ActNormBlock*>(&chain_.block(i)))
      act_norms_.add(norm->act_norm());
  }
}

IbInn::IbInn(const ModelConfig& config, uint64_t seed, DType dtype) : IbInn(config) {
  materialise(seed, dtype);
}

void IbInn::initialise(uint64_t seed, DType dtype) {
  for (int i = 0; i < chain_.size(); ++i) chain_.block(i).initialise(dtype, seed);
  head_->initialise(dtype);
}

void IbInn::derive() {
  for (int i = 0; i < chain_.size(); ++i) chain_.block(i).refresh();
  head_->refresh();
}

void IbInn::prepare() {
  Model::prepare();
  act_norms_.evaluate(parameters().all_values());
}

void IbInn::set_policies(const std::vector<BlockPolicy>& policies) {
  chain_.set_options({.policies = policies, .anchors = {}});
}

StepVariant IbInn::step_variant() const {
  return {chain_.options().policies, chain_.options().anchors, average_count_, norm_ranks_};
}

LossResult IbInn::forward_backward(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                                   Phase phase, Tensor* grad_x) {
  const Variable input(x, grad_x != nullptr);
  LossResult result;
  std::vector<Variable> roots(2);
  Gradients grad_roots(2);
  {
    const PhaseScope forward_phase("forward");
    const auto latent = forward(input, phase);
    const MixtureHead::Gradients grads =
        head_->evaluate_backward(latent.y.value(), latent.log_det.value(), targets, loss, result);
    roots = {latent.y, latent.log_det};
    grad_roots = {grads.z, grads.log_det};
  }
  const PhaseScope backward_phase("backward");
  pal::backward(std::move(roots), std::move(grad_roots));
  if (grad_x != nullptr) *grad_x = input.grad();
  return result;
}

void IbInn::on_gradients(std::function<void(int64_t from)> complete) {
  if (!complete) return chain_.after_block({});
  // Parameters stand in the order of the blocks, those of the head behind them.
  std::vector<int64_t> begins;
  for (int i = 0; i < chain_.size(); ++i) {
    StateList state;
    chain_.block(i).collect(chain_.name(i) + ".", state);
    begins.push_back(state.parameters.empty() ? -1
                                              : parameters().place_of(*state.parameters.front()));
  }
  chain_.after_block([begins = std::move(begins), complete = std::move(complete)](int block) {
    const int64_t begin = begins[static_cast<size_t>(block)];
    if (begin >= 0) complete(begin);
  });
}

LossResult IbInn::evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss) {
  const NoGradGuard no_grad;
  const auto latent = forward(Variable(x), Phase::evaluate);
  return head_->evaluate(latent.y.value(), latent.log_det.value(), targets, loss);
}

LossResult IbInn::forward_backward_head(const Tensor& x, const Tensor& targets,
                                        const LossSpec& loss) {
  const NoGradGuard no_grad;
  const auto latent = forward(Variable(x), Phase::evaluate);
  LossResult result;
  head_->evaluate_backward(latent.y.value(), latent.log_det.value(), targets, loss, result);
  return result;
}

Tensor IbInn::input_gradient(const Tensor& x, const ScoreFunction& function) {
  const FrozenParametersGuard frozen;
  const Variable input(x, true);
  std::vector<Variable> roots(2);
  Gradients grad_roots(2);
  {
    const PhaseScope forward_phase("forward");
    const auto latent = forward(input, Phase::evaluate);
    const MixtureHead::Gradients grads =
        head_->score_gradients(latent.y.value(), latent.log_det.value(), function);
    roots = {latent.y, latent.log_det};
    grad_roots = {grads.z, grads.log_det};
  }
  const PhaseScope backward_phase("backward");
  pal::backward(std::move(roots), std::move(grad_roots));
  return input.grad();
}

void IbInn::update_statistics(const Tensor& x) {
  const NoGradGuard no_grad;
  forward(Variable(x), Phase::train);
}

void IbInn::check_usable(const std::string& when) {
  Model::check_usable(when);
  act_norms_.expect_positive(parameters().all_values(), when);
}

std::set<std::string> IbInn::act_norms_to_fit(const ActNormFit& how) const {
  std::set<std::string> names;
  for (int i = 0; i < chain_.size(); ++i)
    if (dynamic_cast<ActNormBlock*>(&chain_.block(i)) != nullptr ||
        dynamic_cast<CouplingBlock*>(&chain_.block(i)) != nullptr)
      names.insert(chain_.name(i));
  if (!how.only) return names;
  for (const std::string& name : *how.only)
    expect(names.contains(name), "fit_act_norms: {} is no block with an act norm", name);
  return {how.only->begin(), how.only->end()};
}

void IbInn::fit_act_norms(const Tensor& x, const ActNormFit& how) {
  const NoGradGuard no_grad;
  const DeviceScope device(x.device());
  const std::set<std::string> fitted = act_norms_to_fit(how);
  Tensor stream = x;
  Tensor last_input;
  CouplingBlock* last = nullptr;
  for (int i = 0; i < chain_.size(); ++i) {
    InvertibleBlock& block = chain_.block(i);
    auto* const norm = dynamic_cast<ActNormBlock*>(&block);
    auto* const coupling = dynamic_cast<CouplingBlock*>(&block);
    // A latent norm itself gives unit variance, so the couplings before it keep theirs.
    if (norm != nullptr || coupling != nullptr) last = nullptr;
    if (!fitted.contains(chain_.name(i))) {
      stream = map_parts(stream, how.most, [&](const Tensor& part) {
        const Tensor unused = Tensor::zeros({part.size(0)}, DType::f64, Tag::workspace);
        return block.forward(part, unused, how.phase, nullptr);
      });
    } else if (norm != nullptr) {
      stream = norm->fit(stream, kMostLatentScale);
    } else {
      last = coupling;
      last_input = stream;
      stream = coupling->fit_act_norm(stream, 1.0, how.phase, how.most);
    }
  }
  if (last != nullptr) {
    const Tensor square = Tensor::empty({1}, DType::f64, Tag::workspace);
    PAL_BACKEND(stream, squared_norm(stream, square));
    const double mean_square = square.item() / static_cast<double>(stream.numel());
    last->fit_act_norm(last_input, 1.0 / std::sqrt(mean_square), how.phase, how.most);
  }
  parameters().mark_changed();
}

std::vector<Subnet*> IbInn::subnets() const {
  std::vector<Subnet*> all;
  for (int i = 0; i < chain_.size(); ++i)
    if (auto* block = dynamic_cast<CouplingBlock*>(&chain_.block(i)))
      for (const auto& named : block->subnets()) all.push_back(named.subnet.get());
  return all;
}

void IbInn::set_average_count(int64_t batches) {
  average_count_ = batches;
  for (Subnet* subnet : subnets()) subnet->set_average_count(batches);
}

void IbInn::synchronise_subnets(Communicator* ranks) {
  for (Subnet* subnet : subnets()) subnet->synchronise_norms(ranks);
}

}  // namespace pal
