#pragma once
#include "kernels/common/check.h"

// What the softmax kernels of both backends ask of their arguments.
namespace pal {

inline void check_softmax(const Tensor& scores, const Tensor& probabilities) {
  expect_rank("softmax", "scores", scores, 2);
  expect_tensor("softmax", "probabilities", probabilities, scores.shape(), scores.dtype());
}

/// One label i32 per row of the scores.
inline void check_label_shapes(const char* op, const Tensor& labels, const Tensor& scores) {
  expect_rank(op, "scores", scores, 2);
  expect_tensor(op, "labels", labels, {scores.size(0)}, DType::i32);
}

/// Labels, or soft targets of the shape and dtype of the scores.
inline void check_target_shapes(const char* op, const Tensor& targets, const Tensor& scores) {
  if (targets.dtype() == DType::i32) return check_label_shapes(op, targets, scores);
  expect_rank(op, "scores", scores, 2);
  expect_tensor(op, "targets", targets, scores.shape(), scores.dtype());
}

inline void check_cross_entropy(const Tensor& scores, const Tensor& targets, const Tensor& losses) {
  check_target_shapes("cross_entropy", targets, scores);
  expect_tensor("cross_entropy", "losses", losses, {scores.size(0)}, DType::f64);
}

inline void check_cross_entropy_backward(const Tensor& scores, const Tensor& targets,
                                         const Tensor& grad_scores) {
  const char* op = "cross_entropy_backward";
  check_target_shapes(op, targets, scores);
  expect_tensor(op, "grad_scores", grad_scores, scores.shape(), scores.dtype());
}

inline void check_soft_targets(const Tensor& labels, double smoothing, const Tensor& targets) {
  check_label_shapes("soft_targets", labels, targets);
  expect(smoothing >= 0.0 && smoothing <= 1.0,
         "soft_targets: expected a smoothing from 0 to 1, got {}", smoothing);
}

inline void check_argmax(const Tensor& scores, const Tensor& labels) {
  check_label_shapes("argmax", labels, scores);
}

inline void check_count_top_k(const Tensor& scores, const Tensor& labels, int64_t k,
                              const Tensor& count) {
  check_label_shapes("count_top_k", labels, scores);
  expect(k >= 1, "count_top_k: expected k of at least 1, got {}", k);
  expect_tensor("count_top_k", "count", count, {1}, DType::f64);
}

}  // namespace pal
