#include "kernels/library/gemm_problem.h"

#include <gtest/gtest.h>

#include <map>

namespace pal {
namespace {

/// Three columns more than asked for, of which some are left out on the left.
Tensor slice_of(const Shape& shape, DType dtype, int64_t left, int64_t right) {
  return Tensor::empty(shape.with_last(left + shape.last() + right), dtype)
      .slice_channels(left, shape.last());
}

TEST(GemmProblem, HasATextForEachKey) {
  std::map<std::string, std::vector<int64_t>> keys;
  std::map<std::vector<int64_t>, std::string> texts;
  int problems = 0;
  const std::pair<int64_t, int64_t> margins[] = {{0, 0}, {0, 8}, {1, 7}};
  for (const int64_t rows : {8, 16})
    for (const int transposes : {0, 1, 2, 3})
      for (const auto& [in, out] : {std::pair{DType::f32, DType::f32},
                                    {DType::bf16, DType::f32},
                                    {DType::bf16, DType::bf16}})
        for (const auto& [left_a, right_a] : margins)
          for (const auto& [left_b, right_b] : margins)
            for (const auto& [left_c, right_c] : margins)
              for (const bool bias : {false, true})
                for (const bool tf32 : {false, true}) {
                  const GemmOp op{(transposes & 1) != 0, (transposes & 2) != 0};
                  const Shape a = op.transpose_a ? Shape{32, rows} : Shape{rows, 32};
                  const Shape b = op.transpose_b ? Shape{24, 32} : Shape{32, 24};
                  const GemmProblem problem(slice_of(a, in, left_a, right_a),
                                            slice_of(b, in, left_b, right_b),
                                            bias ? Tensor::empty({24}) : Tensor(),
                                            slice_of({rows, 24}, out, left_c, right_c), op, tf32);
                  ++problems;
                  keys[problem.text()] = problem.key();
                  texts[problem.key()] = problem.text();
                }
  EXPECT_EQ(static_cast<int>(keys.size()), problems);
  EXPECT_EQ(static_cast<int>(texts.size()), problems);
}

TEST(GemmProblem, IsReadable) {
  const Tensor pixels = Tensor::empty({100, 24}, DType::bf16);
  const Tensor weights = Tensor::empty({64, 24}, DType::bf16);
  EXPECT_EQ(GemmProblem(pixels, weights, {}, Tensor::empty({100, 64}), {.transpose_b = true}, false)
                .text(),
            "gemm bf16 100x64x24 tb pitch 24 24 64 into f32");
  const Tensor odd = slice_of({100, 64}, DType::bf16, 1, 0);
  EXPECT_EQ(
      GemmProblem(pixels, weights, Tensor::empty({64}), odd, {.transpose_b = true}, false).text(),
      "gemm bf16 100x64x24 tb pitch 24 24 65 bias odd c");
}

}  // namespace
}  // namespace pal
