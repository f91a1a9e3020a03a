#include "kernels/library/cudnn_run.cuh"

#include <functional>
#include <mutex>

#include "kernels/library/choose_plan.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "kernels/library/stopwatch.cuh"
#include "runtime/byte_count.h"
#include "runtime/cuda.h"
#include "runtime/log.h"

// Which engine a convolution gets is decided when it is first met (choose_plan.h), but nothing is
// measured while a graph is recorded. From then on the plan is looked up and executed. Operands at
// unaligned addresses are copied, as cuDNN's fast engines read 16 bytes at a time.
namespace pal::cudnn {
namespace {

using cuda::stream;

/// The GPU of this process.
const Target& target() {
  static const Target instance = {handle(), nullptr, most_workspace(cuda::device_info().memory)};
  return instance;
}

/// Starts a plan's work, of which the stream takes care.
cudnnStatus_t execute(const Plan& plan, const Operands& operands) {
  Tensor scratch;
  if (plan.workspace > 0)
    scratch = Tensor::empty({plan.workspace}, DType::u8, Tag::workspace, operands.x.device());
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::vector<int64_t>{kX, kWeight, kY});
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
           std::vector<void*>{operands.x.raw(), operands.weight.raw(), operands.y.raw()});
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, scratch.defined() ? scratch.raw() : nullptr);
  pack.finalize();
  return cudnnBackendExecute(handle(), plan.descriptor.raw(), pack.raw());
}

/// A convolution and its operands, as choose_plan asks for them.
class Convolution {
 public:
  using Plan = cudnn::Plan;

  Convolution(const Problem& problem, const Operands& operands, std::string* why)
      : problem_(problem), operands_(operands), why_(why) {}

  std::string device() const { return choices_device("cudnn" + version()); }
  std::string problem() const { return problem_.text(); }
  const std::string& why() const { return *why_; }
  void each_plan(const std::optional<std::string>& only, const std::function<bool(Plan)>& visit) {
    cudnn::each_plan(problem_, target(), only, why_, visit);
  }
  bool run(const Plan& plan) {
    const cudnnStatus_t status = execute(plan, operands_);
    if (status == CUDNN_STATUS_SUCCESS) return true;
    *why_ = describe(status);
    // The refused launch must not be found by the check of the next.
    (void)cudaGetLastError();
    return false;
  }
  /// Results are overwritten.
  bool rehearse(const Plan& plan) { return run(plan); }
  double milliseconds(const Plan& plan, int runs) {
    return cuda::milliseconds_of(runs, [&] { (void)execute(plan, operands_); });
  }

 private:
  const Problem& problem_;
  const Operands& operands_;
  std::string* why_;
};

bool is_aligned(const Tensor& t) {
  return reinterpret_cast<uintptr_t>(t.raw()) % static_cast<uintptr_t>(kAlignment) == 0;
}

/// What a pass writes.
Tensor Operands::*result_of(Pass pass) {
  if (pass == Pass::forward) return &Operands::y;
  return pass == Pass::backward_data ? &Operands::x : &Operands::weight;
}

}  // namespace

bool run(const Problem& problem, const Operands& operands, std::string* why) {
  // Never destroyed: when a process ends the driver may go first; and recorded graphs go on using
  // what belongs to a plan. A handle serves one thread at a time.
  static auto& plans = *new PlanCache<Plan>;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);

  Tensor Operands::*const result = result_of(problem.pass);
  Operands here = operands;
  for (Tensor Operands::*const each : {&Operands::x, &Operands::weight, &Operands::y}) {
    const Tensor& t = operands.*each;
    if (is_aligned(t)) continue;
    here.*each = each == result ? Tensor::empty(t.shape(), t.dtype(), Tag::workspace, t.device())
                                : t.clone(Tag::workspace);
  }
  const std::vector<int64_t> key = problem.key();
  const Plan* plan = plans.find(key);
  if (plan != nullptr && plan->descriptor.defined()) {
    const cudnnStatus_t status = execute(*plan, here);
    if (status != CUDNN_STATUS_SUCCESS)
      fail(ErrorKind::failure, "{}: cuDNN {}: {} ({})", problem.text(), version(), describe(status),
           plan->engine);
  } else if (plan == nullptr) {
    Convolution convolution(problem, here, why);
    const bool measure = cuda_math().autotune && cuda::recording_id() == 0;
    plan = &plans.keep(key, choose_plan(convolution, measure).value_or(Plan()));
    if (plan->descriptor.defined())
      note_implementation(problem.text(), fmt::format("cuDNN {}, {} scratch", plan->engine,
                                                      format_bytes(plan->workspace)));
  }
  if (!plan->descriptor.defined()) {
    if (why->empty()) *why = "as found before";
    return false;
  }
  if (!is_aligned(operands.*result)) (operands.*result).copy_from(here.*result);
  return true;
}

int64_t images_at_a_time(const Problem& problem) {
  static PlanCache<int64_t> counts;
  return counts.get(problem.key(), [&] {
    const int64_t count = images_at_a_time(problem, target());
    if (count < problem.x[0])
      log_debug("{}: {} images at a time, to save scratch memory", problem.text(), count);
    return count;
  });
}

}  // namespace pal::cudnn
