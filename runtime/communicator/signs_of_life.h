#pragma once
#include <chrono>
#include <utility>

namespace pal {

/// Follows the signs of life of one peer.
class SignsOfLife {
 public:
  /// A peer that is lost after so many seconds without one.
  explicit SignsOfLife(double patience) : patience_(patience) {}

  void hear() { heard_ = Clock::now(); }
  /// Seconds without a sign, to be asked again and again: where this process itself did not run
  /// meanwhile, nobody can be blamed, and they count anew.
  double silence() {
    if (since(std::exchange(asked_, Clock::now())) > patience_ / 2) hear();
    return since(heard_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point time) {
    return std::chrono::duration<double>(Clock::now() - time).count();
  }

  double patience_;
  Clock::time_point heard_ = Clock::now();
  Clock::time_point asked_ = heard_;
};

}  // namespace pal
