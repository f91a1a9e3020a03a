#pragma once
#include <string>

namespace pal {

/// How the threads of a team wait for each other. libgomp's threads spin for some milliseconds at a
/// barrier before they sleep: the fastest where processors are free, but where other processes want
/// them, the waiting thread uses up the time that the awaited one needs, and even if it sleeps, all
/// wait for the one that stands in line.
///
/// Call it often from the thread that starts teams, as parallel_for does: five times a second it
/// looks how long this process's threads stood in line for a processor. While that is much
/// (runtime/waiting_rule.h), threads sleep at once, and threads_beside_others() are enough. Results
/// do not depend on it. Does nothing where the environment says how to wait (OMP_WAIT_POLICY,
/// GOMP_SPINCOUNT), or /proc does not tell of scheduling.
void adapt_waiting();

/// Whether threads sleep at once now.
bool sleeps_early();

/// How many threads are worth their waiting now: as many as processors that others leave, at least
/// 1; while nobody else wants them, the largest int.
int threads_beside_others();

/// Nanoseconds that threads stood in line for a processor so far, from files TASKS/*/schedstat;
/// below 0: not known.
double queued_nanoseconds(const std::string& tasks = "/proc/self/task");

}  // namespace pal
