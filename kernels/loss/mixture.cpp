#include "kernels/loss/mixture.h"

#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/reduce.h"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/library/gemm.h"
#include "kernels/loss/mixture_check.h"
#include "kernels/loss/mixture_rows.h"
#include "kernels/mixing/permute_channels.h"
#include "runtime/profiler.h"

// Both backends compute scores and gradients by the same matrix products; kernels of their own do
// the rest.
namespace pal {
namespace {

/// A gradient over the batch, added to that of a parameter.
constexpr GemmOp kAddedGradient{.transpose_a = true, .accumulate = true, .gradient = true};

/// Gives `tensor` this shape on the device of z, keeping its memory if it has it already.
void prepare(Tensor& tensor, const Shape& shape, DType dtype, const Tensor& z) {
  if (!tensor.defined() || tensor.shape() != shape || tensor.dtype() != dtype ||
      tensor.device() != z.device())
    tensor = Tensor::empty(shape, dtype, Tag::workspace, z.device());
}

/// A tensor of this shape, in the dtype and on the device of z, for what is needed within a call.
Tensor temporary(const Shape& shape, const Tensor& z) {
  return Tensor::empty(shape, z.dtype(), Tag::workspace, z.device());
}

/// The dimensions of z beyond those that `mean` covers.
Tensor rest_of(const Tensor& z, const MixtureMeans& means) {
  return z.slice_channels(means.mean_size(), z.channels() - means.mean_size());
}

/// to = from with the first channels in the order of `index`; the others stay where they are.
void permute_head(const Tensor& from, const Tensor& index, const Tensor& to) {
  const int64_t head = index.numel();
  PAL_BACKEND(from,
              permute_channels(from.slice_channels(0, head), index, to.slice_channels(0, head)));
  const int64_t tail = from.channels() - head;
  if (tail > 0) to.slice_channels(head, tail).copy_from(from.slice_channels(head, tail));
}

/// gram = prototypes prototypes^T. Large ones by their symmetry, from two products instead of one:
/// the left half of the columns, and the lower right quarter; the upper right one is the mirror
/// image of the lower left. That is three quarters of the operations, in shapes that suit libraries
/// as well as the whole does; more and narrower parts would save another eighth at most.
void compute_gram(const Tensor& prototypes, const Tensor& gram) {
  constexpr GemmOp kOp{.transpose_b = true, .exact = true};
  constexpr int64_t kLarge = 64;
  constexpr int64_t kStep = 16;  // of the half: vectors of all dtypes stay aligned
  const int64_t rank = gram.rows();
  if (rank < kLarge) return PAL_BACKEND(gram, gemm(prototypes, prototypes, gram, kOp));
  const int64_t left = (rank / 2 + kStep - 1) / kStep * kStep;
  const int64_t right = rank - left;
  const Tensor last = prototypes.slice_batch(left, right);
  PAL_BACKEND(gram,
              gemm(prototypes, prototypes.slice_batch(0, left), gram.slice_channels(0, left), kOp));
  PAL_BACKEND(gram,
              gemm(last, last, gram.slice_batch(left, right).slice_channels(left, right), kOp));
  PAL_BACKEND(gram, mirror_lower_left(gram, left));
}

/// Adds what the low-rank dimensions contribute to the scores; fills their projection.
void add_rest_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                     MixtureState& state) {
  const int64_t rank = means.alpha.channels();
  prepare(state.projection, {z.size(0), rank}, z.dtype(), z);
  PAL_BACKEND(z, gemm(rest_of(z, means), means.prototypes, state.projection,
                      {.transpose_b = true, .exact = true}));
  PAL_BACKEND(z, gemm(state.projection, means.alpha, scores,
                      {.transpose_b = true, .accumulate = true, .exact = true}));
}

/// Half the squared norms of the means, and what they are made of.
void compute_norms(const Tensor& z, const MixtureMeans& means, MixtureState& state) {
  prepare(state.half_norms, {means.classes()}, DType::f64, z);
  PAL_BACKEND(z, half_squared_norm(means.mean, state.half_norms));
  if (!means.low_rank()) return;
  const int64_t rank = means.alpha.channels();
  prepare(state.gram, {rank, rank}, z.dtype(), z);
  prepare(state.alpha_gram, {means.classes(), rank}, z.dtype(), z);
  compute_gram(means.prototypes, state.gram);
  PAL_BACKEND(z, gemm(means.alpha, state.gram, state.alpha_gram, {.exact = true}));
  PAL_BACKEND(z, add_half_products(means.alpha, state.alpha_gram, state.half_norms));
}

template <typename Scope>
void compute_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                    MixtureState& state) {
  const char* op = "mixture_scores";
  check_mixture(op, z, means);
  expect_tensor(op, "scores", scores, {z.size(0), means.classes()}, z.dtype());
  const Scope scope(op);  // a group: its parts have the costs
  const Tensor mean_part = z.slice_channels(0, means.mean_size());
  if (means.permutation.defined()) {
    // New memory: with other means the state's tensor may be a view of z.
    state.z_mean = temporary(mean_part.shape(), z);
    permute_head(mean_part, means.permutation, state.z_mean);
  } else {
    state.z_mean = mean_part;
  }
  PAL_BACKEND(z, gemm(state.z_mean, means.mean, scores, {.transpose_b = true, .exact = true}));
  if (!state.norms_known) compute_norms(z, means, state);
  if (means.low_rank()) add_rest_scores(z, means, scores, state);
  PAL_BACKEND(z, subtract_norms(state.half_norms, scores));
}

