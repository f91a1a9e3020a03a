#include "tests/support/golden_blocks.h"

#include <cstdio>

#include "kernels/arrays/elementwise.h"
#include "layers/slow_coupling.h"
#include "layers/two_sided_coupling.h"

namespace pal::testing {

SubnetSpec golden_subnet(const GoldenFile& golden, const std::string& prefix) {
  SubnetSpec spec;
  for (const auto& entry : golden.metadata_json("subnet")) {
    if (entry[0].get<std::string>().rfind(prefix + ".", 0) != 0) continue;
    const auto text = entry[1].get<std::string>();
    long in = 0, out = 0, kernel = 0, width = 0, stride = 0;
    if (text.rfind("BatchNorm2d", 0) == 0) {
      spec.push_back(LayerSpec::batch_norm());
    } else if (text.rfind("ReLU", 0) == 0) {
      spec.push_back(LayerSpec::relu());
    } else if (std::sscanf(text.c_str(), "Conv2d(%ld, %ld, kernel_size=(%ld, %ld), stride=(%ld",
                           &in, &out, &kernel, &width, &stride) == 5) {
      spec.push_back(
          LayerSpec::conv(out, kernel, stride, text.find("bias=False") == std::string::npos));
    } else {
      ADD_FAILURE() << golden.path() << ": unknown layer " << text;
    }
  }
  return spec;
}

std::unique_ptr<InvertibleBlock> golden_coupling(const GoldenFile& golden) {
  const auto config = golden.config();
  const auto channels = config["channels"].get<int64_t>();
  CouplingSpec spec;
  spec.clamp = config["clamp"].get<double>();
  const std::string act_norm = config.value("act_norm_type", "SOFTPLUS");
  spec.act_norm.kind = act_norm == "SIGMOID" ? ActNormKind::sigmoid
                       : act_norm == "EXP"   ? ActNormKind::exponential
                                             : ActNormKind::softplus;
  const int reflections = config.value("householder", 0);
  spec.mixing.kind = reflections > 0                      ? MixingKind::householder
                     : config["permute_soft"].get<bool>() ? MixingKind::orthogonal
                                                          : MixingKind::permutation;
  spec.mixing.reflections = std::max(1, reflections);
  const auto layers = [&golden](const char* prefix) {
    return [&golden, prefix](int64_t) { return golden_subnet(golden, prefix); };
  };
  if (golden.has("param.s_hi.0.weight"))
    return std::make_unique<TwoSidedCoupling>(
        channels, true, spec, TwoSidedCoupling::Subnets{layers("s_hi"), layers("s_lo")});
  if (golden.has("param.s1.0.weight"))
    return std::make_unique<TwoSidedCoupling>(
        channels, false, spec, TwoSidedCoupling::Subnets{layers("s1"), layers("s2")});
  return std::make_unique<SlowCoupling>(channels, spec, layers("s"));
}

void copy_golden(const GoldenFile& golden, const std::string& name, const Tensor& target) {
  ASSERT_TRUE(golden.has(name)) << golden.path() << " has no " << name;
  const Tensor source = golden.tensor(name);
  ASSERT_EQ(source.numel(), target.numel()) << name;
  if (target.dtype() == DType::i32)
    target.copy_from(source.reshape(target.shape()));
  else
    cpu::copy_convert(source.reshape(target.shape()), target);
}

void copy_golden_mixing(const GoldenFile& golden, const std::string& prefix,
                        const std::string& buffer_name, const Tensor& target) {
  if (golden.has(prefix + buffer_name)) return copy_golden(golden, prefix + buffer_name, target);
  ASSERT_EQ(buffer_name, "w_index");
  const Tensor w = golden.tensor(prefix + "w");
  const int64_t channels = target.numel();
  for (int64_t i = 0; i < channels; ++i)
    for (int64_t j = 0; j < channels; ++j)
      if (w.data<float>()[i * channels + j] == 1.0F)
        target.data<int32_t>()[i] = static_cast<int32_t>(j);
}

}  // namespace pal::testing
