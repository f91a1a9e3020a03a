#pragma once

namespace pal {

/// Why a process stopped training.
enum class StopReason { complete, max_steps, max_time, signal, error };

/// "complete", "max-steps", "max-time", "signal" or "error".
const char* name_of(StopReason reason);

/// Catches SIGINT, SIGTERM, SIGHUP and SIGUSR1 while alive, so that a loop can finish its step and
/// save. A second signal, a second or more later, ends the process at once: within a second it is the
/// first one again, as launchers and timeout(1) signal a process and then its group. SIGPIPE is ignored: a closed stdout never kills a run.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// The signal that arrived, 0 if none.
  int caught() const;
  /// Takes a signal that another rank caught for one of this process.
  void adopt(int signal);
  /// 130 for SIGINT, 143 for SIGTERM and SIGHUP, 0 for none.
  int exit_code() const;
};

}  // namespace pal
