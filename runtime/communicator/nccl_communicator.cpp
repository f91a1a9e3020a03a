#include "runtime/communicator/nccl_communicator.h"

#include "runtime/communicator/nccl_library.h"
#include "runtime/error.h"

#ifdef PAL_NCCL
#include "runtime/launch.cuh"
#ifndef PAL_EMULATE_CUDA
#include <nccl.h>
#endif

#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/log.h"
#endif

namespace pal {

#ifndef PAL_NCCL

struct NcclCommunicator::Impl {};
NcclCommunicator::NcclCommunicator(Communicator& host, NcclOptions)
    : Communicator(host.rank(), host.size()) {
  (void)nccl_version();
}
NcclCommunicator::~NcclCommunicator() = default;
void NcclCommunicator::all_reduce(const Tensor&) {}
void NcclCommunicator::all_gather(const Tensor&, const Tensor&) {}
void NcclCommunicator::broadcast(const Tensor&, int) {}
void NcclCommunicator::start_all_reduce(const Tensor&) {}
void NcclCommunicator::finish() {}
void NcclCommunicator::expect_alive() {}
void NcclCommunicator::wait(const cuda::Event&) {}
void NcclCommunicator::abort() noexcept {}

#else

namespace {

using NcclClock = std::chrono::steady_clock;

constexpr auto kNcclPause = std::chrono::microseconds(20);
// For the network to deliver what others still need of a rank that ends.
constexpr auto kNcclFarewell = std::chrono::seconds(5);

/// What is used of the library.
struct NcclFunctions {
#define PAL_NCCL_FUNCTION(name) \
  decltype(&::name) name = reinterpret_cast<decltype(&::name)>(nccl_symbol(#name))
  PAL_NCCL_FUNCTION(ncclGetErrorString);
  PAL_NCCL_FUNCTION(ncclGetLastError);
  PAL_NCCL_FUNCTION(ncclGetUniqueId);
  PAL_NCCL_FUNCTION(ncclCommInitRankConfig);
  PAL_NCCL_FUNCTION(ncclCommGetAsyncError);
  PAL_NCCL_FUNCTION(ncclCommFinalize);
  PAL_NCCL_FUNCTION(ncclCommDestroy);
  PAL_NCCL_FUNCTION(ncclCommAbort);
  PAL_NCCL_FUNCTION(ncclAllReduce);
  PAL_NCCL_FUNCTION(ncclAllGather);
  PAL_NCCL_FUNCTION(ncclBroadcast);
#undef PAL_NCCL_FUNCTION
};

const NcclFunctions& nccl() {
  static const NcclFunctions loaded;
  return loaded;
}

/// Throws unless a call of NCCL did, or is doing, what it was asked for.
void check_nccl(ncclResult_t result, const char* call) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  std::string detail = nccl().ncclGetLastError(nullptr);
  detail = detail.substr(0, detail.find('\n'));
  // Of two ranks on one GPU NCCL says no more than this.
  if (result == ncclInvalidUsage) detail += "; NCCL takes one rank a GPU, --comm cpu takes more";
  const bool environment =
      result == ncclUnhandledCudaError || result == ncclSystemError || result == ncclInvalidUsage;
  fail(result == ncclRemoteError ? ErrorKind::peer
       : environment             ? ErrorKind::environment
                                 : ErrorKind::failure,
       "nccl: {}: {}{}{}", call, nccl().ncclGetErrorString(result), detail.empty() ? "" : ": ",
       detail);
}

void expect_exchangeable(const char* op, const Tensor& values) {
  expect(values.device().is_cuda() && values.is_dense(), "{}: expected a dense tensor on a GPU",
         op);
}

ncclDataType_t type_of_sum(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i32:
    case DType::u8:
      break;
  }
  fail(ErrorKind::usage, "all_reduce: no sums of {}", name_of(dtype));
}

}  // namespace

struct NcclCommunicator::Impl {
  explicit Impl(NcclOptions how) : options(std::move(how)) {}

