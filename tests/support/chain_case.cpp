#include "tests/support/chain_case.h"

#include "layers/act_norm_block.h"
#include "layers/fixed_blocks.h"
#include "layers/slow_coupling.h"
#include "layers/two_sided_coupling.h"
#include "tests/support/numeric.h"

namespace pal::testing {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void add_noise(const Tensor& tensor, uint64_t key, double scale) {
  const Tensor noise = random_tensor(tensor.shape(), DType::f64, key, scale);
  for (int64_t i = 0; i < tensor.numel(); ++i)
    set_value(tensor, i, value_at(tensor, i) + value_at(noise, i));
}

void append(std::vector<double>& all, const Tensor& tensor) {
  const auto values = values_of(tensor);
  all.insert(all.end(), values.begin(), values.end());
}

using MakeSubnet = std::function<SubnetSpec(int64_t)>;

MakeSubnet small_bottleneck() {
  return [](int64_t out) { return bottleneck_subnet(3, out, 1, 1.0); };
}

BlockCase slow(const std::string& name, const CouplingSpec& spec, int64_t channels = 5,
               const MakeSubnet& subnet = small_bottleneck()) {
  return {"slow_" + name,
          [=] { return std::make_unique<SlowCoupling>(channels, spec, subnet); },
          {3, 3, 4, channels}};
}

BlockCase glow(const std::string& name, const CouplingSpec& spec, int64_t channels = 5) {
  return {"glow_" + name,
          [=] {
            return std::make_unique<TwoSidedCoupling>(
                channels, false, spec,
                TwoSidedCoupling::Subnets{small_bottleneck(), small_bottleneck()});
          },
          {3, 3, 4, channels}};
}

BlockCase down(
    const std::string& name, const CouplingSpec& spec, int64_t channels = 3,
    MakeSubnet first = [](int64_t out) { return bottleneck_subnet(3, out, 2, 1.0); },
    MakeSubnet second = small_bottleneck()) {
  return {"down_" + name,
          [=] {
            return std::make_unique<TwoSidedCoupling>(channels, true, spec,
                                                      TwoSidedCoupling::Subnets{first, second});
          },
          {3, 4, 2, channels}};
}

void add_mixings(std::vector<BlockCase>& cases) {
  const std::pair<const char*, MixingKind> kinds[] = {{"none", MixingKind::none},
                                                      {"swap", MixingKind::swap},
                                                      {"permutation", MixingKind::permutation},
                                                      {"orthogonal", MixingKind::orthogonal},
                                                      {"householder", MixingKind::householder},
                                                      {"conv1x1", MixingKind::conv1x1}};
  for (const auto& [name, kind] : kinds) {
    CouplingSpec spec;
    spec.mixing = {kind, 2};
    const int64_t channels = kind == MixingKind::swap ? 6 : 5;
    cases.push_back(slow(name, spec, channels));
    cases.push_back(glow(name, spec, channels));
    cases.push_back(down(name, spec));
    if (kind != MixingKind::swap && kind != MixingKind::permutation &&
        kind != MixingKind::orthogonal)
      continue;
    spec.welling = true;
    cases.push_back(slow(std::string("welling_") + name, spec, channels));
    cases.push_back(glow(std::string("welling_") + name, spec, channels));
  }
}

void add_options(std::vector<BlockCase>& cases) {
  CouplingSpec gin;
  gin.gin = true;
  cases.push_back(slow("gin", gin));
  cases.push_back(glow("gin", gin));
  cases.push_back(down("gin", gin));
  gin.mixing.kind = MixingKind::conv1x1;
  cases.push_back(slow("gin_conv1x1", gin));
  const std::pair<const char*, ActNormKind> norms[] = {{"softplus", ActNormKind::softplus},
                                                       {"paper", ActNormKind::paper},
                                                       {"sigmoid", ActNormKind::sigmoid},
                                                       {"exponential", ActNormKind::exponential}};
  for (const auto& [name, kind] : norms) {
    CouplingSpec spec;
    spec.act_norm = {kind, 0.7};
    cases.push_back(slow(name, spec));
    cases.push_back(down(name, spec));
    cases.push_back({std::string("act_norm_") + name,
                     [norm = spec.act_norm] { return std::make_unique<ActNormBlock>(7, norm); },
                     {3, 7}});
  }
}

void add_subnets(std::vector<BlockCase>& cases) {
  const CouplingSpec spec;
  cases.push_back(slow("basic", spec, 5, [](int64_t out) { return basic_subnet(3, out, 1, 1.0); }));
  cases.push_back(
      slow("low_res", spec, 4, [](int64_t out) { return entry_low_res_subnet(3, out, 1.0); }));
  cases.push_back(
      slow("pointwise", spec, 2, [](int64_t out) { return pointwise_subnet(4, out, 1.0); }));
  const MakeSubnet low_res = [](int64_t out) { return entry_low_res_subnet(3, out, 1.0); };
  cases.push_back(down(
      "entry", spec, 3, [](int64_t out) { return entry_strided_subnet(3, out, 1.0); }, low_res));
  cases.push_back(down(
      "entry_7x7", spec, 3, [](int64_t out) { return entry_strided_7x7_subnet(3, out, 1.0); },
      low_res));
  cases.push_back(down(
      "basic", spec, 2, [](int64_t out) { return basic_subnet(3, out, 2, 1.0); },
      [](int64_t out) { return basic_subnet(3, out, 1, 1.0); }));
}

}  // namespace

