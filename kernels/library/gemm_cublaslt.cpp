#include <cublasLt.h>

#include <functional>
#include <mutex>
#include <optional>

#include "kernels/arrays/elementwise.h"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/library/bias.h"
#include "kernels/library/choose_plan.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/library/gemm_bias.h"
#include "kernels/library/gemm_problem.h"
#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "kernels/library/stopwatch.cuh"
#include "runtime/byte_count.h"
#include "runtime/cuda.h"
#include "runtime/launch.cuh"
#include "runtime/log.h"
#include "runtime/profiler.h"

#define PAL_CUBLASLT_CHECK(call) check_library((call), #call, __LINE__)

namespace pal::cuda {
namespace {

constexpr uintptr_t kAlignment = GemmProblem::kAlignment;
/// Most scratch memory of a product, in bytes.
constexpr uint64_t kMostWorkspace = uint64_t{32} << 20;
/// The library is asked for so many proposals, whether they are measured or not: one that was
/// chosen is found again among them.
constexpr int kMostAlgorithms = 24;

std::string describe(cublasStatus_t status) {
  return fmt::format("{} ({})", cublasLtGetStatusName(status), cublasLtGetStatusString(status));
}

void check_library(cublasStatus_t status, const char* call, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const bool memory =
      status == CUBLAS_STATUS_ALLOC_FAILED || status == CUBLAS_STATUS_NOT_INITIALIZED;
  fail(memory ? ErrorKind::environment : ErrorKind::failure, "cuBLASLt: {} ({}:{}: {})",
       describe(status), __FILE__, line, call);
}

cublasLtHandle_t handle() {
  // Never destroyed: when a process ends the driver may go first.
  static const cublasLtHandle_t instance = [] {
    (void)stream();  // selects the GPU
    cublasLtHandle_t made = nullptr;
    PAL_CUBLASLT_CHECK(cublasLtCreate(&made));
    return made;
  }();
  return instance;
}

bool is_aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.raw()) % kAlignment == 0; }

bool uses_tf32(const Tensor& a, GemmOp op) {
  const CudaMath& math = cuda_math();
  return a.dtype() == DType::f32 && !op.exact &&
         (math.tf32 || (op.gradient && math.tf32_gradients));
}