  NcclOptions options;
  std::mutex mutex;  // of what follows: NCCL's calls return at once, so it is never held for long
  ncclComm_t comm = nullptr;
  bool aborted = false;

  cuda::Event ready;            // of the stream for computing: what a call reads
  cuda::Event done;             // of the stream for communication: what it wrote
  std::vector<Tensor> started;  // sums that nobody waits for yet
  uint64_t recording = 0;       // of the graph that they are part of

  void meet(int rank, int size, const ncclUniqueId& id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    {
      const std::lock_guard lock(mutex);
      check_nccl(nccl().ncclCommInitRankConfig(&comm, size, id, rank, &config),
                 "ncclCommInitRankConfig");
    }
    settle(NcclClock::now() + options.meeting_time);
  }

  /// What NCCL says of the communicator: success, in progress, or what happened to it.
  ncclResult_t state() {
    const std::lock_guard lock(mutex);
    if (aborted) fail(ErrorKind::peer, "nccl: given up after another rank was lost");
    ncclResult_t result = ncclSuccess;
    check_nccl(nccl().ncclCommGetAsyncError(comm, &result), "ncclCommGetAsyncError");
    return result;
  }

  /// Looks after the other ranks; whether the last call is still in progress.
  bool poll() {
    try {
      options.check_peers();
      const ncclResult_t result = state();
      if (result != ncclSuccess && result != ncclInProgress)
        fail(ErrorKind::peer, "nccl: another rank is lost, or the way to it: {}",
             nccl().ncclGetErrorString(result));
      return result == ncclInProgress;
    } catch (...) {
      abort();
      throw;
    }
  }

  /// Waits until the last call has reached its stream: before that it has no place there for an
  /// event to be behind, and NCCL takes no other call.
  void settle(std::optional<NcclClock::time_point> deadline = {}) {
    while (poll()) {
      if (deadline && NcclClock::now() > *deadline) {
        abort();
        fail(ErrorKind::peer, "nccl: not all ranks have come within {} s",
             options.meeting_time.count() / 1000.0);
      }
      std::this_thread::sleep_for(kNcclPause);
    }
  }

  void abort() {
    const std::lock_guard lock(mutex);
    aborted = true;
    if (comm == nullptr) return;
    const ncclResult_t result = nccl().ncclCommAbort(std::exchange(comm, nullptr));
    if (result != ncclSuccess && result != ncclInProgress)
      log_warning("nccl: ncclCommAbort: {}", nccl().ncclGetErrorString(result));
  }

  /// Asks the stream for communication for call(comm, stream), behind what the stream for
  /// computing was asked for so far. All calls are on that stream, so that their order is the same
  /// on all ranks.
  template <typename Call>
  void ask(const char* what, Call&& call) {
    ready.record(cuda::Stream::compute);
    ready.hold(cuda::Stream::communication);
    {
      const std::lock_guard lock(mutex);
      if (aborted) fail(ErrorKind::peer, "nccl: {} after another rank was lost", what);
      check_nccl(call(comm, cuda::stream(cuda::Stream::communication)), what);
    }
    settle();
  }

  void ask_sum(const Tensor& values) {
    expect_exchangeable("all_reduce", values);
    const ncclDataType_t type = type_of_sum(values.dtype());
    ask("ncclAllReduce", [&](ncclComm_t with, cudaStream_t stream) {
      return nccl().ncclAllReduce(values.raw(), values.raw(), static_cast<size_t>(values.numel()),
                                  type, ncclSum, with, stream);
    });
  }

  /// The stream for computing waits for that for communication.
  void join() {
    done.record(cuda::Stream::communication);
    done.hold(cuda::Stream::compute);
  }

