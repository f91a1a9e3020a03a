#include "kernels/mixture.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/lanes.h"
#include "kernels/mixture_math.h"
#include "kernels/permutation.h"
#include "kernels/reduce.h"
#include "kernels/softmax_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

void check(const char* op, const Tensor& z, const MixtureMeans& means) {
  expect_rank(op, "z", z, 2);
  expect_rank(op, "mean", means.mean, 2);
  const int64_t classes = means.classes();
  const int64_t rest = z.size(1) - means.mean_size();
  expect_tensor(op, "mean", means.mean, {classes, means.mean_size()}, z.dtype());
  expect_dense(op, "mean", means.mean);
  if (means.low_rank()) {
    expect_rank(op, "alpha", means.alpha, 2);
    expect(rest > 0, "{}: expected means of fewer than {} dimensions beside prototypes, got {}", op,
           z.size(1), means.mean_size());
    expect_tensor(op, "alpha", means.alpha, {classes, means.alpha.size(1)}, z.dtype());
    expect_tensor(op, "prototypes", means.prototypes, {means.alpha.size(1), rest}, z.dtype());
    expect_dense(op, "alpha", means.alpha);
    expect_dense(op, "prototypes", means.prototypes);
  } else {
    expect(rest == 0, "{}: expected means of {} dimensions, got {}", op, z.size(1),
           means.mean_size());
  }
  if (means.permutation.defined()) {
    expect_rank(op, "permutation", means.permutation, 1);
    expect(means.permutation.numel() <= means.mean_size(),
           "{}: expected a permutation of at most {} entries, got {}", op, means.mean_size(),
           means.permutation.numel());
    expect_dtype(op, "permutation", means.permutation, DType::i32);
  }
}

/// Gives `tensor` this shape, keeping its memory if it has it already.
void prepare(Tensor& tensor, const Shape& shape, DType dtype) {
  if (!tensor.defined() || tensor.shape() != shape || tensor.dtype() != dtype)
    tensor = Tensor::empty(shape, dtype);
}

Tensor rest_of(const Tensor& z, const MixtureMeans& means) {
  return z.slice_channels(means.mean_size(), z.channels() - means.mean_size());
}

/// to = from with the first channels in the order of `index`; the others stay where they are.
void permute_head(const Tensor& from, const Tensor& index, const Tensor& to) {
  const int64_t head = index.numel();
  cpu::permute_channels(from.slice_channels(0, head), index, to.slice_channels(0, head));
  const int64_t tail = from.channels() - head;
  if (tail > 0) to.slice_channels(head, tail).copy_from(from.slice_channels(head, tail));
}

void order_mean_part(const Tensor& z, const MixtureMeans& means, MixtureState& state) {
  const Tensor part = z.slice_channels(0, means.mean_size());
  if (!means.permutation.defined()) {
    state.z_mean = part;
    return;
  }
  const int64_t head = means.permutation.numel();
  const auto inverse =
      invert_permutation({means.permutation.data<int32_t>(), static_cast<size_t>(head)});
  prepare(state.inverse_permutation, {head}, DType::i32);
  std::copy(inverse.begin(), inverse.end(), state.inverse_permutation.data<int32_t>());
  state.z_mean = Tensor::empty(part.shape(), z.dtype());
  permute_head(part, means.permutation, state.z_mean);
}

/// target[y, :] += factor * weights[y] * source[y, :].
template <typename T>
void add_weighted_rows(const Tensor& weights, double factor, const Tensor& source,
                       const Tensor& target) {
  const T* from = source.data<T>();
  T* to = target.data<T>();
  const double* weight = weights.data<double>();
  const int64_t width = source.channels();
  parallel_for(source.rows(), row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto a = static_cast<T>(factor * weight[row]);
      for (int64_t c = 0; c < width; ++c)
        to[row * target.pitch() + c] += a * from[row * source.pitch() + c];
    }
  });
}

/// norms[y] += <alpha_y, alpha_gram_y> / 2.
template <typename T>
void add_rest_norms(const MixtureMeans& means, const MixtureState& state) {
  const int64_t rank = means.alpha.channels();
  for (int64_t y = 0; y < means.classes(); ++y) {
    const T* a = means.alpha.data<T>() + y * rank;
    const T* b = state.alpha_gram.data<T>() + y * rank;
    state.half_norms.data<double>()[y] +=
        0.5 * lane_sum(rank, [a, b](int64_t k) { return widened(a[k]) * widened(b[k]); });
  }
}

