#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// The arithmetic whose peak bounds a kernel: the run's (inside subnets), f32 or bf16.
enum class Peak : uint8_t { run, f32, bf16 };

/// What a device can do at most, as the program has measured it in this run.
struct Roofs {
  /// Bytes per nanosecond (GB/s) that tensors of at most `bytes` together can be moved at.
  struct Bandwidth {
    int64_t bytes = 0;
    double rate = 0.0;
  };
  std::vector<Bandwidth> bandwidths;  ///< ascending; the last is also that of all larger work
  double f32 = 0.0;                   ///< GFLOP/s of a large matrix product; TF32 if that is on
  double bf16 = 0.0;                  ///< the same in bf16; 0 where there is none
  bool bf16_run = false;              ///< whether Peak::run is bf16
  bool gpu = false;                   ///< whose limits these are

  /// GB/s that `bytes` bytes of tensors can be moved at; 0 if nothing was measured.
  double bandwidth(int64_t bytes) const;
  /// GFLOP/s of the arithmetic that `kind` stands for in this run.
  double peak(Peak kind) const;
  /// The least nanoseconds one call can take: that of its bytes or that of its operations, the
  /// longer.
  double nanoseconds(int64_t bytes, int64_t flops, Peak kind) const;
};

/// Sums over all calls of one kernel.
struct KernelTotal {
  std::string name;
  bool gpu = false;  ///< whether it ran on the GPU
  int64_t calls = 0;
  int64_t nanoseconds = 0;
  int64_t bytes = 0;
  int64_t flops = 0;
  double roof_nanoseconds = 0.0;  ///< what the roofs allow for the same calls; 0 without roofs
};

/// Collects time, bytes and floating-point operations per kernel while enabled; costs one branch
/// per kernel while not. Times are wall-clock times of the calling thread, or the GPU's own.
class Profiler {
 public:
  /// Starts collecting; with `keep_trace` every single call is kept too, for chrome_trace().
  static void enable(bool keep_trace = false);
  /// Stops collecting; what was collected stays.
  static void disable();
  static bool enabled() { return enabled_.load(std::memory_order_relaxed); }
  /// Forgets all that was collected, but not the roofs.
  static void reset();
  /// From now on calls are also compared with these roofs, if they run where those were measured.
  /// To be called while nothing else runs.
  static void set_roofs(const Roofs& roofs);

  /// One entry per kernel and device, largest time first.
  static std::vector<KernelTotal> totals();
  /// One line per kernel, largest time first: calls, ms, share, GB/s, GFLOP/s and, with roofs, the
  /// time that the roofs allow / time. Kernels of the CPU beside a GPU's roofs are marked (host).
  static std::string table();
  /// totals() as a JSON array, an object per kernel; times in nanoseconds.
  static std::string json();
  /// Nanoseconds in kernels that this thread ran itself or, with a GPU's roofs, that the GPU did.
  static int64_t kernel_nanoseconds();
  /// All calls in the format of chrome://tracing, up to kMostEvents; bytes, operations and rates
  /// are arguments of each.
  static std::string chrome_trace();
  static constexpr size_t kMostEvents = 1'000'000;

 private:
  static inline std::atomic<bool> enabled_ = false;
};

/// Times the enclosing block under `name`, a string literal. `bytes` is what the kernel must move
/// at least, `flops` its multiplications and additions, `peak` the hardware that does them. Scopes
/// inside one that has bytes or operations are part of it and not counted; one without either is a
/// group that keeps what its inner scopes leave of its time.
class ProfileScope {
 public:
  explicit ProfileScope(const char* name, int64_t bytes = 0, int64_t flops = 0,
                        Peak peak = Peak::run)
      : name_(name), bytes_(bytes), flops_(flops), peak_(peak) {
    if (Profiler::enabled()) begin();
  }
  ~ProfileScope() {
    if (start_ != 0) end();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  void begin();
  void end();
  bool has_cost() const { return bytes_ > 0 || flops_ > 0; }

  const char* name_;
  int64_t bytes_;
  int64_t flops_;
  Peak peak_;
  int64_t start_ = 0;
  int64_t outer_children_ = 0;  // time of the enclosing group's scopes before this one
};

/// A part of a step (forward, backward, ...), by a string literal: an event of the trace and an
/// NVTX range, no kernel. Costs one branch while the profiler is off.
class PhaseScope {
 public:
  explicit PhaseScope(const char* name) : name_(name) {
    if (Profiler::enabled()) begin();
  }
  ~PhaseScope() {
    if (start_ != 0) end();
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  void begin();
  void end();

  const char* name_;
  int64_t start_ = 0;
};

namespace cuda {

/// ProfileScope for work on the GPU: its time in the stream, by CUDA events. Nobody waits for it
/// before the profiler's results are asked for. Also an NVTX range, for NVIDIA's profilers.
class ProfileScope {
 public:
  explicit ProfileScope(const char* name, int64_t bytes = 0, int64_t flops = 0,
                        Peak peak = Peak::run)
      : name_(name), bytes_(bytes), flops_(flops), peak_(peak) {
    if (Profiler::enabled()) begin();
  }
  ~ProfileScope() {
    if (started_) end();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  void begin();
  void end();

  // A build without CUDA has no use for them.
  [[maybe_unused]] const char* name_;
  [[maybe_unused]] int64_t bytes_;
  [[maybe_unused]] int64_t flops_;
  [[maybe_unused]] Peak peak_;
  bool started_ = false;
  [[maybe_unused]] void* start_event_ = nullptr;
};

/// Waits for the device and gives all finished scopes to the profiler.
void collect_profile();

}  // namespace cuda

}  // namespace pal
