#include "kernels/library/cudnn_run.cuh"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <mutex>

#include "kernels/library/capture.cuh"
#include "kernels/library/conv_choices.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/library/plan_cache.h"
#include "kernels/library/planned.h"
#include "runtime/byte_count.h"
#include "runtime/cuda.h"
#include "runtime/log.h"

// How a convolution gets its engine, and runs.
//
// When a problem is first met, choose() runs it once by the first of these plans that works:
//   1. that of the engine which this process has chosen or imported before (conv_choices.h);
//   2. if engines are to be measured, the one that an earlier run found fastest on such a device,
//      as a file in the user's cache says;
//   3. if they are, the fastest of some proposals, timed here and then noted in that file;
//   4. the library's first proposal.
// Nothing is measured while a graph is recorded. From then on the plan is looked up and executed.
// Operands at unaligned addresses are copied, as cuDNN's fast engines read 16 bytes at a time.
namespace pal::cudnn {
namespace {

using cuda::stream;

/// At most so many engines are timed.
constexpr size_t kMostMeasured = 8;

/// "nvidia-h200-sm90-cudnn9.19.0": where a choice of engines holds.
const std::string& device_name() {
  static const std::string name = [] {
    const cuda::DeviceInfo info = cuda::device_info();
    std::string text = fmt::format("{}-sm{}{}", info.name, info.major, info.minor);
    for (char& c : text)
      c = std::isalnum(static_cast<unsigned char>(c)) != 0
              ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
              : '-';
    return text + "-cudnn" + version();
  }();
  return name;
}

/// What an earlier run measured on this device.
std::optional<std::string> measured_before(const std::string& what) {
  static const EngineChoices choices = [] {
    const std::string path = choices_path(device_name());
    return path.empty() ? EngineChoices{} : read_choices(path);
  }();
  const auto found = choices.find(what);
  if (found == choices.end()) return std::nullopt;
  return found->second;
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

/// Whether a plan can be started; the result is overwritten.
bool works(const Plan& plan, const std::string& what, const Operands& operands, std::string* why) {
  const cudnnStatus_t status = execute(plan, operands);
  if (status == CUDNN_STATUS_SUCCESS) return true;
  *why = describe(status);
  log_warning("{}: cuDNN {} does not run here: {}", what, plan.engine, *why);
  // The refused launch must not be found by the check of the next.
  (void)cudaGetLastError();
  return false;
}

/// Milliseconds that a plan takes, the least of some tries. Infinite if it does not run, for
/// example because its scratch memory cannot be had.
float time_of(const Plan& plan, const std::string& what, const Operands& operands) {
  constexpr int kTries = 3;
  constexpr int kRuns = 4;
  static const std::array<cudaEvent_t, 2> events = [] {
    std::array<cudaEvent_t, 2> made{};
    for (cudaEvent_t& event : made) PAL_CUDA_CHECK(cudaEventCreate(&event));
    return made;
  }();
  float least = std::numeric_limits<float>::infinity();
  try {
    std::string ignored;
    if (!works(plan, what, operands, &ignored)) return least;
    for (int i = 0; i < kTries; ++i) {
      PAL_CUDA_CHECK(cudaEventRecord(events[0], stream()));
      for (int k = 0; k < kRuns; ++k) (void)execute(plan, operands);
      PAL_CUDA_CHECK(cudaEventRecord(events[1], stream()));
      PAL_CUDA_CHECK(cudaEventSynchronize(events[1]));
      float milliseconds = 0.0F;
      PAL_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events[0], events[1]));
      least = std::min(least, milliseconds / kRuns);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::environment) throw;
    log_debug("{}: {} is not measured: {}", what, plan.engine, error.what());
  }
  log_debug("{}: {}: {:.4f} ms", what, plan.engine, static_cast<double>(least));
  return least;
}

/// The fastest first; those that do not run are gone.
std::vector<Plan> by_time(std::vector<Plan> plans, const std::string& what,
                          const Operands& operands) {
  std::vector<std::pair<float, size_t>> times;
  for (size_t i = 0; i < plans.size(); ++i)
    times.emplace_back(time_of(plans[i], what, operands), i);
  std::sort(times.begin(), times.end());
  std::vector<Plan> sorted;
  for (const auto& [milliseconds, i] : times)
    if (milliseconds < std::numeric_limits<float>::infinity())
      sorted.push_back(std::move(plans[i]));
  return sorted;
}

/// The plan that a problem shall have from now on, run once; without a descriptor if there is none.
Plan choose(const Problem& problem, const Operands& operands, std::string* why) {
  const std::string what = problem.text();
  const Target target = {handle(), nullptr};
  const auto first_that_works = [&](std::vector<Plan> plans) {
    for (Plan& plan : plans)
      if (works(plan, what, operands, why)) return std::move(plan);
    return Plan();
  };
  const bool measure = cuda_math().autotune && cuda::capture_id() == 0;
  std::optional<std::string> wanted = chosen_engine(device_name(), what);
  const bool imported = wanted.has_value();
  if (!wanted && measure) wanted = measured_before(what);
  if (wanted) {
    Plan plan = first_that_works(make_plans(problem, target, {.only = wanted}, why));
    if (plan.descriptor.defined()) {
      if (!imported) choose_engine(device_name(), what, plan.engine);
      return plan;
    }
    log_warning("{}: cuDNN does not offer {} here ({}); another is chosen", what, *wanted, *why);
  }
  if (measure) {
    Plan plan = first_that_works(
        by_time(make_plans(problem, target, {.most = kMostMeasured}, why), what, operands));
    if (plan.descriptor.defined()) {
      choose_engine(device_name(), what, plan.engine);
      const std::string path = choices_path(device_name());
      if (!path.empty()) save_choice(path, what, plan.engine);
      return plan;
    }
  }
  Plan plan = first_that_works(make_plans(problem, target, {}, why));
  if (plan.descriptor.defined()) return plan;
  // Only if the first proposal is refused does it pay to make plans of the others.
  return first_that_works(make_plans(problem, target, {.most = kMostMeasured}, why));
}

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
    plan = &plans.keep(key, choose(problem, here, why));
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
    const int64_t count = images_at_a_time(problem, {handle(), nullptr});
    if (count < problem.x[0])
      log_debug("{}: {} images at a time, to save scratch memory", problem.text(), count);
    return count;
  });
}

}  // namespace pal::cudnn
