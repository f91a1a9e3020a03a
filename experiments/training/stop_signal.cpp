#include "experiments/training/stop_signal.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <initializer_list>

namespace pal {
namespace {

volatile std::sig_atomic_t caught_signal = 0;

int code_of(int signal) { return signal == 0 ? 0 : (signal == SIGINT ? 130 : 143); }

std::atomic<int64_t> caught_at = 0;  // nanoseconds

int64_t nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

void take(int signal) {
  if (caught_signal == 0) caught_at = nanoseconds();
  caught_signal = signal;
}

void handle(int signal) {
  constexpr int64_t kOneWish = 1'000'000'000;
  if (caught_signal != 0 && nanoseconds() - caught_at >= kOneWish) _exit(code_of(signal));
  take(signal);
}

void install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // Interrupted system calls go on: a save in progress must not see EINTR.
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    // As nohup wants it.
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace

const char* name_of(StopReason reason) {
  constexpr const char* kNames[] = {"complete", "max-steps", "max-time", "signal", "error"};
  return kNames[static_cast<int>(reason)];
}

StopSignal::StopSignal() {
  caught_signal = 0;
  install(handle);
  std::signal(SIGPIPE, SIG_IGN);
}
StopSignal::~StopSignal() { install(SIG_DFL); }

int StopSignal::caught() const { return caught_signal; }
void StopSignal::adopt(int signal) { take(signal); }
int StopSignal::exit_code() const { return code_of(caught_signal); }

}  // namespace pal
