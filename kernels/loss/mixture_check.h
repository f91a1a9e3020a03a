#pragma once
#include "kernels/common/check.h"
#include "kernels/loss/mixture.h"

namespace pal {

/// The means must fit each other and z.
inline void check_mixture(const char* op, const Tensor& z, const MixtureMeans& means) {
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
    expect_tensor(op, "the inverse permutation", means.inverse_permutation,
                  means.permutation.shape(), DType::i32);
  }
}

/// What mixture_losses of both backends asks of its arguments.
inline void check_mixture_losses(const Tensor& scores, const Tensor& half_norm,
                                 const Tensor& log_det, const Tensor& targets, int64_t dims,
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
}

/// What mixture_summary of both backends asks of its arguments.
inline void check_mixture_summary(const Tensor& nll_joint, const Tensor& cross_entropy,
                                  const Tensor& summary) {
  const char* op = "mixture_summary";
  expect_rank(op, "nll_joint", nll_joint, 1);
  expect_dtype(op, "nll_joint", nll_joint, DType::f64);
  expect_tensor(op, "cross_entropy", cross_entropy, nll_joint.shape(), DType::f64);
  expect_tensor(op, "summary", summary, {3}, DType::f64);
}

}  // namespace pal