template <typename T>
void losses_typed(const Tensor& scores, const Tensor& half_norm, const Tensor& log_det,
                  const Tensor& targets, int64_t dims, const MixtureWeights& weights,
                  const MixtureLosses& losses) {
  const int64_t classes = scores.channels();
  const double density = mixture_density_gradient(weights, scores.rows(), dims);
  const double class_weight = weights.classes / static_cast<double>(scores.rows());
  const auto width = static_cast<double>(dims);
  const auto write = [](const Tensor& target, int64_t n, double value) {
    if (target.defined()) target.data<double>()[n] = value;
  };
  parallel_for(
      scores.rows(), std::max<int64_t>(1, 2048 / classes), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
          const T* l = scores.data<T>() + n * scores.pitch();
          const T* t = targets.data<T>() + n * targets.pitch();
          const double log_sum = softmax_math::log_sum_exp(l, classes);
          double total = 0.0;
          double score = 0.0;
          for (int64_t y = 0; y < classes; ++y) {
            total += widened(t[y]);
            score += widened(t[y]) * widened(l[y]);
          }
          const double norm = half_norm.data<double>()[n];
          const double volume = log_det.data<double>()[n];
          write(losses.nll_joint, n, mixture_math::nll_joint(norm, log_sum, volume, width));
          write(losses.nll_class, n, mixture_math::nll_class(norm, score, total, volume, width));
          write(losses.cross_entropy, n, mixture_math::cross_entropy(log_sum, score, total));
          if (!losses.grad_scores.defined()) continue;
          T* grad = losses.grad_scores.data<T>() + n * losses.grad_scores.pitch();
          for (int64_t y = 0; y < classes; ++y)
            grad[y] = static_cast<T>(mixture_math::score_gradient(
                std::exp(widened(l[y]) - log_sum), widened(t[y]), total, density, class_weight));
        }
      });
}

/// Gradients of alpha and the prototypes, and the rest part of grad_z. `weights` are the column
/// sums of grad_scores: the weight that each class's squared norm has in the loss.
void backward_rest(const Tensor& z, const MixtureMeans& means, const MixtureState& state,
                   const Tensor& grad_scores, const Tensor& weights, const Tensor& grad_z,
                   const MixtureGrads& grads) {
  const DType dtype = z.dtype();
  const Tensor grad_projection = Tensor::empty(state.projection.shape(), dtype);
  cpu::gemm(grad_scores, means.alpha, grad_projection);
  cpu::gemm(grad_projection, means.prototypes, rest_of(grad_z, means));
  if (grads.alpha.defined()) {
    cpu::gemm(grad_scores, state.projection, grads.alpha,
              {.transpose_a = true, .accumulate = true});
    dispatch_real("mixture_backward", dtype, [&](auto typed) {
      add_weighted_rows<decltype(typed)>(weights, -1.0, state.alpha_gram, grads.alpha);
    });
  }
  if (!grads.prototypes.defined()) return;
  cpu::gemm(grad_projection, rest_of(z, means), grads.prototypes,
            {.transpose_a = true, .accumulate = true});
  // d/dP of -sum_y weight_y alpha_y^T P P^T alpha_y / 2 is -(alpha^T diag(weight) alpha) P.
  const Tensor weighted = Tensor::zeros(means.alpha.shape(), dtype);
  dispatch_real("mixture_backward", dtype, [&](auto typed) {
    add_weighted_rows<decltype(typed)>(weights, -1.0, means.alpha, weighted);
  });
  const Tensor mixed = Tensor::empty(state.gram.shape(), dtype);
  cpu::gemm(means.alpha, weighted, mixed, {.transpose_a = true});
  cpu::gemm(mixed, means.prototypes, grads.prototypes, {.accumulate = true});
}

}  // namespace

double mixture_density_gradient(const MixtureWeights& weights, int64_t batch, int64_t dims) {
  return weights.density / (static_cast<double>(batch) * static_cast<double>(dims));
}

