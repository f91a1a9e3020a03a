#pragma once
#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "kernels/library/library_choices.h"
#include "runtime/error.h"
#include "runtime/log.h"

// How a convolution or a matrix product gets its algorithm when it is first met: by the first of
// these plans that works.
//   1. that of the algorithm which this process has chosen or imported before (library_choices.h);
//   2. if algorithms are to be measured, the one that an earlier run found fastest on such a
//      device, as a file in the user's cache says;
//   3. if they are, the fastest of some proposals, timed here and then noted in that file;
//   4. the library's first proposal.
//
// A `Library` stands for one problem. It has
//   Plan                         with name(): what tells it from the problem's other plans
//   device(), problem()          what its choices are noted under
//   each_plan(only, visit)       calls visit(plan) for its plans, best estimate first, until that
//                                returns true; those only that are called `only`, if given
//   run(plan)                    computes the result; false if the library refuses, and what was
//                                to be added to is as before
//   rehearse(plan)               the same, but leaves no trace in a result that is added to
//   milliseconds(plan, runs)     how long one of so many rehearsals takes
//   why()                        what was wrong with the last plan that was refused or not made
namespace pal {

/// How much is measured for one problem.
struct MeasuringLimits {
  int plans = 32;
  /// No further plan is made and measured after that: making one may mean compiling kernels.
  double seconds = 0.4;
  /// A plan that takes so many times the fastest one's time is not measured any further.
  double hopeless = 1.5;
};

/// Milliseconds that a plan takes, the least of some tries; of one only if that says that it is not
/// worth more. Infinite if it does not run, for example because its scratch memory cannot be had.
template <typename Library>
double measured_time(Library& library, const typename Library::Plan& plan, double least,
                     const MeasuringLimits& limits) {
  constexpr int kTries = 3;
  constexpr int kRuns = 4;
  double time = std::numeric_limits<double>::infinity();
  try {
    // The first run may load the kernel.
    if (!library.rehearse(plan)) return time;
    time = library.milliseconds(plan, 1);
    for (int i = 0; i < kTries && time <= limits.hopeless * least; ++i)
      time = std::min(time, library.milliseconds(plan, kRuns));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::environment) throw;
    log_debug("{}: {} is not measured: {}", library.problem(), plan.name(), error.what());
  }
  log_debug("{}: {}: {:.4f} ms", library.problem(), plan.name(), time);
  return time;
}

/// The fastest of the library's proposals; nothing if none of them runs.
template <typename Library>
std::optional<typename Library::Plan> fastest_plan(Library& library,
                                                   const MeasuringLimits& limits = {}) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::optional<typename Library::Plan> fastest;
  double least = std::numeric_limits<double>::infinity();
  int plans = 0;
  library.each_plan({}, [&](typename Library::Plan plan) {
    const double time = measured_time(library, plan, least, limits);
    if (time < least) {
      least = time;
      fastest = std::move(plan);
    }
    const std::chrono::duration<double> passed = Clock::now() - begin;
    return ++plans >= limits.plans || (fastest && passed.count() >= limits.seconds);
  });
  return fastest;
}

/// The plan that a problem shall have from now on, run once; nothing if there is none. Only if
/// `measure` is set are plans timed.
template <typename Library>
std::optional<typename Library::Plan> choose_plan(Library& library, bool measure,
                                                  const MeasuringLimits& limits = {}) {
  using Plan = typename Library::Plan;
  const std::string device = library.device();
  const std::string problem = library.problem();
  const auto first_that_works = [&](const std::optional<std::string>& only) {
    std::optional<Plan> found;
    library.each_plan(only, [&](Plan plan) {
      if (!library.run(plan)) {
        log_warning("{}: {} does not run here: {}", problem, plan.name(), library.why());
        return false;
      }
      found = std::move(plan);
      return true;
    });
    return found;
  };
  std::optional<std::string> wanted = chosen_algorithm(device, problem);
  const std::string path = measure ? choices_path(device) : "";
  if (!wanted && !path.empty()) {
    const AlgorithmChoices before = read_choices(path);
    if (const auto found = before.find(problem); found != before.end()) wanted = found->second;
  }
  if (wanted) {
    if (std::optional<Plan> plan = first_that_works(wanted)) {
      choose_algorithm(device, problem, plan->name());
      return plan;
    }
    log_warning("{}: {} is not offered here ({}); another is chosen", problem, *wanted,
                library.why());
  }
  if (measure) {
    std::optional<Plan> plan = fastest_plan(library, limits);
    if (plan && library.run(*plan)) {
      choose_algorithm(device, problem, plan->name());
      if (!path.empty()) save_choice(path, problem, plan->name());
      return plan;
    }
  }
  return first_that_works({});
}

}  // namespace pal
