#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/cuda/parity.h"

namespace pal::test {

/// Memory on the GPU for a result: a channel slice of rows that are wider on both sides, as of
/// gpu_slice. Knows whether a kernel wrote beside it.
class GuardedOutput {
 public:
  GuardedOutput(const Shape& shape, DType dtype, int64_t begin, int64_t after)
      : begin_(begin),
        after_(after),
        wide_(
            Tensor::empty(shape.with_last(begin + shape.last() + after), dtype, Tag::data, gpu())) {
    wide_.fill(std::numeric_limits<double>::quiet_NaN());
  }

  Tensor slice() const { return wide_.slice_channels(begin_, wide_.channels() - begin_ - after_); }
  /// The slice holds the bits of `wanted` and all around it is as it was.
  void expect_written(const Tensor& wanted, const std::string& what) const {
    expect_same(wanted, slice(), what);
    expect_kept(what);
  }
  void expect_kept(const std::string& what) const {
    for (const Tensor& part :
         {wide_.slice_channels(0, begin_), wide_.slice_channels(wide_.channels() - after_, after_)})
      if (part.numel() > 0) {
        const Tensor untouched = Tensor::empty(part.shape(), part.dtype(), Tag::data, Device());
        untouched.fill(std::numeric_limits<double>::quiet_NaN());
        expect_same(untouched, part, what + ": values beside the result");
      }
  }

 private:
  int64_t begin_;
  int64_t after_;
  Tensor wide_;
};

}  // namespace pal::test
