#pragma once
#include <ATen/ATen.h>

namespace rival {

/// A permutation of channels and its inverse, int64 [c].
struct ChannelOrder {
  explicit ChannelOrder(const at::Tensor& order);
  at::Tensor index, inverse;
};

/// x[..., order.index], dense; its backward pass gathers too, where autograd's own would scatter.
/// at::gather with an expanded index is the fastest of PyTorch's ways to do this on a CPU: 3 to 10
/// times faster than index_select along the last extent.
at::Tensor gather_last(const at::Tensor& x, const ChannelOrder& order);

}  // namespace rival
