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

 private:
  friend class ProfileScope;
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

}  // namespace pal
