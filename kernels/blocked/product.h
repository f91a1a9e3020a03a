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

/// Computes it; no extent may be 0. The result does not depend on the number of threads.
void multiply(const Product& product);

}  // namespace pal::blocked
