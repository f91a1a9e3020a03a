#include "bench/libtorch/worker.h"

#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/csrc/api/include/torch/version.h>

#include <chrono>
#include <stdexcept>

#include "bench/libtorch/counting_allocator.h"
#include "bench/support/resident_memory.h"

namespace rival {
namespace {

using Json = nlohmann::json;
using Answer = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <typename T>
T field(const Json& command, const char* key, const T& fallback) {
  try {
    return command.value(key, fallback);
  } catch (const Json::exception&) {
    throw std::runtime_error(std::string(key) + ": the value has the wrong type");
  }
}

/// A program for the CPU needs none of the CUDA libraries, so they are opened when asked for.
void open_cuda() {
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    throw std::runtime_error("device cuda: this PyTorch has no CUDA libraries that open here");
}

c10::DeviceAllocator& cuda_allocator() {
  return *dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(at::kCUDA));
}

constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

}  // namespace

Trainer& Worker::trainer() {
  if (!trainer_) throw std::runtime_error("expected the command load first");
  return *trainer_;
}

void Worker::synchronize() const {
  if (settings_.device.is_cuda())
    c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(settings_.device.index());
}

nlohmann::ordered_json Worker::load(const Json& command) {
  const auto precision = field<std::string>(command, "precision", "fp32");
  if (precision != "fp32" && precision != "bf16")
    throw std::runtime_error("precision: expected fp32 or bf16, got '" + precision + "'");
  const auto device = field<std::string>(command, "device", "cpu");
  if (device != "cpu" && device != "cuda")
    throw std::runtime_error("device: expected cpu or cuda, got '" + device + "'");
  if (device == "cuda") open_cuda();
  if (const int threads = field(command, "threads", 0); threads > 0) at::set_num_threads(threads);
  trainer_.reset();
  settings_.untuned = untuned_;
  settings_.bf16 = precision == "bf16";
  settings_.device = device == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  trainer_ = std::make_unique<Trainer>(field<std::string>(command, "file", ""), settings_,
                                       field(command, "lr", 1e-6));
  return {{"engine", untuned_ ? "libtorch-untuned" : "libtorch"},
          {"version", TORCH_VERSION},
          {"batch", trainer_->batch()},
          {"threads", at::get_num_threads()}};
}

nlohmann::ordered_json Worker::train(const Json& command) {
  const auto policy = field<std::string>(command, "policy", "store");
  if (command.contains("lr")) trainer().set_learning_rate(field(command, "lr", 0.0));
  Answer answer = {
      {"seconds", Answer::array()}, {"loss", Answer::array()}, {"grad_norm", Answer::array()}};
  for (int64_t i = 0; i < field<int64_t>(command, "steps", 1); ++i) {
    const auto start = Clock::now();
    const StepFigures figures = trainer().step(policy);
    synchronize();
    answer["seconds"].push_back(seconds_since(start));
    answer["loss"].push_back(figures.loss);
    answer["grad_norm"].push_back(figures.grad_norm);
  }
  return answer;
}

nlohmann::ordered_json Worker::infer(const Json& command) {
  Answer answer = {{"seconds", Answer::array()}};
  for (int64_t i = 0; i < field<int64_t>(command, "steps", 1); ++i) {
    const auto start = Clock::now();
    answer["largest_score"] = trainer().infer();
    answer["seconds"].push_back(seconds_since(start));
  }
  answer["loss"] = trainer().evaluate();
  return answer;
}

nlohmann::ordered_json Worker::memory(const Json& command) {
  const auto policy = field<std::string>(command, "policy", "store");
  // Activations are what forward and backward need beside parameters, momentum, the batch and
  // gradients, so the latter are there from the beginning.
  trainer().hold_gradients();
  if (settings_.device.is_cuda()) {
    synchronize();
    cuda_allocator().resetPeakStats(settings_.device.index());
    const auto before = cuda_allocator().getDeviceStats(settings_.device.index());
    trainer().gradients(policy);
    synchronize();
    const auto after = cuda_allocator().getDeviceStats(settings_.device.index());
    return {{"peak_activation_bytes",
             after.allocated_bytes[kAll].peak - before.allocated_bytes[kAll].current},
            {"peak_bytes", after.allocated_bytes[kAll].peak}};
  }
  reset_peak_tensor_bytes();
  const TensorBytes before = tensor_bytes();
  trainer().gradients(policy);
  const int64_t activations = tensor_bytes().peak - before.current;
  // Totals are those of a step as it is timed, where gradients come into being one by one.
  trainer().drop_gradients();
  const bool reset = pal::bench::reset_peak_resident_memory();
  const auto resident = pal::bench::resident_memory();
  reset_peak_tensor_bytes();
  trainer().step(policy);
  const auto resident_after = pal::bench::resident_memory();
  Answer answer = {{"peak_activation_bytes", activations},
                   {"peak_bytes", tensor_bytes().peak},
                   {"resident_peak_bytes", resident_after.peak}};
  if (reset) answer["resident_growth_bytes"] = resident_after.peak - resident.current;
  return answer;
}

nlohmann::ordered_json Worker::answer(const Json& command) {
  const auto name = field<std::string>(command, "cmd", "");
  if (name == "load") return load(command);
  if (name == "train") return train(command);
  if (name == "infer") return infer(command);
  if (name == "memory") return memory(command);
  throw std::runtime_error("cmd: expected load, train, infer, memory or quit, got '" + name + "'");
}

}  // namespace rival
