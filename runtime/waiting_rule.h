#pragma once
#include <algorithm>
#include <cmath>

namespace pal {

/// When threads that wait should sleep early, and fewer of them work: fed with one number per period of kSeconds, the share
/// of the time that this process's threads, all together, stood in line for a processor.
///
/// Threads that sleep early are woken on each other's processors and stand in line there even if
/// nobody else runs, so their share says nothing: now and then some periods are spent awake, to
/// look.
class WaitingRule {
 public:
  static constexpr double kSeconds = 0.2;
  /// Beside one process that always runs on each of two processors, two threads come to 1; beside
  /// what else an idle machine does, to 0.1.
  static constexpr double kBusy = 0.5;
  /// Busy periods in a row before threads sleep early: a burst does not count, nor what it takes
  /// the scheduler to part threads that slept on one processor.
  static constexpr int kPatience = 3;
  /// Periods asleep before a look, at first and at most.
  static constexpr int kFirstRest = 10;
  static constexpr int kLongestRest = 100;

  /// Whether threads sleep early in the period to come.
  bool next(double share) {
    if (left_ > 0) {
      awake_ = 0;
      return --left_ > 0;
    }
    ++awake_;
    busy_ = share > kBusy ? busy_ + 1 : 0;
    if (busy_ < kPatience) return false;
    // Nothing has changed since the last rest.
    const bool again = awake_ == kPatience;
    rest_ = again ? (2 * rest_ < kLongestRest ? 2 * rest_ : kLongestRest) : kFirstRest;
    left_ = rest_;
    busy_ = 0;
    return true;
  }

  /// How many threads are worth their waiting where other processes use `others` of so many
  /// processors while threads of this process stand in line.
  static int threads_beside(double others, int processors) {
    return std::max(1, static_cast<int>(std::lround(processors - others)));
  }

 private:
  int awake_ = 0;  // periods since the last rest
  int busy_ = 0;   // of those, the last ones in a row that were busy
  int rest_ = kFirstRest;
  int left_ = 0;  // periods of the rest
};

}  // namespace pal
