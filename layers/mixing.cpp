#include "layers/mixing.h"

#include <numeric>

#include "autograd/variable.h"
#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/host_values.h"
#include "kernels/library/gemm.h"
#include "kernels/mixing/orthogonal.h"
#include "kernels/mixing/permutation.h"
#include "kernels/mixing/plu.h"
#include "runtime/philox.h"

namespace pal {
namespace {

std::vector<int32_t> index_values(const Tensor& on_device) {
  const Tensor index = on_device.to(Device());
  return {index.data<int32_t>(), index.data<int32_t>() + index.numel()};
}

Tensor parameter_tensor(const std::vector<double>& values, const Shape& shape, DType dtype) {
  const TagScope tag(Tag::parameters);
  return tensor_of(values, shape, dtype);
}

PluFactors factors_of(const Tensor& index, const Parameter& lower, const Parameter& upper) {
  return {index.numel(), index_values(index), host_values(lower.value), host_values(upper.value)};
}

/// grad_w = sum over rows of grad_y v^T, in double.
std::vector<double> matrix_gradient(const Tensor& grad_y, const Tensor& v) {
  const int64_t n = v.channels();
  const Tensor grad = Tensor::empty({n, n}, v.dtype(), Tag::workspace);
  PAL_BACKEND(v, gemm(grad_y, v, grad, {.transpose_a = true, .exact = true}));
  return host_values(grad);
}

void add_gradient(const std::vector<double>& grad, const Parameter& parameter) {
  const Tensor rounded = tensor_of(grad, parameter.shape, parameter.grad.dtype());
  PAL_BACKEND(rounded, add_into(rounded, parameter.grad));
}

}  // namespace

Mixing::Mixing(int64_t channels, const MixingSpec& spec) : channels_(channels), spec_(spec) {
  const Init custom = Init::custom();
  if (spec.kind == MixingKind::swap)
    expect(channels % 2 == 0, "mixing swap: expected an even number of channels, got {}", channels);
  if (spec.kind == MixingKind::householder) {
    expect(spec.reflections >= 1, "mixing householder: expected at least one reflection, got {}",
           spec.reflections);
    vectors_.emplace(Shape{spec.reflections, channels}, Init::normal(0.2));
  }
  if (spec.kind == MixingKind::conv1x1) {
    lower_.emplace(Shape{channels, channels}, custom);
    upper_.emplace(Shape{channels, channels}, custom);
  }
}

void Mixing::collect(const std::string& prefix, StateList& state) {
  name_ = prefix + "w";
  switch (spec_.kind) {
    case MixingKind::none:
    case MixingKind::swap:
      return;
    case MixingKind::permutation:
      return state.add(prefix + "w_index", index_);
    case MixingKind::orthogonal:
      return state.add(prefix + "w", matrix_);
    case MixingKind::householder:
      state.add(prefix + "vk_householder", *vectors_);
      return state.add(prefix + "w_0", matrix_);
    case MixingKind::conv1x1:
      state.add(prefix + "w_lower", *lower_);
      state.add(prefix + "w_upper", *upper_);
      return state.add(prefix + "w_index", index_);
  }
}

void Mixing::initialise(DType dtype, uint64_t seed) {
  const Philox random(seed, RandomPurpose::init, random_stream_of(name_));
  const Shape square{channels_, channels_};
  if (device_of_values().meta) {
    // Shapes alone, which a large orthogonal matrix would take long to fill.
    index_ = Tensor::empty({channels_}, DType::i32, Tag::parameters);
    matrix_ = Tensor::empty(square, dtype, Tag::parameters);
    return refresh();
  }
  switch (spec_.kind) {
    case MixingKind::none:
      return;
    case MixingKind::swap: {
      std::vector<int32_t> index(static_cast<size_t>(channels_));
      const int64_t half = channels_ / 2;
      for (int64_t i = 0; i < channels_; ++i)
        index[static_cast<size_t>(i)] = static_cast<int32_t>((i + half) % channels_);
      index_ = index_tensor(index);
      return refresh();
    }
    case MixingKind::permutation:
      index_ = index_tensor(random_permutation(channels_, random));
      return refresh();
    case MixingKind::orthogonal:
    case MixingKind::householder:
      matrix_ = parameter_tensor(random_orthogonal(channels_, random), square, dtype);
      return;
    case MixingKind::conv1x1: {
      const PluFactors factors = plu_factors(random_orthogonal(channels_, random), channels_);
      index_ = index_tensor(factors.permutation);
      lower_->value.copy_from(tensor_of(factors.lower, square, dtype));
      upper_->value.copy_from(tensor_of(factors.upper, square, dtype));
      return refresh();
    }
  }
}

void Mixing::refresh() {
  if (index_.defined()) inverse_index_ = pal::inverse_index(index_);
}

Tensor Mixing::matrix() const {
  const Shape square{channels_, channels_};
  if (is_meta()) return matrix_;
  if (spec_.kind == MixingKind::householder)
    return tensor_of(
        householder_product(host_values(matrix_), host_values(vectors_->value), channels_), square,
        matrix_.dtype());
  if (spec_.kind == MixingKind::conv1x1)
    return tensor_of(plu_matrix(factors_of(index_, *lower_, *upper_)), square,
                     lower_->value.dtype());
  return matrix_;
}

Tensor Mixing::apply(const Tensor& v) const {
  const Tensor y = Tensor::empty(v.shape(), v.dtype());
  PAL_BACKEND(v, gemm(v, matrix(), y, {.transpose_b = true, .exact = true}));
  return y;
}

Tensor Mixing::unapply(const Tensor& y) const {
  const Tensor v = Tensor::empty(y.shape(), y.dtype());
  if (spec_.kind == MixingKind::conv1x1 && !is_meta()) {
    const Tensor inverse = tensor_of(plu_inverse(factors_of(index_, *lower_, *upper_)),
                                     {channels_, channels_}, y.dtype());
    PAL_BACKEND(y, gemm(y, inverse, v, {.transpose_b = true, .exact = true}));
  } else {
    // Orthogonal: the inverse is the transpose.
    PAL_BACKEND(y, gemm(y, matrix(), v, {.exact = true}));
  }
  return v;
}

Tensor Mixing::backward(const Tensor& grad_y, const Tensor& v, const Tensor& grad_log_det,
                        int64_t rows) {
  if (is_meta() || !parameter_grads_enabled()) {
    // Learned matrices are differentiated on the host.
  } else if (spec_.kind == MixingKind::householder) {
    std::vector<double> grad(static_cast<size_t>(vectors_->shape.numel()), 0.0);
    householder_backward(host_values(matrix_), host_values(vectors_->value), channels_,
                         matrix_gradient(grad_y, v), grad);
    add_gradient(grad, *vectors_);
  } else if (spec_.kind == MixingKind::conv1x1) {
    const auto count = static_cast<size_t>(channels_ * channels_);
    std::vector<double> grad_lower(count, 0.0), grad_upper(count, 0.0);
    const std::vector<double> per_sample = host_values(grad_log_det);
    const double log_det_weight =
        static_cast<double>(rows) * std::accumulate(per_sample.begin(), per_sample.end(), 0.0);
    plu_backward(factors_of(index_, *lower_, *upper_), matrix_gradient(grad_y, v), log_det_weight,
                 grad_lower, grad_upper);
    add_gradient(grad_lower, *lower_);
    add_gradient(grad_upper, *upper_);
  }
  const Tensor grad_v = Tensor::empty(grad_y.shape(), grad_y.dtype());
  PAL_BACKEND(grad_y, gemm(grad_y, matrix(), grad_v, {.exact = true}));
  return grad_v;
}

double Mixing::log_det() const {
  return spec_.kind == MixingKind::conv1x1 && !is_meta()
             ? plu_log_det(factors_of(index_, *lower_, *upper_))
             : 0.0;
}

}  // namespace pal
