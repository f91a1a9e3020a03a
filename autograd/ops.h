#pragma once
#include "autograd/parameter.h"
#include "autograd/variable.h"
#include "kernels/library/conv.h"
#include "kernels/norm/batch_norm.h"
#include "kernels/pool/pool.h"

// Differentiable wrappers of the kernels that subnets and residual networks are made of. Each picks
// the backend from its input's device, checks shapes through the kernel, and adds gradients of
// parameters in place.
namespace pal {

class Communicator;

/// A convolution's square kernel, its weights [out, k, k, in] and bias [out].
struct Conv {
  Parameter* weight = nullptr;
  Parameter* bias = nullptr;  ///< null: none
  ConvGeometry geometry = {};
  /// On a GPU the caller adds to the bias's gradient, as the sums of that of the result over all
  /// rows, which it comes by on the way.
  bool bias_gradient_elsewhere = false;
};

/// x [n, h, w, in] convolved, plus bias: [n, h', w', out] of x's dtype (f32, bf16, f64). Keeps x,
/// which is copied dense if it is a channel slice.
Variable conv2d(const Variable& x, const Conv& conv);

/// A batch norm's learned scale and offset, and whether a ReLU follows.
struct Norm {
  Parameter* weight = nullptr;
  Parameter* bias = nullptr;
  bool relu = false;
  /// Statistics of a batch are those of the rows of all these ranks (autograd/norm_statistics.h);
  /// null: of this process's alone.
  Communicator* ranks = nullptr;
};

/// Batch normalisation of x's channels, with ReLU if asked; the result has dtype `result` (x's own,
/// or bf16 from f32). Keeps x. `batch_statistics_used`: mean and inv_std in `args` come from x
/// itself, so gradients flow through them. A pass that records nothing and needs x no more may let it
/// `overwrite` x, if that is of dtype `result`.
Variable batch_norm(const Variable& x, const BatchNormArgs& args, const Norm& norm,
                    bool batch_statistics_used, DType result, bool overwrite = false);

/// The backward pass of batch_norm, for ops that contain one: adds to the gradients of the norm's
/// parameters and returns that of x, in the memory of `reused` if defined; where x has a target for
/// its gradient, adds to that and returns nothing.
Tensor batch_norm_gradients(const Variable& x, const Tensor& grad_y, const Norm& norm,
                            const BatchNormArgs& args, bool batch_statistics_used,
                            const Tensor& reused = {});

/// max(x, 0), elementwise. Keeps the result.
Variable relu(const Variable& x);

/// max(branch + shortcut, 0) of equal shapes and dtypes, in the memory of `branch`: for results
/// whose maker does not need their values again, as those of batch_norm.
Variable add_relu(const Variable& branch, const Variable& shortcut);

/// The largest value of each window of x [n, h, w, c]; keeps which it was.
Variable max_pool(const Variable& x, const PoolGeometry& geometry);

/// Means over the pixels of x [n, h, w, c]: [n, c].
Variable average_pool(const Variable& x);

/// x weight^T + bias: x [n, in], weight [out, in], bias [out], the result [n, out]. Keeps x.
Variable linear(const Variable& x, Parameter& weight, Parameter& bias);

/// x in another floating dtype, rounded; x itself if it has that dtype. For bf16 subnets that begin
/// with a convolution.
Variable cast(const Variable& x, DType dtype);

}  // namespace pal
