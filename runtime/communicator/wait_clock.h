#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

namespace pal {

/// How long a rank has waited for the others by now, or not waited: what the hub needs to know to
/// find the one that all others wait for.
class WaitClock {
 public:
  struct Reading {
    bool waiting = false;
    double seconds = 0.0;  ///< since that began
  };
  /// For as long as the thread that computes waits.
  class Scope {
   public:
    explicit Scope(WaitClock& clock) : clock_(clock) { clock_.change(true); }
    ~Scope() { clock_.change(false); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    WaitClock& clock_;
  };

  Reading read() const {
    const int64_t state = state_;
    return {(state & 1) != 0, 1e-3 * static_cast<double>(milliseconds() - (state >> 1))};
  }

 private:
  static int64_t milliseconds() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  // One number, as another thread reads it.
  void change(bool waiting) { state_ = milliseconds() << 1 | (waiting ? 1 : 0); }

  std::atomic<int64_t> state_ = milliseconds() << 1;
};

}  // namespace pal
