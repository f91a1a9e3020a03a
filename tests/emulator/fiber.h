#pragma once
#include <cstddef>

namespace emulator::detail {

/// A stack with a place on it where execution goes on. Switching costs a few nanoseconds on x86-64;
/// elsewhere ucontext is used. One thread of the operating system at a time.
class Fiber {
 public:
  /// Stands for the stack of the caller.
  Fiber() = default;
  /// A stack of its own above a guard page; the first switch to it calls `entry`, which must begin
  /// with entered() and never return.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `from`, which must be the running fiber, and goes on in `to`. Returns when somebody
  /// switches back to `from`.
  static void switch_to(Fiber& from, Fiber& to);
  static void entered();

 private:
  void* context_ = nullptr;  // stack pointer, or ucontext_t*
  void* mapping_ = nullptr;
  // For AddressSanitizer, which must know the stack in use.
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  void* fake_stack_ = nullptr;
};

}  // namespace emulator::detail
