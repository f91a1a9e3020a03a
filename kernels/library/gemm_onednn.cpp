#include "kernels/library/double_reference.h"
#include "kernels/library/gemm_bias.h"
#include "kernels/library/gemm_check.h"
#include "kernels/library/onednn.h"
#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using onednn::Memory;

/// A product as a primitive of the library, and its layouts.
struct GemmPlan {
  dnnl::matmul primitive;
  Memory::desc a, b, c, bias, scratchpad;
};

/// Descriptor of a matrix [rows, columns] whose storage is read transposed if asked.
Memory::desc matrix(const Tensor& t, int64_t rows, int64_t columns, bool transposed) {
  return onednn::strided({rows, columns}, t.dtype(),
                         transposed ? Memory::dims{1, t.pitch()} : Memory::dims{t.pitch(), 1});
}

GemmPlan make_plan(const Tensor& a, const Tensor& b, bool has_bias, const Tensor& c, int64_t depth,
                   GemmOp op) {
  GemmPlan plan;
  plan.a = matrix(a, c.rows(), depth, op.transpose_a);
  plan.b = matrix(b, depth, c.channels(), op.transpose_b);
  plan.c = matrix(c, c.rows(), c.channels(), false);
  dnnl::primitive_attr attr = onednn::attributes();
  if (op.accumulate) {
    dnnl::post_ops post;
    post.append_sum(1.0F);
    attr.set_post_ops(post);
  }
  if (has_bias)
    plan.bias = Memory::desc({1, c.channels()}, Memory::data_type::f32, Memory::format_tag::ab);
  const dnnl::matmul::desc operation = has_bias
                                           ? dnnl::matmul::desc(plan.a, plan.b, plan.bias, plan.c)
                                           : dnnl::matmul::desc(plan.a, plan.b, plan.c);
  const dnnl::matmul::primitive_desc descriptor(operation, attr, onednn::engine());
  plan.primitive = dnnl::matmul(descriptor);
  plan.scratchpad = descriptor.scratchpad_desc();
  note_implementation(
      fmt::format("gemm {} {}x{}x{}{}{}", name_of(a.dtype()), c.rows(), c.channels(), depth,
                  op.transpose_a ? " ta" : "", op.transpose_b ? " tb" : ""),
      descriptor.impl_info_str());
  return plan;
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
  onednn::wrapped("gemm", [&] {
    static PlanCache<GemmPlan> plans;
    const GemmPlan& plan =
        plans.get({size.m, size.n, size.k, a.pitch(), b.pitch(), c.pitch(), op.transpose_a,
                   op.transpose_b, op.accumulate, bias.defined(), static_cast<int64_t>(a.dtype()),
                   static_cast<int64_t>(b.dtype()), static_cast<int64_t>(c.dtype())},
                  [&] { return make_plan(a, b, bias.defined(), c, size.k, op); });
    auto& engine = onednn::engine();
    std::unordered_map<int, Memory> arguments = {
        {DNNL_ARG_SRC, Memory(plan.a, engine, a.raw())},
        {DNNL_ARG_WEIGHTS, Memory(plan.b, engine, b.raw())},
        {DNNL_ARG_DST, Memory(plan.c, engine, c.raw())}};
    if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, Memory(plan.bias, engine, bias.raw()));
    onednn::execute(plan.primitive, plan.scratchpad, std::move(arguments));
  });
}

}  // namespace pal::cpu