/// Adds to the gradients of alpha and the prototypes and overwrites the low-rank part of grad_z.
/// `weights`, the column sums of grad_scores, is what each class's squared norm weighs in the loss.
void backward_rest(const Tensor& z, const MixtureMeans& means, const MixtureState& state,
                   const Tensor& grad_scores, const Tensor& weights, const Tensor& grad_z,
                   const MixtureGrads& grads) {
  const Tensor grad_projection = temporary(state.projection.shape(), z);
  PAL_BACKEND(z, gemm(grad_scores, means.alpha, grad_projection, {.gradient = true}));
  PAL_BACKEND(z,
              gemm(grad_projection, means.prototypes, rest_of(grad_z, means), {.gradient = true}));
  if (grads.alpha.defined()) {
    PAL_BACKEND(z, gemm(grad_scores, state.projection, grads.alpha, kAddedGradient));
    PAL_BACKEND(z, add_weighted_rows(weights, -1.0, state.alpha_gram, grads.alpha));
  }
  if (!grads.prototypes.defined()) return;
  PAL_BACKEND(z, gemm(grad_projection, rest_of(z, means), grads.prototypes, kAddedGradient));
  // d/dP of -sum_y weight_y alpha_y^T P P^T alpha_y / 2 is -(alpha^T diag(weight) alpha) P.
  const Tensor weighted = Tensor::zeros(means.alpha.shape(), z.dtype(), Tag::workspace, z.device());
  PAL_BACKEND(z, add_weighted_rows(weights, -1.0, means.alpha, weighted));
  const Tensor mixed = temporary(state.gram.shape(), z);
  PAL_BACKEND(z, gemm(means.alpha, weighted, mixed, {.transpose_a = true, .gradient = true}));
  PAL_BACKEND(
      z, gemm(mixed, means.prototypes, grads.prototypes, {.accumulate = true, .gradient = true}));
}

template <typename Scope>
void compute_backward(const Tensor& z, const MixtureMeans& means, const MixtureState& state,
                      const Tensor& grad_scores, double norm_gradient, const Tensor& grad_z,
                      const MixtureGrads& grads) {
  const char* op = "mixture_backward";
  check_mixture(op, z, means);
  expect_shape(op, "state", state.z_mean, {z.size(0), means.mean_size()});
  expect_tensor(op, "grad_scores", grad_scores, {z.size(0), means.classes()}, z.dtype());
  expect_tensor(op, "grad_z", grad_z, z.shape(), z.dtype());
  if (grads.mean.defined())
    expect_tensor(op, "gradient of mean", grads.mean, means.mean.shape(), z.dtype());
  const Scope scope(op);  // a group, as above
  const Tensor weights = Tensor::zeros({means.classes()}, DType::f64, Tag::workspace, z.device());
  PAL_BACKEND(z, channel_sums(grad_scores, weights));
  const Tensor grad_mean_part = grad_z.slice_channels(0, means.mean_size());
  if (means.permutation.defined()) {
    const Tensor ordered = temporary(grad_mean_part.shape(), z);
    PAL_BACKEND(z, gemm(grad_scores, means.mean, ordered, {.gradient = true}));
    permute_head(ordered, means.inverse_permutation, grad_mean_part);
  } else {
    PAL_BACKEND(z, gemm(grad_scores, means.mean, grad_mean_part, {.gradient = true}));
  }
  if (grads.mean.defined()) {
    PAL_BACKEND(z, gemm(grad_scores, state.z_mean, grads.mean, kAddedGradient));
    PAL_BACKEND(z, add_weighted_rows(weights, -1.0, means.mean, grads.mean));
  }
  if (means.low_rank()) backward_rest(z, means, state, grad_scores, weights, grad_z, grads);
  if (norm_gradient != 0.0) PAL_BACKEND(z, axpy(norm_gradient, z, grad_z));
}

}  // namespace

double mixture_density_gradient(const MixtureWeights& weights, int64_t batch, int64_t dims) {
  return weights.density / (static_cast<double>(batch) * static_cast<double>(dims));
}

namespace cpu {

void mixture_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                    MixtureState& state) {
  compute_scores<ProfileScope>(z, means, scores, state);
}

void mixture_backward(const Tensor& z, const MixtureMeans& means, const MixtureState& state,
                      const Tensor& grad_scores, double norm_gradient, const Tensor& grad_z,
                      const MixtureGrads& grads) {
  compute_backward<ProfileScope>(z, means, state, grad_scores, norm_gradient, grad_z, grads);
}

}  // namespace cpu

#ifdef PAL_CUDA
namespace cuda {

void mixture_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                    MixtureState& state) {
  expect_gpu_stream("mixture_scores", z.dtype());
  compute_scores<ProfileScope>(z, means, scores, state);
}

void mixture_backward(const Tensor& z, const MixtureMeans& means, const MixtureState& state,
                      const Tensor& grad_scores, double norm_gradient, const Tensor& grad_z,
                      const MixtureGrads& grads) {
  expect_gpu_stream("mixture_backward", z.dtype());
  compute_backward<ProfileScope>(z, means, state, grad_scores, norm_gradient, grad_z, grads);
}

}  // namespace cuda
#endif
}  // namespace pal