cudaDataType_t data_type(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

template <typename T>
void set(cublasLtMatmulDescOpaque_t& operation, cublasLtMatmulDescAttributes_t name,
         const T& value) {
  PAL_CUBLASLT_CHECK(cublasLtMatmulDescSetAttribute(&operation, name, &value, sizeof value));
}

template <typename T>
void set(cublasLtMatmulPreferenceOpaque_t& preference, cublasLtMatmulPreferenceAttributes_t name,
         const T& value) {
  PAL_CUBLASLT_CHECK(cublasLtMatmulPreferenceSetAttribute(&preference, name, &value, sizeof value));
}

/// Our matrix, row by row, is its own transpose to the library, which reads column by column.
cublasLtMatrixLayoutOpaque_t layout(const Tensor& t) {
  cublasLtMatrixLayoutOpaque_t made;
  PAL_CUBLASLT_CHECK(
      cublasLtMatrixLayoutInit(&made, data_type(t.dtype()), static_cast<uint64_t>(t.channels()),
                               static_cast<uint64_t>(t.rows()), std::max(t.pitch(), t.channels())));
  return made;
}

/// A product as the library is asked for it: c^T = op(b)^T op(a)^T, so that b is its left matrix.
struct Product {
  const Tensor &a, &b, &c;
  GemmOp op;
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t left, right, result;

  Product(const Tensor& a_, const Tensor& b_, const Tensor& c_, GemmOp op_)
      : a(a_), b(b_), c(c_), op(op_), left(layout(b_)), right(layout(a_)), result(layout(c_)) {
    const bool tf32 = uses_tf32(a, op);
    PAL_CUBLASLT_CHECK(cublasLtMatmulDescInit(
        &operation, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, op.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(operation, CUBLASLT_MATMUL_DESC_TRANSB, op.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  }

  /// The bias vector, in the dtype of c, is added to each column of the library's result.
  void set_bias(const void* bias) {
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
};

/// A way to compute a product.
struct GemmPlan {
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace;  ///< scratch memory, bytes
  bool adds_bias;    ///< whether the library adds the bias on the way

  /// All that tells the library's algorithms apart:
  /// "algorithm 66 tile 20 stages 35 split 1 sum 0 swizzle 0 option 0 inner 0 cluster 2".
  std::string name() const;
};

/// One of an algorithm's settings; 0 if the library does not tell: a name may say less, but no
/// product fails for it.
template <typename T>
T setting(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t name) {
  T value{};
  size_t written = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, name, &value, sizeof value, &written);
  return status == CUBLAS_STATUS_SUCCESS ? value : T{};
}

std::string GemmPlan::name() const {
  const auto number = [&](cublasLtMatmulAlgoConfigAttributes_t what) {
    return setting<uint32_t>(algorithm, what);
  };
  const auto shape = [&](cublasLtMatmulAlgoConfigAttributes_t what) {
    return setting<uint16_t>(algorithm, what);
  };
  return fmt::format(
      "algorithm {} tile {} stages {} split {} sum {} swizzle {} option {} inner {} cluster {}{}",
      number(CUBLASLT_ALGO_CONFIG_ID), number(CUBLASLT_ALGO_CONFIG_TILE_ID),
      number(CUBLASLT_ALGO_CONFIG_STAGES_ID), number(CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
      number(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME), number(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING),
      number(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION), shape(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID),
      shape(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID), adds_bias ? ", adds the bias" : "");
}

/// The library's proposals, best first; none if it has none for this product.
std::vector<GemmPlan> proposals(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op,
                                bool adds_bias) {
  Product product(a, b, c, op);
  // Its alignment is all that is read of the pointer here.
  if (adds_bias) product.set_bias(reinterpret_cast<const void*>(kAlignment));
  cublasLtMatmulPreferenceOpaque_t preference;
  PAL_CUBLASLT_CHECK(cublasLtMatmulPreferenceInit(&preference));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspace);
  // Parts of a sum meet in float and in a step of their own, not in the dtype of the result.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  const auto alignment = [](const Tensor& t) {
    return static_cast<uint32_t>(is_aligned(t) ? kAlignment
                                               : static_cast<uintptr_t>(size_of(t.dtype())));
  };
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(b));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(a));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(c));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(c));
  cublasLtMatmulHeuristicResult_t results[kMostAlgorithms] = {};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle(), &product.operation, &product.left, &product.right, &product.result, &product.result,
      &preference, kMostAlgorithms, results, &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (adds_bias && status != CUBLAS_STATUS_SUCCESS))
    return {};
  check_library(status, "cublasLtMatmulAlgoGetHeuristic", __LINE__);
  std::vector<GemmPlan> plans;
  for (int i = 0; i < count; ++i)
    if (results[i].state == CUBLAS_STATUS_SUCCESS && results[i].workspaceSize <= kMostWorkspace)
      plans.push_back({results[i].algo, results[i].workspaceSize, adds_bias});
  return plans;
}

/// Computes c by a plan, the bias included. If the library refuses, c is as before.
cublasStatus_t run(const GemmPlan& plan, const Tensor& a, const Tensor& b, const Tensor& bias,
                   const Tensor& c, GemmOp op) {
  Product product(a, b, c, op);
  Tensor bias_here = bias;
  if (plan.adds_bias) {
    if (bias.dtype() != c.dtype() || !is_aligned(bias)) {
      bias_here = Tensor::empty(bias.shape(), c.dtype(), Tag::workspace, c.device());
      copy_convert(bias, bias_here);
    }
    product.set_bias(bias_here.raw());
  }
  Tensor scratch;
  if (plan.workspace > 0)
    scratch = Tensor::empty({static_cast<int64_t>(plan.workspace)}, DType::u8, Tag::workspace,
                            c.device());
  const float alpha = 1.0F;
  const float beta = op.accumulate ? 1.0F : 0.0F;
  const cublasStatus_t status = cublasLtMatmul(
      handle(), &product.operation, &alpha, b.raw(), &product.left, a.raw(), &product.right, &beta,
      c.raw(), &product.result, c.raw(), &product.result, &plan.algorithm,
      scratch.defined() ? scratch.raw() : nullptr, plan.workspace, stream());
  if (status == CUBLAS_STATUS_SUCCESS && bias.defined() && !plan.adds_bias) add_bias(bias, c);
  return status;
}

