#pragma once
#include <csetjmp>

namespace pal {

/// The landing place for C libraries whose error callbacks must not return. Between `run` and the
/// library only trivially destructible objects may live, so the calls it is given are single
/// lambdas over references.
class JumpGuard {
 public:
  /// Runs `call`; false if it was left by `leave`.
  template <typename Call>
  bool run(const Call& call) {
    if (setjmp(target_) != 0) return false;
    call();
    return true;
  }
  /// For the error callback of the library.
  [[noreturn]] void leave() { std::longjmp(target_, 1); }

 private:
  std::jmp_buf target_;
};

}  // namespace pal
