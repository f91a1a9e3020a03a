#pragma once
#include "runtime/tensor.h"

// Products of matrices in float32 on the CPU by blocks in registers, for processors on which oneDNN's
// reach less (bench/NOTES.md, "Products of our own").
namespace pal::blocked {

/// The operands of c [m, n] = a b + bias, or of c += a b: matrices of which, where asked, the transpose
/// is meant; rows may lie apart (Tensor::pitch).
struct Product {
  const Tensor& a;
  const Tensor& b;
  const Tensor& bias;  ///< [n] or undefined
  const Tensor& c;
  bool transpose_a, transpose_b, accumulate;
};

/// Computes it. The result does not depend on the number of threads.
void multiply(const Product& product);

/// Bytes of scratch memory for a product [m, k] [k, n], for the present number of threads.
int64_t scratch_bytes(int64_t m, int64_t n, int64_t k);

}  // namespace pal::blocked
