#pragma once
#include <cstdint>

namespace rival {

/// Bytes of all tensors in memory of the host, and their peak.
struct TensorBytes {
  int64_t current = 0;
  int64_t peak = 0;
};

/// Makes PyTorch's allocations on the CPU counted; to be called once, before the first tensor. With
/// `keep`, memory that is given back stays with the process for the next tensor, as users arrange
/// with another malloc: otherwise every step faults all its pages in anew.
void count_tensor_bytes(bool keep);
TensorBytes tensor_bytes();
/// Sets the peak to the current value.
void reset_peak_tensor_bytes();

}  // namespace rival
