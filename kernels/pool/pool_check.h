#pragma once
#include "kernels/common/check.h"
#include "kernels/pool/pool.h"

// What the pooling kernels of both backends ask of their arguments.
namespace pal {

inline void check_average_pool(const char* op, const Tensor& image, const Tensor& means) {
  expect_rank(op, "image", image, 4);
  expect_tensor(op, "means", means, {image.size(0), image.channels()}, image.dtype());
}

inline void check_max_pool(const char* op, const Tensor& fine, const Tensor& coarse,
                           const Tensor& taps, const PoolGeometry& g) {
  expect_rank(op, "image", fine, 4);
  expect(g.kernel >= 1 && g.kernel <= 15 && g.stride >= 1 && g.padding >= 0 &&
             g.padding < g.kernel && g.out_size(fine.size(1)) >= 1 && g.out_size(fine.size(2)) >= 1,
         "{}: a window of {} with stride {} and padding {} does not fit {}", op, g.kernel, g.stride,
         g.padding, fine.shape().str());
  expect_tensor(op, "pooled image", coarse,
                {fine.size(0), g.out_size(fine.size(1)), g.out_size(fine.size(2)), fine.size(3)},
                fine.dtype());
  expect_tensor(op, "taps", taps, coarse.shape(), DType::u8);
  expect_dense(op, "taps", taps);
}

}  // namespace pal
