#pragma once
#include "kernels/common/backend.h"

// Classification over rows of scores [n, classes], f32 or f64 (rows may be a slice). Sums in
// double. Targets are i32 labels [n] or soft targets [n, classes] in the dtype of the scores.
// Throws usage when shapes do not fit or the batch is empty, and data for a label that is not in
// [0, classes); on a GPU, where labels are not looked at, such a label belongs to no class.
namespace pal {

/// Overwrites probabilities [n, classes], which may be `scores`, with the softmax of each row.
PAL_KERNEL(void softmax(const Tensor& scores, const Tensor& probabilities))

/// Overwrites losses, f64 [n], with -sum_y target_y log softmax(scores)_y, in nats.
PAL_KERNEL(void cross_entropy(const Tensor& scores, const Tensor& targets, const Tensor& losses))

/// Overwrites grad_scores [n, classes] with the gradient of weight times the sum of the losses of
/// cross_entropy; a weight of 1/n is for their mean.
PAL_KERNEL(void cross_entropy_backward(const Tensor& scores, const Tensor& targets, double weight,
                                       const Tensor& grad_scores))

/// Overwrites targets [n, classes] with (1 - smoothing) onehot(label) + smoothing / classes, for
/// labels i32 [n] and a smoothing in [0, 1].
PAL_KERNEL(void soft_targets(const Tensor& labels, double smoothing, const Tensor& targets))

/// Overwrites labels, i32 [n], with the class of each row's first largest score.
PAL_KERNEL(void argmax(const Tensor& scores, const Tensor& labels))

/// Overwrites count, f64 [1], with how many rows have their label (i32 [n]) among the k largest
/// scores; of equal scores the first counts as larger. A label whose score is NaN never counts.
PAL_KERNEL(void count_top_k(const Tensor& scores, const Tensor& labels, int64_t k,
                            const Tensor& count))

}  // namespace pal
