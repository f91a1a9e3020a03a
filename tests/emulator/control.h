#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

struct CUstream_st;

namespace emulator {

/// The order in which blocks of a grid, warps of a block and lanes of a warp run. A right kernel
/// gives the same bits in every order.
enum class Order { forward, reverse, shuffled };

/// Order of the launches that follow; the seed counts for shuffled only.
void set_order(Order order, uint64_t seed = 42);
Order order();

/// Number of devices, 0 or more; until it is called, that of PAL_EMULATED_DEVICES, else 0.
void set_device_count(int count);
/// As cudaDriverGetVersion reports it (default 13000); 0 stands for a machine without a driver.
void set_driver_version(int version);

/// Total device memory (default 16 GiB); 0 restores the default. cudaMalloc beyond it returns
/// cudaErrorMemoryAllocation.
void set_memory_limit(std::size_t bytes);
/// Bytes of device memory that cudaMalloc has given out.
std::size_t device_bytes();

/// For a caching allocator: of the allocation that cudaMalloc returned as `begin`, the first
/// `bytes` are in use and filled with 0xff now; AddressSanitizer reports any access to the rest. A
/// block that waits in the cache has 0. While the calling thread captures a graph nothing is filled
/// and the part in use only grows, since replays meet the last state.
void set_usable_bytes(void* begin, std::size_t bytes);

/// Runs `work`, host code that reads and writes device memory in place of a library of the device,
/// or records it if the calling thread captures a graph.
void host_op(std::function<void()> work);

/// What a recorded graph consists of. Libraries count as one node a call, though theirs may launch
/// more than one kernel.
struct GraphNodes {
  int64_t kernels = 0;
  int64_t library = 0;  ///< host_op
  int64_t copies = 0;
  int64_t fills = 0;
  int64_t others = 0;
  int64_t total() const { return kernels + library + copies + fills + others; }
};
/// Of the capture that ended last, without an error.
GraphNodes captured_nodes();

/// Makes a stream late: what is asked of it is done only when something waits for it (an event, a
/// synchronisation, memory that is given back, a host_op), so that a wait that is missing shows in
/// the results. Work of all other streams is done at once. Ends with late = false, which does what
/// is left to do, and with reset(). Whoever asks for the same event a third time is taken to wait.
void set_late(CUstream_st* stream, bool late = true);

/// Leaves out the wait of a stream for an event after `waits` more of the calling thread, as a
/// program that forgets one would.
void omit_wait(int waits = 0);

/// Makes the call of the runtime API after `calls` more return `error` (a cudaError_t) and do
/// nothing else. Getters of errors are not counted.
void inject_error(int error, int calls = 0);

/// Back to the defaults: order, limits, errors, late streams, captures under way. Memory, streams
/// and the number of devices stay.
void reset();

/// Work since the start of the process.
struct Counters {
  int64_t launches = 0;
  int64_t blocks = 0;
  int64_t switches = 0;  ///< between fibers
};
Counters counters();

}  // namespace emulator
