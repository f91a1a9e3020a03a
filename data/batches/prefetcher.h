#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace pal {

/// Threads that make numbered batches ahead of the one thread that takes them. A batch is a number
/// of items that do not depend on each other; all threads share the items of one batch before they
/// go on to the next. What a batch is made in is a slot: depth + 1 of them are used in turns.
class Prefetcher {
 public:
  struct Work {
    /// Prepares a slot for a batch and returns its items; called by the thread that takes, while
    /// nobody uses the slot.
    std::function<int64_t(int64_t number, int64_t slot)> begin;
    /// Makes one item; called from any thread, `worker` from [0, max(1, workers)). Must not throw.
    std::function<void(int64_t worker, int64_t slot, int64_t item)> make;
  };

  /// At most `depth` batches beyond the taken one are begun. Without workers the thread that takes
  /// makes the items itself, and none ahead. Throws environment if a thread cannot be started.
  Prefetcher(int64_t workers, int64_t depth, Work work);
  /// Drops what was not taken and waits for the items that are being made.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// Number of slots: depth + 1, without workers 1.
  int64_t slots() const { return static_cast<int64_t>(slots_.size()); }
  /// Waits for a batch and returns its slot, which stays as it is until another batch is taken. If
  /// it is neither the next one nor the last one taken, what was made ahead is dropped. Batches
  /// that follow, as far as the one before `end`, are begun. Passes on what `begin` throws; the
  /// batch may then be asked for again.
  int64_t take(int64_t number, int64_t end);
  /// Seconds for which take() has waited or made items.
  double stall_seconds() const { return stall_seconds_; }

 private:
  /// How far the batch in a slot is, in items.
  struct Slot {
    int64_t items = 0;
    int64_t handed_out = 0;
    int64_t finished = 0;
  };

  Slot& slot_of(int64_t number) { return slots_[static_cast<size_t>(number % slots())]; }
  void start(int64_t workers);
  void work(const std::stop_token& stop, int64_t worker);
  bool has_item();
  void make_one(std::unique_lock<std::mutex>& lock, int64_t worker);
  void restart(int64_t number);
  void begin(int64_t number);

  const Work work_;
  std::vector<Slot> slots_;
  int64_t next_ = 0;    ///< number after that of the batch taken last
  bool holds_ = false;  ///< whether the batch taken last is in its slot
  double stall_seconds_ = 0.0;

  std::mutex mutex_;  ///< guards what follows, and slots_
  std::condition_variable_any begun_signal_;
  std::condition_variable finished_signal_;
  int64_t current_ = 0;  ///< number of the batch whose items are handed out
  int64_t begun_ = 0;    ///< number after that of the batch begun last
  int64_t running_ = 0;  ///< items being made
  std::vector<std::jthread> threads_;
};

}  // namespace pal
