#pragma once
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "kernels/library/gemm_check.h"

namespace pal {

/// A matrix product as far as the choice of an algorithm depends on it, but the device: that of
/// gemm_bias (gemm_bias.h), whether it adds to its result or not.
struct GemmProblem {
  /// The GPU's fast algorithms read 16 bytes at a time.
  static constexpr uintptr_t kAlignment = 16;

  GemmShape size;
  /// What is told of a, b and c.
  struct Operand {
    int64_t pitch;
    bool aligned;
    explicit Operand(const Tensor& t)
        : pitch(t.pitch()), aligned(reinterpret_cast<uintptr_t>(t.raw()) % kAlignment == 0) {}
  };
  Operand a, b, c;
  DType dtype, result;  ///< of a and b, and of c
  bool transpose_a, transpose_b, bias, tf32;

  GemmProblem(const Tensor& a_, const Tensor& b_, const Tensor& bias_, const Tensor& c_, GemmOp op,
              bool tf32_)
      : size(check_gemm(a_, b_, c_, op)),
        a(a_),
        b(b_),
        c(c_),
        dtype(a_.dtype()),
        result(c_.dtype()),
        transpose_a(op.transpose_a),
        transpose_b(op.transpose_b),
        bias(bias_.defined()),
        tf32(tf32_) {}

  /// The problem as numbers, for a PlanCache.
  std::vector<int64_t> key() const {
    return {size.m,
            size.n,
            size.k,
            a.pitch,
            b.pitch,
            c.pitch,
            a.aligned,
            b.aligned,
            c.aligned,
            static_cast<int64_t>(dtype),
            static_cast<int64_t>(result),
            transpose_a,
            transpose_b,
            bias,
            tf32};
  }
  /// The problem as text, another for each key:
  /// "gemm bf16 64x24x200704 ta pitch 64 24 24 into f32".
  std::string text() const {
    std::string text =
        fmt::format("gemm {}{} {}x{}x{}{}{} pitch {} {} {}", name_of(dtype), tf32 ? " tf32" : "",
                    size.m, size.n, size.k, transpose_a ? " ta" : "", transpose_b ? " tb" : "",
                    a.pitch, b.pitch, c.pitch);
    if (result != dtype) text += fmt::format(" into {}", name_of(result));
    if (bias) text += " bias";
    for (const auto& [name, operand] : {std::pair{'a', a}, {'b', b}, {'c', c}})
      if (!operand.aligned) text += fmt::format(" odd {}", name);
    return text;
  }
};

}  // namespace pal
