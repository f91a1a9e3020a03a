#include "runtime/waiting.h"

#include <omp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/waiting_rule.h"

namespace pal {
namespace {

using Clock = std::chrono::steady_clock;

/// Threads of an OpenMP team that has nothing to do. libgomp lets waiting threads sleep after a
/// hundred turns, not hundreds of thousands, while it manages more threads than there are
/// processors; so this team's being there makes the others sleep. Another OpenMP library does not
/// care.
class DormantTeam {
 public:
  DormantTeam() : thread_([this] { run(); }) {}
  ~DormantTeam() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  DormantTeam(const DormantTeam&) = delete;
  DormantTeam& operator=(const DormantTeam&) = delete;

 private:
  void run() {
    // A region without work would be left out by the compiler, and its threads with it.
    std::atomic<int> there = 0;
#pragma omp parallel num_threads(omp_get_num_procs() + 1)
    ++there;
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return done_; });
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

/// Teams of more threads would cost more than they save.
constexpr int kMostProcessors = 64;

class Waiting {
 public:
  Waiting()
      : able_(std::getenv("OMP_WAIT_POLICY") == nullptr &&
              std::getenv("GOMP_SPINCOUNT") == nullptr && omp_get_num_procs() > 1 &&
              omp_get_num_procs() <= kMostProcessors && queued_nanoseconds() >= 0.0) {}

  void adapt() {
    if (!able_) return;
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    if (seconds < WaitingRule::kSeconds) return;
    const double queued = queued_nanoseconds();
    // A long pause between two looks says nothing about now.
    if (seconds < 10.0 * WaitingRule::kSeconds)
      sleep_early(rule_.next((queued - queued_) * 1e-9 / seconds));
    last_ = now;
    queued_ = queued;
  }

  bool early() const { return team_ != nullptr; }

 private:
  void sleep_early(bool wanted) {
    if (wanted == early()) return;
    if (!wanted) {
      team_.reset();
      return;
    }
    try {
      team_ = std::make_unique<DormantTeam>();
    } catch (const std::system_error&) {
      able_ = false;  // no more threads: then they wait as they did
    }
  }

  bool able_;
  Clock::time_point last_;
  double queued_ = 0.0;
  WaitingRule rule_;
  std::unique_ptr<DormantTeam> team_;
};

std::mutex waiting_mutex;

Waiting& waiting() {
  // Never destroyed: at the end of a process its thread would be waited for in vain.
  static auto* const instance = new Waiting();
  return *instance;
}

}  // namespace

void adapt_waiting() {
  const std::unique_lock lock(waiting_mutex, std::try_to_lock);
  if (lock.owns_lock()) waiting().adapt();
}

bool sleeps_early() {
  const std::lock_guard lock(waiting_mutex);
  return waiting().early();
}

double queued_nanoseconds(const std::string& tasks) {
  std::error_code error;
  double sum = -1.0;
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream file(task.path() / "schedstat");
    double running = 0.0;
    double queued = 0.0;
    if (file >> running >> queued) sum = (sum < 0.0 ? 0.0 : sum) + queued;
  }
  return sum;
}

}  // namespace pal
