#pragma once
#include <string>

namespace pal {

/// How long the threads of a team wait for each other awake. libgomp's threads spin for some
/// milliseconds at a barrier before they sleep: the fastest where processors are free, but where
/// other processes want them, the waiting thread uses up the time that the awaited one needs.
///
/// Call it often from the thread that starts teams, as parallel_for does: five times a second it
/// looks how long this process's threads stood in line for a processor, and lets them sleep at once
/// while that is much (runtime/waiting_rule.h). Results do not depend on it. Does nothing where the
/// environment says how to wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT), or /proc does not tell of
/// scheduling.
void adapt_waiting();

/// Whether threads sleep at once now.
bool sleeps_early();

/// Nanoseconds that threads stood in line for a processor so far, from files TASKS/*/schedstat;
/// below 0: not known.
double queued_nanoseconds(const std::string& tasks = "/proc/self/task");

}  // namespace pal
