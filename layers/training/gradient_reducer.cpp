#include "layers/training/gradient_reducer.h"

#include <algorithm>

#include "kernels/arrays/elementwise.h"

namespace pal {

GradientReducer::GradientReducer(Model& model, Communicator& ranks, const ReductionSpec& spec)
    : model_(model), ranks_(ranks) {
  const Tensor& grads = model.parameters().all_grads();
  const DType wire = spec.bf16 ? DType::bf16 : grads.dtype();
  bucket_ = spec.bucket_bytes / size_of(wire);
  expect(bucket_ >= 1, "bucket: {} bytes hold no number", spec.bucket_bytes);
  if (spec.bf16)
    narrow_ = Tensor::empty(grads.shape(), DType::bf16, Tag::gradients, grads.device());
  model.on_gradients([this](int64_t from) { complete(from); });
}

GradientReducer::~GradientReducer() { model_.on_gradients({}); }

void GradientReducer::begin(bool head_only) {
  active_ = true;
  first_ = head_only ? model_.parameters().count_before_head() : 0;
  sent_ = model_.parameters().all_grads().numel();
}

void GradientReducer::complete(int64_t from) {
  if (!active_) return;
  while (sent_ - from >= bucket_) send(sent_ - bucket_, sent_);
}

void GradientReducer::send(int64_t begin, int64_t end) {
  const Tensor wide = model_.parameters().all_grads().view_at(begin, {end - begin});
  sent_ = begin;
  if (!narrow_.defined()) return ranks_.start_all_reduce(wide);
  const Tensor narrow = narrow_.view_at(begin, {end - begin});
  PAL_BACKEND(wide, copy_convert(wide, narrow));
  ranks_.start_all_reduce(narrow);
}

void GradientReducer::finish(const std::vector<Tensor>& others) {
  active_ = false;
  while (sent_ > first_) send(std::max(first_, sent_ - bucket_), sent_);
  for (const Tensor& other : others) ranks_.start_all_reduce(other);
  ranks_.finish();
  if (!narrow_.defined()) return;
  const Tensor& grads = model_.parameters().all_grads();
  const Shape wanted = {grads.numel() - first_};
  PAL_BACKEND(grads, copy_convert(narrow_.view_at(first_, wanted), grads.view_at(first_, wanted)));
}

}  // namespace pal
