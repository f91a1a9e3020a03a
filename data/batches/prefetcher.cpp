// Batch n is made in slot n mod slots(). Three numbers only grow, but for a restart: begun_
// (batches before it may be worked on), current_ (the batch whose items are handed out) and next_
// (the batch that is expected to be taken). By taking batch n the caller gives up the slot of batch
// n - 1, and batch n - 1 + slots() may begin there. mutex_ guards the numbers and counts, not the
// items: those are made unlocked, each by the one thread it was handed to.
#include "data/batches/prefetcher.h"

#include <csignal>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "runtime/error.h"

namespace pal {
namespace {

/// Adds the seconds of its life.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Threads started meanwhile get no signals: these are for the thread that knows what to do with
/// them, and reading must not be interrupted.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Prefetcher::Prefetcher(int64_t workers, int64_t depth, Work work)
    : work_(std::move(work)), slots_(static_cast<size_t>(workers == 0 ? 1 : depth + 1)) {
  const SignalsBlocked blocked;
  try {
    for (int64_t worker = 0; worker < workers; ++worker)
      threads_.emplace_back(
          [this, worker](const std::stop_token& stop) { this->work(stop, worker); });
  } catch (const std::system_error& error) {
    fail(ErrorKind::environment, "workers: cannot start thread {} of {}: {}", threads_.size() + 1,
         workers, error.what());
  }
}

Prefetcher::~Prefetcher() {
  // All before the first is waited for.
  for (std::jthread& thread : threads_) thread.request_stop();
}

void Prefetcher::work(const std::stop_token& stop, int64_t worker) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested())
    if (begun_signal_.wait(lock, stop, [this] { return has_item(); })) make_one(lock, worker);
}

bool Prefetcher::has_item() {
  while (current_ < begun_ && slot_of(current_).handed_out == slot_of(current_).items) ++current_;
  return current_ < begun_;
}

void Prefetcher::make_one(std::unique_lock<std::mutex>& lock, int64_t worker) {
  const int64_t index = current_ % slots();
  Slot& slot = slot_of(current_);
  const int64_t item = slot.handed_out++;
  ++running_;
  lock.unlock();
  work_.make(worker, index, item);
  lock.lock();
  --running_;
  // A restart waits for all items, a take for those of one batch.
  if (++slot.finished == slot.items || running_ == 0) finished_signal_.notify_one();
}

void Prefetcher::restart(int64_t number) {
  std::unique_lock lock(mutex_);
  current_ = begun_;
  finished_signal_.wait(lock, [this] { return running_ == 0; });
  next_ = current_ = begun_ = number;
  holds_ = false;
}

void Prefetcher::begin(int64_t number) {
  const int64_t items = work_.begin(number, number % slots());
  const std::scoped_lock lock(mutex_);
  slot_of(number) = {.items = items};
  begun_ = number + 1;
  begun_signal_.notify_all();
}

int64_t Prefetcher::take(int64_t number, int64_t end) {
  if (holds_ && number == next_ - 1) return number % slots();
  const Stopwatch stopwatch(stall_seconds_);
  if (number != next_) restart(number);
  holds_ = false;
  while (begun_ <= number || (begun_ < end && begun_ < number + slots())) begin(begun_);
  std::unique_lock lock(mutex_);
  const Slot& slot = slot_of(number);
  if (threads_.empty())
    while (has_item()) make_one(lock, 0);
  finished_signal_.wait(lock, [&slot] { return slot.finished == slot.items; });
  ++next_;
  holds_ = true;
  return number % slots();
}

}  // namespace pal
