#pragma once
#include <algorithm>
#include <cstdint>

namespace pal {

/// Notices a run that does not learn although all its numbers are finite: whose loss has climbed
/// above the first one.
class LossWatch {
 public:
  /// Steps over which the loss is averaged.
  static constexpr int64_t kLast = 20;
  /// How far above the first loss, of its own size or 1: losses of densities pass through 0.
  static constexpr double kMargin = 0.25;

  /// Takes in the loss of a step that was taken.
  void add(double loss) {
    if (++steps_ == 1) first_ = loss;
    mean_ += (loss - mean_) / static_cast<double>(std::min(steps_, kLast));
  }
  double first() const { return first_; }
  double mean() const { return mean_; }
  /// Whether the loss is now clearly above the first one, of a process that has seen enough.
  bool climbed() const {
    return steps_ > kLast && mean_ > first_ + kMargin * std::max(1.0, std::max(first_, -first_));
  }

 private:
  int64_t steps_ = 0;
  double first_ = 0.0;
  double mean_ = 0.0;
};

}  // namespace pal
