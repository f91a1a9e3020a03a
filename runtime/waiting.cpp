#include "runtime/waiting.h"

#include <fmt/format.h>
#include <omp.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/log.h"
#include "runtime/processors.h"
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

constexpr int kAllThreads = std::numeric_limits<int>::max();
std::atomic<int> allowed_threads = kAllThreads;

/// Processor seconds that other processes spent so far; of no meaning where they are not known.
double others_seconds() {
  timespec own{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
  return used_processor_seconds() - static_cast<double>(own.tv_sec) -
         1e-9 * static_cast<double>(own.tv_nsec);
}

/// Teams of more threads would cost more than they save.
constexpr int kMostProcessors = 64;

class Waiting {
 public:
  Waiting()
      : able_(std::getenv("OMP_WAIT_POLICY") == nullptr &&
              std::getenv("GOMP_SPINCOUNT") == nullptr && omp_get_num_procs() > 1 &&
              omp_get_num_procs() <= kMostProcessors && queued_nanoseconds() >= 0.0 &&
              used_processor_seconds() >= 0.0) {}

  void adapt() {
    if (!able_) return;
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    if (seconds < WaitingRule::kSeconds) return;
    const double queued = queued_nanoseconds();
    const double others = others_seconds();
    // A long pause between two looks says nothing about now.
    if (seconds < 10.0 * WaitingRule::kSeconds)
      sleep_early(rule_.next((queued - queued_) * 1e-9 / seconds), (others - others_) / seconds);
    last_ = now;
    queued_ = queued;
    others_ = others;
  }

  bool early() const { return team_ != nullptr; }

 private:
  /// `others`: processors that other processes used of late.
  void sleep_early(bool wanted, double others) {
    if (wanted == early()) return;
    if (!wanted) {
      allowed_threads = kAllThreads;
      team_.reset();
      return;
    }
    try {
      team_ = std::make_unique<DormantTeam>();
      allowed_threads = WaitingRule::threads_beside(others, usable_processors());
      // At first for everybody: whoever wonders about the pace should know.
      const std::string text = fmt::format(
          "other processes use {:.1f} processors: loops by at most {} of {} threads "
          "while they do, with the same results",
          others, allowed_threads.load(), omp_get_max_threads());
      if (told_)
        log_debug("{}", text);
      else
        log_info("{}", text);
      told_ = true;
    } catch (const std::system_error&) {
      able_ = false;  // no more threads: then they wait as they did
    }
  }

  bool able_;
  Clock::time_point last_;
  double queued_ = 0.0;
  double others_ = 0.0;
  WaitingRule rule_;
  bool told_ = false;
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

int threads_beside_others() { return allowed_threads.load(std::memory_order_relaxed); }

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
