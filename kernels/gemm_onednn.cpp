#include "kernels/conv.h"
#include "kernels/gemm.h"
#include "kernels/onednn.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using onednn::Memory;

struct GemmPlan {
  dnnl::matmul primitive;
  Memory::desc a, b, c, scratchpad;
};

/// Descriptor of a matrix [rows, columns] whose storage is read transposed if asked.
Memory::desc matrix(const Tensor& t, int64_t rows, int64_t columns, bool transposed) {
  return onednn::strided({rows, columns}, t.dtype(),
                         transposed ? Memory::dims{1, t.pitch()} : Memory::dims{t.pitch(), 1});
}

GemmPlan make_plan(const Tensor& a, const Tensor& b, const Tensor& c, int64_t depth, GemmOp op) {
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
  const dnnl::matmul::primitive_desc descriptor(dnnl::matmul::desc(plan.a, plan.b, plan.c), attr,
                                                onednn::engine());
  plan.primitive = dnnl::matmul(descriptor);
  plan.scratchpad = descriptor.scratchpad_desc();
  onednn::note_implementation(
      fmt::format("gemm {} {}x{}x{}{}{}", name_of(a.dtype()), c.rows(), c.channels(), depth,
                  op.transpose_a ? " ta" : "", op.transpose_b ? " tb" : ""),
      descriptor.impl_info_str());
  return plan;
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op) {
  const int64_t depth = op.transpose_a ? a.rows() : a.channels();
  const int64_t b_depth = op.transpose_b ? b.channels() : b.rows();
  const int64_t m = op.transpose_a ? a.channels() : a.rows();
  const int64_t n = op.transpose_b ? b.rows() : b.channels();
  expect(depth == b_depth && m == c.rows() && n == c.channels() && m * n * depth > 0,
         "gemm: shapes do not fit: {}{} times {}{} into {}", a.shape().str(),
         op.transpose_a ? "^T" : "", b.shape().str(), op.transpose_b ? "^T" : "", c.shape().str());
  const ProfileScope profile("gemm", a.bytes() + b.bytes() + c.bytes(), 2 * m * n * depth);
  if (a.dtype() == DType::f64) {
    const auto reference = double_reference().gemm;
    expect(reference != nullptr, "gemm: f64 is for test builds only");
    return reference(a, b, c, op.transpose_a, op.transpose_b, op.accumulate);
  }
  onednn::wrapped("gemm", [&] {
    static onednn::PlanCache<GemmPlan> plans;
    const GemmPlan& plan =
        plans.get({m, n, depth, a.pitch(), b.pitch(), c.pitch(), op.transpose_a, op.transpose_b,
                   op.accumulate, static_cast<int64_t>(a.dtype()), static_cast<int64_t>(b.dtype()),
                   static_cast<int64_t>(c.dtype())},
                  [&] { return make_plan(a, b, c, depth, op); });
    auto& engine = onednn::engine();
    onednn::execute(plan.primitive, plan.scratchpad,
                    {{DNNL_ARG_SRC, Memory(plan.a, engine, a.raw())},
                     {DNNL_ARG_WEIGHTS, Memory(plan.b, engine, b.raw())},
                     {DNNL_ARG_DST, Memory(plan.c, engine, c.raw())}});
  });
}

}  // namespace pal::cpu
