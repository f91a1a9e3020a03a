#include <string_view>

#include "kernels/blocked/product.h"
#include "kernels/library/conv_way.h"
#include "kernels/library/double_reference.h"
#include "kernels/library/gemm_bias.h"
#include "kernels/library/gemm_check.h"
#include "kernels/library/onednn.h"
#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using onednn::Memory;

/// A product as a primitive of the library, and its layouts.
struct GemmPlan {
  dnnl::matmul primitive;
  Memory::desc a, b, c, bias, scratchpad;
  /// The result's bits depend on the number of threads that compute it.
  bool threads_change_bits = false;
};

/// The arguments of a product, its bias undefined if there is none.
struct Product {
  const Tensor& a;
  const Tensor& b;
  const Tensor& bias;
  const Tensor& c;
  GemmOp op;
};

/// Descriptor of a matrix [rows, columns] whose storage is read transposed if asked.
Memory::desc matrix(const Tensor& t, int64_t rows, int64_t columns, bool transposed) {
  return onednn::strided({rows, columns}, t.dtype(),
                         transposed ? Memory::dims{1, t.pitch()} : Memory::dims{t.pitch(), 1});
}

GemmPlan make_plan(const Product& product, GemmShape size) {
  const auto& [a, b, bias, c, op] = product;
  const bool has_bias = bias.defined();
  GemmPlan plan;
  plan.a = matrix(a, size.m, size.k, op.transpose_a);
  plan.b = matrix(b, size.k, size.n, op.transpose_b);
  plan.c = matrix(c, size.m, size.n, false);
  dnnl::primitive_attr attr = onednn::attributes();
  if (op.accumulate) {
    dnnl::post_ops post;
    post.append_sum(1.0F);
    attr.set_post_ops(post);
  }
  if (has_bias)
    plan.bias = Memory::desc({1, size.n}, Memory::data_type::f32, Memory::format_tag::ab);
  const auto descriptor = onednn::describe_product(plan.a, plan.b, plan.bias, plan.c, attr);
  plan.primitive = dnnl::matmul(descriptor);
  plan.scratchpad = descriptor.scratchpad_desc();
  const std::string_view implementation = descriptor.impl_info_str();
  note_implementation(fmt::format("gemm {} {}x{}x{}{}{}", name_of(a.dtype()), size.m, size.n,
                                  size.k, op.transpose_a ? " ta" : "", op.transpose_b ? " tb" : ""),
                      std::string(implementation));
  // oneDNN's older products split the depth by the number of threads. Those of AVX-512 do so where a is
  // transposed and the depth 2048 or more, as gradients of weights are, which need not be the same on
  // other numbers of threads.
  plan.threads_change_bits = implementation.starts_with("gemm:");
  return plan;
}

/// The plan of a part of a product, of `size`. What the library makes depends on the threads that it
/// finds.
const GemmPlan& plan_of(const Product& product, GemmShape size) {
  static PlanCache<GemmPlan> plans;
  const auto& [a, b, bias, c, op] = product;
  return plans.get(
      {size.m, size.n, size.k, a.pitch(), b.pitch(), c.pitch(), op.transpose_a, op.transpose_b,
       op.accumulate, bias.defined(), static_cast<int64_t>(a.dtype()),
       static_cast<int64_t>(b.dtype()), static_cast<int64_t>(c.dtype()), thread_count()},
      [&] { return make_plan(product, size); });
}

/// Address of element (row, column) of a matrix whose storage is read transposed if asked.
void* element(const Tensor& t, int64_t row, int64_t column, bool transposed) {
  if (transposed) std::swap(row, column);
  return static_cast<char*>(t.raw()) + (row * t.pitch() + column) * size_of(t.dtype());
}

