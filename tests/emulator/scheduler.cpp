#include "tests/emulator/scheduler.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "tests/emulator/fault.h"

// How the threads of a block take turns.
//
// A thread is in one of four states, a bit in the masks of its warp: runnable, in a warp function,
// at the barrier, returned. next() is the whole policy. A warp runs lane by lane until no lane is
// runnable; release_warp then lets those on whose warp function every lane of its mask has reached;
// a warp that is stuck gives way to the next one. When all are stuck, release_block opens the
// barrier, ends the block, or finds the fault. So each warp is as far ahead of the others as
// barriers allow, and what a missing barrier leaves open depends on the order, which tests vary.
//
// A fiber is needed only to wait. run_threads calls thread after thread on one stack; the first
// that waits keeps that fiber, and the others go on on a free one. A block without waiting costs
// two switches, whatever its threads. No more fibers are made than threads wait at once, and they
// are kept for later launches.
//
// A fault is thrown where it is found, on the fiber of the current thread, and caught in
// run_threads, which returns to the main fiber. There abandon() resumes every waiting thread once
// more: suspend() throws Abandoned into it, so that the destructors on its stack run.

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator::detail {
namespace {

/// Unwinds the fibers that are left when another thread has failed.
struct Abandoned {};

bool same_text(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

bool same_site(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         same_text(a.file_name(), b.file_name()) && same_text(a.function_name(), b.function_name());
}

std::string text(const uint3& index) {
  return std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z);
}

std::string text(const std::source_location& site) {
  return std::string(site.file_name()) + ":" + std::to_string(site.line());
}

/// A cheap permutation of 0 .. n-1.
struct BlockOrder {
  uint64_t n, step, offset;

  BlockOrder(uint64_t blocks, Order order, std::minstd_rand& random)
      : n(blocks), step(1), offset(0) {
    if (order == Order::reverse) step = n - 1, offset = n - 1;
    if (order != Order::shuffled) return;
    offset = random() % n;
    for (step = random() % n; std::gcd(step, n) != 1;) step = (step + 1) % n;
  }
  uint64_t operator()(uint64_t i) const { return (i * step + offset) % n; }
};

}  // namespace

Scheduler& scheduler() {
  static Scheduler instance;
  return instance;
}

void Scheduler::fault(const std::string& what) const {
  const std::string where = running() ? "block " + text(blockIdx) + " thread " + text(threadIdx)
                                      : "block " + text(blockIdx);
  throw Fault("emulator: " + where + ": " + what);
}

std::string Scheduler::describe(unsigned thread) const {
  return "thread " + text(indices_[thread]) + " at " + text(threads_[thread].site);
}

void Scheduler::run_grid(dim3 grid, dim3 block, void (*body)(void*), void* argument, Order order,
                         uint64_t seed) {
  count_ = block.x * block.y * block.z;
  threads_.resize(count_);
  warps_.resize(count_ / 32);
  if (block.x != shape_.x || block.y != shape_.y || block.z != shape_.z) {
    shape_ = block;
    indices_.resize(count_);
    for (unsigned i = 0; i < count_; ++i)
      indices_[i] = {i % block.x, i / block.x % block.y, i / block.x / block.y};
  }
  gridDim = grid;
  blockDim = block;
  body_ = body;
  argument_ = argument;
  order_ = order;
  random_.seed(unsigned(seed % 0x7ffffffe) + 1);
  warp_order_.resize(count_ / 32);
  lane_order_.resize(32);
  std::iota(warp_order_.begin(), warp_order_.end(), 0u);
  std::iota(lane_order_.begin(), lane_order_.end(), 0u);
  if (order == Order::reverse) {
    std::reverse(warp_order_.begin(), warp_order_.end());
    std::reverse(lane_order_.begin(), lane_order_.end());
  }

  const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
  const BlockOrder position(blocks, order, random_);
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b = position(i);
    blockIdx = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / grid.x / grid.y)};
    run_block();
  }
}

void Scheduler::run_block() {
  for (Thread& thread : threads_) thread.fiber = nullptr, thread.scope = 0;
  std::fill(warps_.begin(), warps_.end(), Warp{~0u, 0, 0, 0});
  warp_position_ = lane_position_ = 0;
  reorder();
  ++blocks_;
  go_to(unsigned(next()));
  if (!error_) return;
  abandon();
  std::rethrow_exception(std::exchange(error_, nullptr));
}

void Scheduler::reorder() {
  if (order_ != Order::shuffled) return;
  std::shuffle(warp_order_.begin(), warp_order_.end(), random_);
  std::shuffle(lane_order_.begin(), lane_order_.end(), random_);
}

void Scheduler::abandon() {
  abandoning_ = true;
  for (unsigned t = 0; t < count_; ++t)
    if (threads_[t].fiber) go_to(t);
  abandoning_ = false;
}

void Scheduler::fiber_main() {
  Fiber::entered();
  for (;;) scheduler().run_threads();
}

// Threads one after another on this fiber, until none can run or one has failed.
void Scheduler::run_threads() {
  try {
    for (;;) {
      body_(argument_);
      Warp& warp = warps_[current_ / 32];
      const unsigned bit = 1u << lane();
      warp.runnable &= ~bit;
      warp.exited |= bit;
      const int thread = next();
      if (thread < 0) break;
      if (!threads_[unsigned(thread)].fiber) {
        set_current(unsigned(thread));
        continue;
      }
      free_.push_back(running_);
      go_to(unsigned(thread));
    }
  } catch (const Abandoned&) {
  } catch (...) {
    error_ = std::current_exception();
  }
  Fiber& self = *running_;
  free_.push_back(&self);
  running_ = &main_;
  Fiber::switch_to(self, main_);
}

