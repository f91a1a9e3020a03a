#pragma once
#include <functional>

#include "runtime/device.h"

namespace pal::bench {

using Work = std::function<void()>;
/// Does some work and says how long one call of it took, in seconds.
using Stopwatch = std::function<double()>;

/// Whether a GPU can record the calls of a work into a graph, so that nothing is timed but the
/// device; work that reads host memory it cannot.
enum class Calls { recorded, direct };

/// On the CPU each reading is one call by the wall clock. On a GPU it is the mean over a row of
/// calls, a few milliseconds long, by the device's clock. The first calls of all, which plan and
/// allocate, are not timed.
Stopwatch stopwatch(const Work& work, Device device, Calls calls = Calls::recorded);

}  // namespace pal::bench