namespace cpu {

void mixture_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                    MixtureState& state) {
  const char* op = "mixture_scores";
  check(op, z, means);
  const int64_t classes = means.classes();
  expect_tensor(op, "scores", scores, {z.size(0), classes}, z.dtype());
  const ProfileScope scope(op, z.bytes() + means.mean.bytes() + scores.bytes());
  order_mean_part(z, means, state);
  gemm(state.z_mean, means.mean, scores, {.transpose_b = true});
  prepare(state.half_norms, {classes}, DType::f64);
  half_squared_norm(means.mean, state.half_norms);
  if (means.low_rank()) {
    const int64_t rank = means.alpha.channels();
    prepare(state.projection, {z.size(0), rank}, z.dtype());
    prepare(state.gram, {rank, rank}, z.dtype());
    prepare(state.alpha_gram, {classes, rank}, z.dtype());
    gemm(rest_of(z, means), means.prototypes, state.projection, {.transpose_b = true});
    gemm(means.prototypes, means.prototypes, state.gram, {.transpose_b = true});
    gemm(means.alpha, state.gram, state.alpha_gram);
    gemm(state.projection, means.alpha, scores, {.transpose_b = true, .accumulate = true});
  }
  dispatch_real(op, z.dtype(), [&](auto typed) {
    using T = decltype(typed);
    if (means.low_rank()) add_rest_norms<T>(means, state);
    const double* norms = state.half_norms.data<double>();
    for (int64_t n = 0; n < scores.rows(); ++n) {
      T* row = scores.data<T>() + n * scores.pitch();
      for (int64_t y = 0; y < classes; ++y) row[y] = static_cast<T>(widened(row[y]) - norms[y]);
    }
  });
}

void mixture_losses(const Tensor& scores, const Tensor& half_norm, const Tensor& log_det,
                    const Tensor& targets, int64_t dims, const MixtureWeights& weights,
                    const MixtureLosses& losses) {
  const char* op = "mixture_losses";
  expect_rank(op, "scores", scores, 2);
  const Shape per_sample{scores.size(0)};
  expect_tensor(op, "half_norm", half_norm, per_sample, DType::f64);
  expect_tensor(op, "log_det", log_det, per_sample, DType::f64);
  expect_tensor(op, "targets", targets, scores.shape(), scores.dtype());
  expect(dims >= 1, "{}: expected at least 1 dimension, got {}", op, dims);
  for (const Tensor* target : {&losses.nll_joint, &losses.nll_class, &losses.cross_entropy})
    if (target->defined()) expect_tensor(op, "losses", *target, per_sample, DType::f64);
  if (losses.grad_scores.defined())
    expect_tensor(op, "grad_scores", losses.grad_scores, scores.shape(), scores.dtype());
  const ProfileScope scope(op, 3 * scores.bytes());
  dispatch_real(op, scores.dtype(), [&](auto typed) {
    losses_typed<decltype(typed)>(scores, half_norm, log_det, targets, dims, weights, losses);
  });
}

void mixture_backward(const Tensor& z, const MixtureMeans& means, const MixtureState& state,
                      const Tensor& grad_scores, double norm_gradient, const Tensor& grad_z,
                      const MixtureGrads& grads) {
  const char* op = "mixture_backward";
  check(op, z, means);
  expect_shape(op, "state", state.z_mean, {z.size(0), means.mean_size()});
  expect_tensor(op, "grad_scores", grad_scores, {z.size(0), means.classes()}, z.dtype());
  expect_tensor(op, "grad_z", grad_z, z.shape(), z.dtype());
  const ProfileScope scope(op, 3 * z.bytes() + 2 * means.mean.bytes());
  const Tensor weights = Tensor::zeros({means.classes()}, DType::f64);
  channel_sums(grad_scores, weights);
  const Tensor grad_mean_part = grad_z.slice_channels(0, means.mean_size());
  if (means.permutation.defined()) {
    const Tensor ordered = Tensor::empty(grad_mean_part.shape(), z.dtype());
    gemm(grad_scores, means.mean, ordered);
    permute_head(ordered, state.inverse_permutation, grad_mean_part);
  } else {
    gemm(grad_scores, means.mean, grad_mean_part);
  }
  if (grads.mean.defined()) {
    expect_tensor(op, "gradient of mean", grads.mean, means.mean.shape(), z.dtype());
    gemm(grad_scores, state.z_mean, grads.mean, {.transpose_a = true, .accumulate = true});
    dispatch_real(op, z.dtype(), [&](auto typed) {
      add_weighted_rows<decltype(typed)>(weights, -1.0, means.mean, grads.mean);
    });
  }
  if (means.low_rank()) backward_rest(z, means, state, grad_scores, weights, grad_z, grads);
  if (norm_gradient != 0.0) axpy(norm_gradient, z, grad_z);
}

}  // namespace cpu
}  // namespace pal
