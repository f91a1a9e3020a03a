#include "layers/subnet.h"

namespace pal {
namespace {

SubnetSpec joined(std::initializer_list<SubnetSpec> parts) {
  SubnetSpec all;
  for (const SubnetSpec& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

const SubnetSpec& norm_relu() {
  static const SubnetSpec pair = {LayerSpec::batch_norm(), LayerSpec::relu()};
  return pair;
}

}  // namespace

SubnetSpec bottleneck_subnet(int64_t width, int64_t out, int64_t stride, double gain) {
  return joined({norm_relu(),
                 {LayerSpec::conv(width, 1, 1, false)},
                 norm_relu(),
                 {LayerSpec::conv(width, 3, stride, false)},
                 norm_relu(),
                 {LayerSpec::conv(4 * width, 1, 1, false)},
                 norm_relu(),
                 {LayerSpec::conv(out, 1, 1, true, gain)}});
}

SubnetSpec basic_subnet(int64_t width, int64_t out, int64_t stride, double gain) {
  return joined({norm_relu(),
                 {LayerSpec::conv(width, 3, 1, false)},
                 norm_relu(),
                 {LayerSpec::conv(width, 3, stride, false)},
                 norm_relu(),
                 {LayerSpec::conv(out, 1, 1, true, gain)}});
}

SubnetSpec entry_strided_subnet(int64_t width, int64_t out, double gain) {
  return joined({{LayerSpec::conv(width, 3, 1, false)},
                 norm_relu(),
                 {LayerSpec::conv(width, 3, 2, false)},
                 norm_relu(),
                 {LayerSpec::conv(out, 1, 1, true, gain)}});
}

SubnetSpec entry_strided_7x7_subnet(int64_t width, int64_t out, double gain) {
  return joined({{LayerSpec::conv(width, 7, 2, false)},
                 norm_relu(),
                 {LayerSpec::conv(out, 1, 1, true, gain)}});
}

SubnetSpec entry_low_res_subnet(int64_t width, int64_t out, double gain) {
  return joined({{LayerSpec::conv(width, 3, 1, false)},
                 norm_relu(),
                 {LayerSpec::conv(out, 1, 1, false, gain)}});
}

SubnetSpec pointwise_subnet(int64_t width, int64_t out, double gain) {
  return {LayerSpec::conv(width, 1, 1, true), LayerSpec::relu(),
          LayerSpec::conv(out, 1, 1, true, gain)};
}

}  // namespace pal
