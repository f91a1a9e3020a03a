#include "autograd/weight_mirror.h"

#include <algorithm>
#include <limits>

#include "kernels/arrays/convert_parts.h"
#include "runtime/cuda.h"

namespace pal {
namespace {

constexpr int64_t kElements = 8;  // of 16 bytes

bool is_mirrored(const Parameter& p) { return p.group == ParameterGroup::network; }

}  // namespace

void WeightMirror::lay_out(ParameterStore& store) {
  values_ = store.all_values();
  expect(values_.numel() <= std::numeric_limits<int32_t>::max(),
         "weight mirror: no kernel for {} parameters", values_.numel());
  std::vector<int32_t> parts;
  int64_t from = 0;
  int64_t to = 0;
  for (const Parameter* p : store.parameters()) {
    const int64_t count = p->shape.numel();
    for (int64_t done = 0; is_mirrored(*p) && done < count; done += kMostPart)
      for (const int64_t number : {from + done, to + done, std::min(kMostPart, count - done)})
        parts.push_back(static_cast<int32_t>(number));
    from += count;
    if (is_mirrored(*p)) to += (count + kElements - 1) / kElements * kElements;
  }
  const Device device = values_.device();
  mirror_ = Tensor::zeros({to}, DType::bf16, Tag::parameters, device);
  const Shape shape = {static_cast<int64_t>(parts.size() / 3), 3};
  parts_ = Tensor::borrowed(parts.data(), shape, DType::i32, Device()).to(device, Tag::parameters);
  to = 0;
  for (Parameter* p : store.parameters()) {
    if (!is_mirrored(*p)) continue;
    p->shadow.mirror = mirror_.view_at(to, p->shape);
    p->shadow.mirror_version = p->shadow.version - 1;
    to += (p->shape.numel() + kElements - 1) / kElements * kElements;
  }
}

void WeightMirror::refresh(ParameterStore& store) {
  const Tensor& values = store.all_values();
  if (!values.device().is_cuda() || values.device().meta || values.dtype() != DType::f32) return;
  if (!values_.defined() || values_.raw() != values.raw()) lay_out(store);
  const auto& parameters = store.parameters();
  const bool current = std::all_of(parameters.begin(), parameters.end(), [](const Parameter* p) {
    return !is_mirrored(*p) || p->shadow.mirror_version == p->shadow.version;
  });
  if (current && cuda::recording_id() == 0) return;
  PAL_BACKEND(values, convert_parts(values, parts_, mirror_));
  for (Parameter* p : parameters)
    if (is_mirrored(*p)) p->shadow.mirror_version = p->shadow.version;
}

}  // namespace pal