ChainCase::ChainCase(std::vector<std::unique_ptr<InvertibleBlock>> blocks, const Shape& input,
                     DType dtype, bool jitter, uint64_t seed) {
  for (auto& block : blocks) chain.add(std::move(block), "blocks." + std::to_string(chain.size()));
  chain.collect(state);
  store.materialise(state.parameters, dtype, seed);
  for (int i = 0; i < chain.size(); ++i) chain.block(i).initialise(dtype, seed);
  if (jitter) {
    uint64_t key = 1000 * seed;
    for (const Parameter* p : state.parameters)
      if (p->init.kind != Init::Kind::normal)
        add_noise(p->value, ++key, p->init.kind == Init::Kind::custom ? 0.05 : 0.3);
    for (const Buffer& b : state.buffers) {
      if (ends_with(b.name, "running_mean")) add_noise(*b.tensor, ++key, 0.2);
      // 1 +- 0.2 and at least 0.2: a variance.
      if (!ends_with(b.name, "running_var")) continue;
      add_noise(*b.tensor, ++key, 0.2);
      for (int64_t i = 0; i < b.tensor->numel(); ++i)
        set_value(*b.tensor, i, std::max(0.2, value_at(*b.tensor, i)));
    }
    store.mark_changed();
  }
  x = random_tensor(input, dtype, seed + 1);
  grad_x = Tensor::zeros(input, dtype);
  grad_y = random_tensor(chain.output_shape(input), dtype, seed + 2);
  grad_log_det = random_tensor({input[0]}, DType::f64, seed + 3);
}

double ChainCase::loss(Phase phase) {
  const NoGradGuard no_grad;
  const auto result = chain.forward(Variable(x), phase);
  return inner(result.y.value(), grad_y) + inner(result.log_det.value(), grad_log_det);
}

void ChainCase::backward(Phase phase, bool want_grad_x) {
  const Variable input(x, want_grad_x);
  const auto result = chain.forward(input, phase);
  pal::backward({result.y, result.log_det}, {grad_y, grad_log_det});
  EXPECT_EQ(input.grad().defined(), want_grad_x);
  if (!want_grad_x) return;
  for (int64_t i = 0; i < x.numel(); ++i)
    set_value(grad_x, i, value_at(grad_x, i) + value_at(input.grad(), i));
}

void ChainCase::zero_grad() const {
  store.zero_grad();
  grad_x.zero();
}

Tensor ChainCase::map(const Tensor& batch) {
  const NoGradGuard no_grad;
  return chain.forward(Variable(batch), Phase::evaluate).y.value();
}

double ChainCase::log_det() {
  const NoGradGuard no_grad;
  return value_at(chain.forward(Variable(x), Phase::evaluate).log_det.value(), 0);
}

std::vector<CheckedTensor> ChainCase::checked() const {
  std::vector<CheckedTensor> tensors = {{"x", x, grad_x}};
  for (const Parameter* p : state.parameters) tensors.push_back({p->name, p->value, p->grad});
  return tensors;
}

std::vector<double> ChainCase::gradients() const {
  std::vector<double> all;
  append(all, grad_x);
  append(all, store.all_grads());
  return all;
}

std::vector<double> ChainCase::running_statistics() const {
  std::vector<double> all;
  for (const Buffer& b : state.buffers)
    if (b.name.find("running_") != std::string::npos) append(all, *b.tensor);
  return all;
}

std::vector<BlockCase> all_block_cases() {
  std::vector<BlockCase> cases;
  add_mixings(cases);
  add_options(cases);
  add_subnets(cases);
  cases.push_back({"haar", [] { return std::make_unique<HaarBlock>(); }, {2, 4, 2, 3}});
  cases.push_back({"squeeze", [] { return std::make_unique<SqueezeBlock>(); }, {2, 4, 2, 3}});
  for (const auto& [name, flavour] : {std::pair{"dct", DctMap::Flavour::reference},
                                      {"dct_orthonormal", DctMap::Flavour::orthonormal}})
    cases.push_back(
        {name,
         [map = DctMap{flavour, 0.5}] { return std::make_unique<DctBlock>(3, 2, map, false); },
         {2, 3, 3, 2}});
  return cases;
}

std::vector<std::unique_ptr<InvertibleBlock>> plain_blocks(int count, int64_t channels,
                                                           double act_norm_init,
                                                           double subnet_gain) {
  CouplingSpec spec;
  spec.act_norm.initial = act_norm_init;
  std::vector<std::unique_ptr<InvertibleBlock>> blocks;
  for (int i = 0; i < count; ++i)
    blocks.push_back(std::make_unique<SlowCoupling>(
        channels, spec, [=](int64_t out) { return bottleneck_subnet(8, out, 1, subnet_gain); }));
  return blocks;
}

}  // namespace pal::testing
