#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <random>
#include <source_location>
#include <string>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/control.h"
#include "tests/emulator/fiber.h"
#include "tests/emulator/language.h"

namespace emulator::detail {

/// Runs the blocks of one launch, one after another. A thread that never waits runs as a plain call
/// on the fiber of its predecessor; one that waits keeps its fiber until it goes on. Each warp runs
/// ahead as far as it can, so a missing barrier shows.
class Scheduler {
 public:
  /// `body(argument)` is one thread of the kernel.
  void run_grid(dim3 grid, dim3 block, void (*body)(void*), void* argument, Order order,
                uint64_t seed);
  bool running() const { return running_ != &main_; }

  // For the current thread.
  void barrier(const std::source_location& site);
  uint64_t warp_exchange(WarpFunction function, unsigned mask, uint64_t value, unsigned source,
                         const std::source_location& site);
  unsigned lane() const { return current_ % 32; }
  uint64_t& scope() { return threads_[current_].scope; }
  /// Throws a Fault that names block and thread.
  [[noreturn]] void fault(const std::string& what) const;

  /// Blocks and fiber switches since the start of the process.
  int64_t blocks() const { return blocks_; }
  int64_t switches() const { return switches_; }

 private:
  struct Thread {
    Fiber* fiber = nullptr;  // where it waits; null before it starts, while it runs and at its end
    uint64_t scope = 0;
    uint64_t value = 0;
    unsigned mask = 0;
    unsigned source = 0;
    WarpFunction function = WarpFunction::sync;
    std::source_location site;
  };
  /// One bit for each lane; every lane is in exactly one of them.
  struct Warp {
    unsigned runnable, in_function, at_barrier, exited;
  };

  void run_block();
  static void fiber_main();
  void run_threads();
  void suspend();
  int next();
  void go_to(unsigned thread);
  void set_current(unsigned thread);
  void abandon();
  void reorder();
  bool release_warp(unsigned warp);
  void complete(unsigned warp, unsigned mask);
  bool release_block();
  Fiber* take_fiber();
  std::string describe(unsigned thread) const;

  Fiber main_;
  Fiber* running_ = &main_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_;

  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<uint3> indices_;
  unsigned count_ = 0, current_ = 0;
  dim3 shape_{0, 0, 0};
  // The schedule: positions in the orders of warps and of lanes.
  std::vector<unsigned> warp_order_, lane_order_;
  unsigned warp_position_ = 0, lane_position_ = 0;
  Order order_ = Order::forward;
  std::minstd_rand random_;

  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  std::exception_ptr error_;
  bool abandoning_ = false;
  int64_t blocks_ = 0, switches_ = 0;
};

Scheduler& scheduler();

}  // namespace emulator::detail