/// Computes the part of a product whose first element of c is (row, column).
void run(const Product& product, const GemmPlan& plan, int64_t row, int64_t column) {
  auto& engine = onednn::engine();
  const auto& [a, b, bias, c, op] = product;
  std::unordered_map<int, Memory> arguments = {
      {DNNL_ARG_SRC, Memory(plan.a, engine, element(a, row, 0, op.transpose_a))},
      {DNNL_ARG_WEIGHTS, Memory(plan.b, engine, element(b, 0, column, op.transpose_b))},
      {DNNL_ARG_DST, Memory(plan.c, engine, element(c, row, column, false))}};
  if (bias.defined())
    arguments.emplace(DNNL_ARG_BIAS, Memory(plan.bias, engine, bias.data<float>() + column));
  onednn::execute(plan.primitive, plan.scratchpad, std::move(arguments));
}

/// Computes a product in parts of c, each by one thread: parts that depend on the shape alone, so
/// that the bits do not depend on the number of threads.
void run_in_parts(const Product& product, GemmShape size) {
  constexpr int64_t kMaxParts = 64;
  constexpr int64_t kSmallestPart = 64;
  const bool by_rows = size.m >= size.n;
  const int64_t extent = by_rows ? size.m : size.n;
  const int64_t part =
      (extent + kMaxParts * kSmallestPart - 1) / (kMaxParts * kSmallestPart) * kSmallestPart;
  const auto shape_of = [&](int64_t length) {
    return by_rows ? GemmShape{length, size.n, size.k} : GemmShape{size.m, length, size.k};
  };
  parallel_for((extent + part - 1) / part, 1, [&](int64_t begin, int64_t end) {
    const ThreadScope one_thread(1);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * part;
      const GemmPlan& plan = plan_of(product, shape_of(std::min(part, extent - first)));
      run(product, plan, by_rows ? first : 0, by_rows ? 0 : first);
    }
  });
}

/// Whether a product is ours: not where the library reads both operands along their rows, which it does as
/// well, nor with a single row, where a matrix is read but once.
bool ours_pays(const Product& product, GemmShape size) {
  const bool along_rows = product.op.transpose_b && !product.op.transpose_a;
  return product.a.dtype() == DType::f32 && size.m > 1 && !along_rows && products_are_ours();
}

/// Whether a result whose rows lie apart is computed without gaps first: the library shares a long sum of few
/// results among threads only where they lie together.
bool dense_first(const Product& product, GemmShape size) {
  constexpr int64_t kMostResults = 65'536;
  constexpr int64_t kLongSum = 4096;
  return product.c.pitch() != size.n && !product.op.accumulate && size.m * size.n <= kMostResults &&
         size.k >= kLongSum;
}

void library_product(const Product& product, GemmShape size) {
  if (dense_first(product, size)) {
    const Tensor& c = product.c;
    const Tensor dense = Tensor::empty({size.m, size.n}, c.dtype(), Tag::workspace, c.device());
    library_product({product.a, product.b, product.bias, dense, product.op}, size);
    return c.copy_from(dense.reshape(c.shape()));
  }
  const GemmPlan& plan = plan_of(product, size);
  if (plan.threads_change_bits)
    run_in_parts(product, size);
  else
    run(product, plan, 0, 0);
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op) {
  const GemmShape size = check_gemm(a, b, c, op);
  const ProfileScope profile("gemm", a.bytes() + b.bytes() + c.bytes(), size.flops(),
                             a.dtype() == DType::bf16 ? Peak::bf16 : Peak::f32);
  if (a.dtype() == DType::f64) {
    const auto reference = double_reference().gemm;
    expect(reference != nullptr, "gemm: f64 is for test builds only");
    return reference(a, b, c, op.transpose_a, op.transpose_b, op.accumulate);
  }
  gemm_bias(a, b, {}, c, op);
}

void gemm_bias(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& c, GemmOp op) {
  const GemmShape size = check_gemm(a, b, c, op);
  const Product product = {a, b, bias, c, op};
  if (ours_pays(product, size))
    return blocked::multiply({a, b, bias, c, op.transpose_a, op.transpose_b, op.accumulate});
  onednn::wrapped("gemm", [&] { library_product(product, size); });
}

}  // namespace pal::cpu