void Scheduler::set_current(unsigned thread) {
  current_ = thread;
  threadIdx = indices_[thread];
}

Fiber* Scheduler::take_fiber() {
  if (free_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(fiber_main));
    return fibers_.back().get();
  }
  Fiber* fiber = free_.back();
  free_.pop_back();
  return fiber;
}

// Leaves the running fiber for the one of `thread`, or for a free one if it has not started.
void Scheduler::go_to(unsigned thread) {
  set_current(thread);
  Fiber* waiting = std::exchange(threads_[thread].fiber, nullptr);
  Fiber& from = *running_;
  running_ = waiting ? waiting : take_fiber();
  ++switches_;
  Fiber::switch_to(from, *running_);
}

// The current thread, already marked as waiting, lets others run until it may go on.
void Scheduler::suspend() {
  const unsigned self = current_;
  const int thread = next();
  if (unsigned(thread) == self) return;
  threads_[self].fiber = running_;
  go_to(unsigned(thread));
  if (abandoning_) throw Abandoned{};
}

// The thread to run now, or -1 at the end of the block.
int Scheduler::next() {
  for (;;) {
    for (; warp_position_ < warps_.size(); ++warp_position_, lane_position_ = 0) {
      const unsigned warp = warp_order_[warp_position_];
      do {
        while (lane_position_ < 32 && warps_[warp].runnable) {
          const unsigned l = lane_order_[lane_position_++];
          if (warps_[warp].runnable >> l & 1) return int(warp * 32 + l);
        }
        lane_position_ = 0;
      } while (release_warp(warp));
    }
    if (!release_block()) return -1;
    warp_position_ = lane_position_ = 0;
    reorder();
  }
}

void Scheduler::barrier(const std::source_location& site) {
  Thread& thread = threads_[current_];
  thread.site = site;
  Warp& warp = warps_[current_ / 32];
  warp.runnable &= ~(1u << lane());
  warp.at_barrier |= 1u << lane();
  suspend();
}

uint64_t Scheduler::warp_exchange(WarpFunction function, unsigned mask, uint64_t value,
                                  unsigned source, const std::source_location& site) {
  if (!(mask >> lane() & 1)) fault("a lane outside the mask of a warp function, " + text(site));
  Thread& thread = threads_[current_];
  thread.function = function;
  thread.mask = mask;
  thread.value = value;
  thread.source = source;
  thread.site = site;
  Warp& warp = warps_[current_ / 32];
  warp.runnable &= ~(1u << lane());
  warp.in_function |= 1u << lane();
  suspend();
  return thread.value;
}

// Lets lanes pass their warp function once all of their mask have come.
bool Scheduler::release_warp(unsigned w) {
  Warp& warp = warps_[w];
  bool released = false;
  for (unsigned left = warp.in_function; left;) {
    const unsigned first = unsigned(std::countr_zero(left));
    const Thread& leader = threads_[w * 32 + first];
    const unsigned mask = leader.mask;
    left &= left - 1;
    if (mask & warp.exited)
      fault("lanes in the mask of a warp function have returned: " + describe(w * 32 + first));
    bool together = (warp.in_function & mask) == mask;
    for (unsigned rest = mask; together && rest; rest &= rest - 1) {
      const unsigned t = w * 32 + unsigned(std::countr_zero(rest));
      together = threads_[t].mask == mask;
      if (together &&
          (threads_[t].scope != leader.scope || threads_[t].function != leader.function ||
           !same_site(threads_[t].site, leader.site)))
        fault("lanes of one mask in different warp functions: " + describe(w * 32 + first) + ", " +
              describe(t));
    }
    if (!together) continue;
    complete(w, mask);
    left &= ~mask;
    released = true;
  }
  return released;
}

void Scheduler::complete(unsigned w, unsigned mask) {
  Thread* lanes = &threads_[w * 32];
  const WarpFunction function = lanes[std::countr_zero(mask)].function;
  uint64_t values[32];
  uint64_t ballot = 0;
  for (unsigned l = 0; l < 32; ++l) {
    values[l] = lanes[l].value;
    if (mask >> l & 1 && values[l]) ballot |= 1u << l;
  }
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    if (function == WarpFunction::ballot) lanes[l].value = ballot;
    if (function != WarpFunction::shuffle) continue;
    if (!(mask >> lanes[l].source & 1))
      fault("a shuffle reads lane " + std::to_string(lanes[l].source) +
            " outside its mask: " + describe(w * 32 + l));
    lanes[l].value = values[lanes[l].source];
  }
  warps_[w].in_function &= ~mask;
  warps_[w].runnable |= mask;
}

// Opens the barrier when all threads have come; false when all have returned.
bool Scheduler::release_block() {
  int waiting = -1, returned = -1;
  for (unsigned t = 0; t < count_; ++t) {
    const Warp& warp = warps_[t / 32];
    if (warp.in_function >> t % 32 & 1)
      fault("a warp function not reached by every lane of its mask: " + describe(t));
    if (warp.exited >> t % 32 & 1) {
      returned = int(t);
    } else if (waiting < 0) {
      waiting = int(t);
    } else if (const Thread& a = threads_[t], &b = threads_[unsigned(waiting)];
               a.scope != b.scope || !same_site(a.site, b.site)) {
      fault("__syncthreads reached at different places: " + describe(unsigned(waiting)) + ", " +
            describe(t));
    }
  }
  if (waiting < 0) return false;
  if (returned >= 0)
    fault("__syncthreads not reached by thread " + text(indices_[unsigned(returned)]) +
          ", which has returned: " + describe(unsigned(waiting)));
  std::fill(warps_.begin(), warps_.end(), Warp{~0u, 0, 0, 0});
  return true;
}

}  // namespace emulator::detail
