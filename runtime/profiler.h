#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// Collects time, bytes and floating-point operations per kernel while enabled; costs one branch
/// per kernel while not. Times are wall-clock times of the calling thread.
class Profiler {
 public:
  static void enable(bool keep_trace = false);
  static void disable();
  static bool enabled() { return enabled_; }
  static void reset();
  /// One line per kernel name, largest time first: calls, ms, share, GB/s, GFLOP/s.
  static std::string table();
  /// The same as a JSON array.
  static std::string json();
  /// All calls in the format of chrome://tracing.
  static std::string chrome_trace();
  /// One call: start and duration in nanoseconds.
  static void add(const char* name, int64_t start, int64_t duration, int64_t bytes, int64_t flops);

 private:
  static inline bool enabled_ = false;
};

/// Times the enclosing block under `name` (a string literal). `bytes` is what the kernel must move
/// at least, `flops` its multiplications and additions.
class ProfileScope {
 public:
  explicit ProfileScope(const char* name, int64_t bytes = 0, int64_t flops = 0)
      : name_(name), bytes_(bytes), flops_(flops) {
    if (Profiler::enabled()) start_ = now();
  }
  ~ProfileScope() {
    if (start_ != 0) finish();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  static int64_t now();
  void finish();

  const char* name_;
  int64_t bytes_;
  int64_t flops_;
  int64_t start_ = 0;
};

namespace cuda {

/// The same for work on the GPU: its time in the stream, by CUDA events. Nobody waits for it before
/// the profiler's results are asked for. Also an NVTX range, for NVIDIA's profilers.
class ProfileScope {
 public:
  explicit ProfileScope(const char* name, int64_t bytes = 0, int64_t flops = 0)
      : name_(name), bytes_(bytes), flops_(flops) {
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
  bool started_ = false;
  [[maybe_unused]] void* start_event_ = nullptr;
};

/// Waits for the device and gives all finished scopes to the profiler.
void collect_profile();

}  // namespace cuda

}  // namespace pal
