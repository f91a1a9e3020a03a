#pragma once
#include <string>

namespace pal {

/// How, and how exactly, the GPU computes; plain settings of the process, to be made before work
/// begins.
struct CudaMath {
  /// f32 convolutions and matrix products round their operands to ten bits of fraction.
  bool tf32 = false;
  /// Products of f32 that say they are gradients (GemmOp) do so, whatever tf32 says: the head's,
  /// where subnets compute in bf16.
  bool tf32_gradients = false;
  /// Also algorithms whose sums come in no fixed order.
  bool allow_nondeterministic = false;
  /// Times the algorithms of a convolution or a matrix product when its shape is first met, and
  /// keeps the fastest; otherwise the library's own estimate decides.
  bool autotune = false;
  /// Batch norms before 1x1 convolutions in bf16 are part of the product (kernels/product), where
  /// that has a kernel for them.
  bool fused_products = false;
};
/// The settings of this process.
inline CudaMath& cuda_math() {
  static CudaMath instance;
  return instance;
}

/// The measured or imported choices of algorithms as JSON, {device: {problem: algorithm}} with the
/// GPU's and the library's name as the device; "{}" if there are none.
std::string library_choices();
/// Adds choices in the form of library_choices: convolutions and products planned from now on keep
/// to them, whatever autotune says, if the library still offers those algorithms. Throws data for
/// text that is no such JSON.
void set_library_choices(const std::string& json);

}  // namespace pal
