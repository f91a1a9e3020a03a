#pragma once
#include "bench/libtorch/subnet.h"

namespace rival {

struct BlockResult {
  at::Tensor y;
  /// What the block adds to the log-determinant, [n] or a scalar; undefined: nothing.
  at::Tensor log_det;
};

/// A part of a network after which activation checkpointing may cut.
class Block {
 public:
  Block() = default;
  virtual ~Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  virtual BlockResult forward(const at::Tensor& x, const Pass& pass) const = 0;
};

/// a + b, either of which may be undefined.
inline at::Tensor sum_of(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? a + b : a;
}

}  // namespace rival
