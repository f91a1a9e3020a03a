#pragma once
#include <cstdint>

#include "bench/kernels/kernel_case.h"
#include "kernels/library/conv.h"

namespace pal::bench {

enum class ConvDirection { forward, backward_data, backward_weight };

/// One convolution of a network, square images.
struct ConvCase {
  int64_t batch = 0;
  int64_t size = 0;  ///< of the input
  int64_t in = 0;
  int64_t out = 0;
  ConvGeometry geometry;
  DType dtype = DType::f32;

  int64_t flops() const {
    const int64_t pixels = geometry.out_size(size) * geometry.out_size(size);
    return 2 * batch * pixels * in * out * geometry.kernel * geometry.kernel;
  }
};

/// The library's convolution when it may choose the layout of every tensor, without any reorder:
/// what no other memory layout of ours could beat. Weight gradients are f32.
Work best_convolution(const ConvCase& what, ConvDirection direction);

/// The same for c[m, n] = a[m, k] b[k, n], c in f32.
Work best_gemm(int64_t m, int64_t n, int64_t k, DType dtype);

}  // namespace pal::bench