  /// Leaves in peace, unless others are lost.
  void leave() {
    if (comm == nullptr) return;
    const ncclResult_t result = nccl().ncclCommFinalize(comm);
    bool left = result == ncclSuccess || result == ncclInProgress;
    const NcclClock::time_point deadline = NcclClock::now() + kNcclFarewell;
    while (left && poll()) {
      left = NcclClock::now() < deadline;
      std::this_thread::sleep_for(kNcclPause);
    }
    const std::lock_guard lock(mutex);
    if (left && comm != nullptr) (void)nccl().ncclCommDestroy(std::exchange(comm, nullptr));
  }
};

NcclCommunicator::NcclCommunicator(Communicator& host, NcclOptions options)
    : Communicator(host.rank(), host.size()), impl_(std::make_unique<Impl>(std::move(options))) {
  // Sums over rings have the same order in each run; what NCCL would choose by itself depends on
  // the sizes, and its sums in switches on the hardware.
  setenv("NCCL_ALGO", "Ring", 0);
  ncclUniqueId id = {};
  std::exception_ptr error;
  try {
    (void)cuda::stream(cuda::Stream::communication);
    (void)nccl();
    if (rank() == 0) check_nccl(nccl().ncclGetUniqueId(&id), "ncclGetUniqueId");
  } catch (const Error&) {
    error = std::current_exception();
  }
  // Nobody may wait for a rank that cannot come.
  const bool failed = any_rank(host, error != nullptr);
  if (error) std::rethrow_exception(error);
  if (failed)
    fail(ErrorKind::environment, "nccl: another rank cannot use it; --comm cpu can do without");
  host.broadcast(Tensor::borrowed(id.internal, {sizeof id.internal}, DType::u8, Device()), 0);
  impl_->meet(rank(), size(), id);
}

NcclCommunicator::~NcclCommunicator() {
  try {
    if (std::uncaught_exceptions() == 0) impl_->leave();
  } catch (const std::exception& error) {
    log_warning("{}", error.what());
  }
  abort();
}

void NcclCommunicator::all_reduce(const Tensor& values) {
  if (values.numel() == 0) return;
  impl_->ask_sum(values);
  impl_->join();
}

void NcclCommunicator::all_gather(const Tensor& mine, const Tensor& all) {
  expect(all.numel() == mine.numel() * size() && all.dtype() == mine.dtype(),
         "all_gather: expected {} elements of {} for all, got {} of {}", mine.numel() * size(),
         name_of(mine.dtype()), all.numel(), name_of(all.dtype()));
  if (mine.numel() == 0) return;
  expect_exchangeable("all_gather", mine);
  expect_exchangeable("all_gather", all);
  impl_->ask("ncclAllGather", [&](ncclComm_t comm, cudaStream_t stream) {
    return nccl().ncclAllGather(mine.raw(), all.raw(), static_cast<size_t>(mine.bytes()), ncclUint8,
                                comm, stream);
  });
  impl_->join();
}

void NcclCommunicator::broadcast(const Tensor& values, int root) {
  if (values.numel() == 0) return;
  expect_exchangeable("broadcast", values);
  impl_->ask("ncclBroadcast", [&](ncclComm_t comm, cudaStream_t stream) {
    return nccl().ncclBroadcast(values.raw(), values.raw(), static_cast<size_t>(values.bytes()),
                                ncclUint8, root, comm, stream);
  });
  impl_->join();
}

void NcclCommunicator::start_all_reduce(const Tensor& values) {
  if (values.numel() == 0) return;
  const uint64_t recording = cuda::recording_id();
  if (impl_->recording != recording) {
    // Those of a recording that was given up are nobody's.
    if (impl_->recording != 0) impl_->started.clear();
    expect(impl_->started.empty(),
           "start_all_reduce: sums that were started before a recording are not finished");
    impl_->recording = recording;
  }
  impl_->ask_sum(values);
  impl_->started.push_back(values);
}

void NcclCommunicator::finish() {
  if (impl_->started.empty()) return;
  impl_->join();
  impl_->started.clear();
}

void NcclCommunicator::expect_alive() { (void)impl_->poll(); }

void NcclCommunicator::wait(const cuda::Event& event) {
  event.wait([this] { expect_alive(); });
  // An abort lets the event pass, too.
  expect_alive();
}

void NcclCommunicator::abort() noexcept { impl_->abort(); }

#endif  // PAL_NCCL

}  // namespace pal
