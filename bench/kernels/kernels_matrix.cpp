// Matrix products: dense mixing, the heads, and square ones for comparison with the peak.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/kernels/best_onednn.h"
#include "kernels/library/gemm.h"

namespace pal::bench {
namespace {

struct GemmCase {
  const char* name;
  int64_t m, n, k;
};
constexpr GemmCase kGemmCases[] = {
    {"square", 1024, 1024, 1024},       {"mixing_48@56", 12544, 48, 48},
    {"mixing_192@28", 3136, 192, 192},  {"mixing_768@14", 784, 768, 768},
    {"mixing_3072@7", 196, 3072, 3072}, {"class_scores", 4, 1000, 3072},
    {"low_rank_scores", 4, 128, 147456}};
/// Rows of batch 256; on a GPU the 4 images of above say nothing.
constexpr int64_t kImagesFactor = 64;

GemmCase for_target(GemmCase c) {
  if (target().device.is_cpu()) return c;
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(target().elements)));
  if (c.m == c.n && c.n == c.k) return {c.name, side, side, side};
  c.m = std::min(kImagesFactor * c.m, 16 * side);
  return c;
}

void run(benchmark::State& state, const GemmCase& c, DType dtype) {
  const Tensor a = random_tensor({c.m, c.k}, dtype);
  const Tensor b = random_tensor({c.n, c.k}, dtype);
  const Tensor out = Tensor::empty({c.m, c.n});
  against_best(
      state, {a.bytes() + b.bytes() + out.bytes(), 2 * c.m * c.n * c.k, dtype},
      [&] { PAL_BACKEND(a, gemm(a, b, out, {.transpose_b = true})); },
      [&] { return best_gemm(c.m, c.n, c.k, dtype); });
}

}  // namespace

void add_matrix_cases() {
  for (const Arithmetic& arithmetic : arithmetics())
    for (const GemmCase& one : kGemmCases) {
      const GemmCase c = for_target(one);
      add_case(fmt::format("gemm/{}/{}x{}x{}/{}", c.name, c.m, c.n, c.k, arithmetic.name),
               [c, arithmetic](benchmark::State& state) {
                 apply(arithmetic);
                 run(state, c, arithmetic.dtype);
               });
    }
}

}  // namespace pal::bench
