#include "tests/emulator/launch.h"

#include <map>
#include <string>

#include "tests/emulator/block.h"
#include "tests/emulator/control.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/graph.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/scheduler.h"
#include "tests/emulator/shared_memory.h"

namespace emulator {
namespace {

struct State {
  Order order = Order::forward;
  uint64_t seed = 42;
  int64_t launches = 0;
  std::map<const void*, std::size_t> raised_limits;
};

State& state() {
  static State instance;
  return instance;
}

std::string text(dim3 d) {
  return std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z);
}

std::size_t shared_limit(const void* kernel) {
  const auto raised = state().raised_limits.find(kernel);
  return raised == state().raised_limits.end() ? detail::kSharedBytes : raised->second;
}

void check(const detail::Launch& launch) {
  const dim3 g = launch.grid, b = launch.block;
  const auto refuse = [&](const std::string& why) {
    throw Fault("emulator: launch of grid " + text(g) + ", block " + text(b) + ": " + why);
  };
  if (g.x == 0 || g.y == 0 || g.z == 0) refuse("the grid is empty");
  if (g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535) refuse("the grid is too large");
  const uint64_t threads = uint64_t(b.x) * b.y * b.z;
  if (threads == 0 || threads % 32 || b.x > 1024 || b.y > 1024 || b.z > 64 || threads > 1024)
    refuse("a block is whole warps, 32 to 1024 threads");
  if (launch.shared_bytes > shared_limit(launch.kernel))
    refuse(std::to_string(launch.shared_bytes) + " bytes of dynamic shared memory; the limit is " +
           std::to_string(shared_limit(launch.kernel)));
}

}  // namespace

void set_order(Order order, uint64_t seed) {
  state().order = order;
  state().seed = seed;
}

Order order() { return state().order; }

Counters counters() {
  return {state().launches, detail::scheduler().blocks(), detail::scheduler().switches()};
}

CallScope::CallScope(std::source_location caller) : outer_(detail::scheduler().scope()) {
  detail::scheduler().scope() =
      outer_ * 0x9e3779b97f4a7c15u + caller.line() * 4096u + caller.column();
}

CallScope::~CallScope() { detail::scheduler().scope() = outer_; }

namespace detail {

void barrier(const std::source_location& site) { scheduler().barrier(site); }

uint64_t warp_exchange(WarpFunction function, unsigned mask, uint64_t value, unsigned source,
                       const std::source_location& site) {
  return scheduler().warp_exchange(function, mask, value, source, site);
}

unsigned lane() { return scheduler().lane(); }

void device_fault(const char* what, const std::source_location& site) {
  scheduler().fault(std::string(what) + ", " + site.file_name() + ":" +
                    std::to_string(site.line()));
}

void raise_shared_limit(const void* kernel, std::size_t bytes) {
  state().raised_limits[kernel] = bytes;
}

void check_kernel_pointer(std::size_t position, const void* pointer) {
  if (pointer && !is_device_accessible(pointer))
    throw Fault("emulator: kernel argument " + std::to_string(position) +
                " points to memory that the device cannot read");
}

void record_kernel(cudaStream_t stream, std::function<void()> operation) {
  record(stream, std::move(operation), &GraphNodes::kernels);
}

void run_kernel(const Launch& launch, void (*body)(void*), void* argument) {
  DeviceWork work;
  Scheduler& s = scheduler();
  if (s.running()) s.fault("a launch from a kernel");
  check(launch);
  const SharedMemoryScope shared(launch.shared_bytes, shared_limit(launch.kernel));
  ++state().launches;
  const int64_t switches = s.switches();
  s.run_grid(launch.grid, launch.block, body, argument, state().order, state().seed);
  // A guess that errs on the low side.
  const int64_t threads = int64_t(launch.grid.x) * launch.grid.y * launch.grid.z * launch.block.x *
                          launch.block.y * launch.block.z;
  work.charge(threads * 10 + (s.switches() - switches) * 30);
}

}  // namespace detail
}  // namespace emulator