/// A product and its operands, as choose_plan asks for them.
class GemmChoice {
 public:
  using Plan = GemmPlan;

  GemmChoice(const GemmProblem& problem, const Tensor& a, const Tensor& b, const Tensor& bias,
             const Tensor& c, GemmOp op)
      : problem_(problem), a_(a), b_(b), bias_(bias), c_(c), op_(op) {}

  std::string device() const {
    const size_t version = cublasLtGetVersion();
    return choices_device(
        fmt::format("cublaslt{}.{}.{}", version / 10000, version / 100 % 100, version % 100));
  }
  std::string problem() const { return problem_.text(); }
  const std::string& why() const { return why_; }

  void each_plan(const std::optional<std::string>& only, const std::function<bool(Plan)>& visit) {
    why_ = "it proposes no algorithm";
    std::vector<std::string> seen;
    for (const bool adds_bias : {true, false}) {
      if (adds_bias && !bias_.defined()) continue;
      for (const GemmPlan& plan : proposals(a_, b_, c_, op_, adds_bias)) {
        std::string name = plan.name();
        if (only && name != *only) continue;
        // Two of one name could not be told apart later.
        if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
        seen.push_back(std::move(name));
        if (visit(plan)) return;
      }
    }
  }

  bool run(const Plan& plan) { return run_into(c_, plan); }
  /// What is added to must not be added to again: such a product goes elsewhere.
  bool rehearse(const Plan& plan) { return run_into(rehearsed(), plan); }
  double milliseconds(const Plan& plan, int runs) {
    const Tensor to = rehearsed();
    return milliseconds_of(runs, [&] { (void)cuda::run(plan, a_, b_, bias_, to, op_); });
  }

 private:
  bool run_into(const Tensor& c, const Plan& plan) {
    const cublasStatus_t status = cuda::run(plan, a_, b_, bias_, c, op_);
    if (status == CUBLAS_STATUS_SUCCESS) return true;
    why_ = describe(status);
    // The refused launch must not be found by the check of the next.
    (void)cudaGetLastError();
    return false;
  }
  /// Where a product goes that is only timed: memory like that of c.
  const Tensor& rehearsed() {
    if (!op_.accumulate) return c_;
    if (!elsewhere_.defined())
      elsewhere_ = Tensor::zeros({c_.rows(), std::max(c_.pitch(), c_.channels())}, c_.dtype(),
                                 Tag::workspace, c_.device())
                       .slice_channels(0, c_.channels());
    return elsewhere_;
  }

  const GemmProblem& problem_;
  const Tensor &a_, &b_, &bias_, &c_;
  Tensor elsewhere_;
  GemmOp op_;
  std::string why_;
};

}  // namespace

void gemm_bias(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& c, GemmOp op) {
  refuse_f64("gemm", a.dtype());
  const GemmProblem problem(a, b, bias, c, op, uses_tf32(a, op));
  if (bias.defined() && bias.dtype() != c.dtype())
    expect_tensor("gemm", "bias", bias, {problem.size.n}, DType::f32);
  // Not destroyed either.
  static auto& plans = *new PlanCache<GemmPlan>;
  const std::vector<int64_t> key = problem.key();
  if (const GemmPlan* plan = plans.find(key))
    return check_library(run(*plan, a, b, bias, c, op), "cublasLtMatmul", __LINE__);

  GemmChoice choice(problem, a, b, bias, c, op);
  const std::optional<GemmPlan> plan =
      choose_plan(choice, cuda_math().autotune && recording_id() == 0);
  if (!plan) fail(ErrorKind::failure, "{}: cuBLASLt: {}", problem.text(), choice.why());
  plans.keep(key, *plan);
  note_implementation(problem.text(),
                      fmt::format("cuBLASLt {}, {} scratch", plan->name(),
                                  format_bytes(static_cast<int64_t>(plan->workspace))));
}

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op) {
  const ProfileScope profile("gemm", a.bytes() + b.bytes() + c.bytes(),
                             check_gemm(a, b, c, op).flops(),
                             a.dtype() == DType::bf16 ? Peak::bf16 : Peak::f32);
  gemm_bias(a, b, {}, c, op);
}

}  // namespace pal::cuda
