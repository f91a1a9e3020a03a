#include "layers/training/weight_average.h"

#include <algorithm>

#include "kernels/optimizer/optimizer.h"

namespace pal {
namespace {

Tensor like(const Tensor& tensor) {
  return Tensor::zeros(tensor.shape(), tensor.dtype(), Tag::optimizer, tensor.device());
}

void exchange_parts(const Tensor& a, const Tensor& b) {
  constexpr int64_t kAtOnce = 1 << 16;
  for (int64_t at = 0; at < a.numel(); at += kAtOnce) {
    const Shape part = {std::min(kAtOnce, a.numel() - at)};
    const Tensor of_a = a.view_at(at, part);
    const Tensor of_b = b.view_at(at, part);
    const Tensor kept = Tensor::empty(part, a.dtype(), Tag::workspace, a.device());
    kept.copy_from(of_a);
    of_a.copy_from(of_b);
    of_b.copy_from(kept);
  }
}

}  // namespace

WeightAverage::WeightAverage(ParameterStore& store)
    : store_(store), values_(like(store.all_values())), statistics_(like(store.all_statistics())) {
  restart();
}

void WeightAverage::restart() {
  values_.copy_from(store_.all_values());
  if (statistics_.numel() > 0) statistics_.copy_from(store_.all_statistics());
}

void WeightAverage::move(const Tensor& rate) {
  PAL_BACKEND(values_, average_step(values_, store_.all_values(), rate));
  if (statistics_.numel() > 0)
    PAL_BACKEND(statistics_, average_step(statistics_, store_.all_statistics(), rate));
}

void WeightAverage::exchange() {
  exchange_parts(store_.all_values(), values_);
  exchange_parts(store_.all_statistics(), statistics_);
  store_.mark_changed();
}

}  // namespace pal
