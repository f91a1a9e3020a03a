#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>

#include "tests/emulator/fault.h"
#include "tests/emulator/graph.h"
#include "tests/emulator/meeting.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/nccl_api.h"

using emulator::Fault;
using namespace emulator::detail;

/// One rank's end of a communicator.
struct ncclComm {
  ncclComm(const std::string& name, int size, int rank) : meeting(name, size, rank), ranks(size) {}

  Meeting meeting;
  const int ranks;
  cudaStream_t stream = nullptr;
  std::atomic<bool> aborted{false};
  bool finalizing = false;
  std::size_t offset = 0;       // bytes of the call under way that are done
  std::function<void()> asked;  // a call that has not reached its stream yet
  bool polled = false;          // since then
};

namespace {

using Comm = std::shared_ptr<ncclComm>;

/// Those that live; reachable to the end for the leak check.
struct Communicators {
  std::mutex mutex;
  std::map<ncclComm_t, Comm> live;
};

Communicators& communicators() {
  static auto* instance = new Communicators;
  return *instance;
}

Comm find(ncclComm_t comm) {
  const std::lock_guard lock(communicators().mutex);
  const auto found = communicators().live.find(comm);
  if (found == communicators().live.end())
    throw Fault("emulator: NCCL: a communicator that was destroyed or aborted");
  return found->second;
}

void forget(const Comm& comm) {
  // It holds the communicator.
  comm->asked = nullptr;
  const std::lock_guard lock(communicators().mutex);
  communicators().live.erase(comm.get());
}

enum class Operation { all_reduce, all_gather, broadcast };

struct Call {
  Operation operation;
  const char* send;
  char* receive;
  std::size_t count;
  ncclDataType_t type;
  int root;
};

std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclFloat64:
      return 8;
    case ncclFloat32:
      return 4;
    case ncclBfloat16:
      return 2;
    case ncclUint8:
      break;
  }
  return 1;
}

/// Elements as NCCL's kernels add them: bf16 rounds each partial sum, to nearest even.
struct Bf16 {
  uint16_t bits;
  Bf16() = default;
  Bf16(float value) {
    uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    const bool is_nan = (word & 0x7fffffffU) > 0x7f800000U;
    word = is_nan ? word | 0x400000U : word + 0x7fffU + ((word >> 16) & 1U);
    bits = static_cast<uint16_t>(word >> 16);
  }
  operator float() const {
    const uint32_t word = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
};

template <typename T>
void add(const std::vector<const char*>& all, char* to, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += sizeof(T)) {
    T sum;
    std::memcpy(&sum, all[0] + at, sizeof sum);
    for (std::size_t r = 1; r < all.size(); ++r) {
      T next;
      std::memcpy(&next, all[r] + at, sizeof next);
      sum = static_cast<T>(sum + next);
    }
    std::memcpy(to + at, &sum, sizeof sum);
  }
}

void add(ncclDataType_t type, const std::vector<const char*>& all, char* to, std::size_t bytes) {
  if (type == ncclFloat64) return add<double>(all, to, bytes);
  if (type == ncclFloat32) return add<float>(all, to, bytes);
  if (type == ncclBfloat16) return add<Bf16>(all, to, bytes);
  add<uint8_t>(all, to, bytes);
}

/// Does one call, piece by piece, as far as the other ranks have come; whether it is done.
bool work(ncclComm& comm, const Call& call) {
  const std::size_t bytes = call.count * size_of(call.type);
  const Meeting::Terms terms = {static_cast<int>(call.operation), call.type, call.root, call.count};
  while (!comm.aborted && comm.offset < bytes) {
    const std::size_t at = comm.offset;
    const std::size_t piece = std::min(Meeting::kPiece, bytes - at);
    const auto give = [&](char* place) {
      const DeviceWork device;
      std::memcpy(place, call.send + at, piece);
    };
    const auto take = [&](const std::vector<const char*>& all) {
      const DeviceWork device;
      if (call.operation == Operation::all_reduce)
        add(call.type, all, call.receive + at, piece);
      else if (call.operation == Operation::broadcast)
        std::memcpy(call.receive + at, all[static_cast<std::size_t>(call.root)], piece);
      else
        for (std::size_t r = 0; r < all.size(); ++r)
          std::memcpy(call.receive + r * bytes + at, all[r], piece);
    };
    if (!comm.meeting.exchange(terms, give, take)) return false;
    comm.offset += piece;
  }
  comm.offset = 0;
  return true;
}

void check_memory(const char* what, const void* begin, std::size_t bytes) {
  if (!is_inside(begin, bytes, Space::device))
    throw Fault(std::string("emulator: NCCL: memory to ") + what + " is not one of the device's");
}

/// Takes a call, which reaches its stream only when the caller has asked twice for the state of the
/// communicator: whoever records an event before that misses it.
ncclResult_t ask(const Call& call, ncclComm_t handle, cudaStream_t stream) {
  const Comm comm = find(handle);
  if (!comm->meeting.complete() || comm->finalizing || call.root < 0 || call.root >= comm->ranks)
    return ncclInvalidUsage;
  if (comm->asked) throw Fault("emulator: NCCL: a call while the one before is in progress");
  if (!comm->stream) comm->stream = stream;
  if (comm->stream != stream) throw Fault("emulator: NCCL: a communicator on two streams");
  const std::size_t bytes = call.count * size_of(call.type);
  if (bytes == 0) return ncclSuccess;
  check_memory("read", call.send, bytes);
  const bool gathers = call.operation == Operation::all_gather;
  check_memory("write", call.receive, bytes * static_cast<std::size_t>(gathers ? comm->ranks : 1));
  comm->polled = false;
  comm->asked = [comm, call, stream] {
    const Step step = [comm, call] { return work(*comm, call); };
    if (is_recording(stream, "NCCL"))
      record_step(stream, step, &emulator::GraphNodes::library);
    else
      run_or_defer_step(stream, step);
  };
  return ncclInProgress;
}

}  // namespace

const char* ncclGetErrorString(ncclResult_t result) {
  constexpr const char* kTexts[] = {"no error",
                                    "unhandled cuda error",
                                    "unhandled system error",
                                    "internal error",
                                    "invalid argument",
                                    "invalid usage",
                                    "remote process exited or there was a network error",
                                    "NCCL operation in progress"};
  return kTexts[result];
}

const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetVersion(int* version) {
  *version = 22809;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  std::snprintf(id->internal, sizeof id->internal, "/pal-nccl-%d-%08x", getpid(),
                std::random_device()());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (rank < 0 || rank >= ranks || config->blocking != 0) return ncclInvalidArgument;
  const auto made = std::make_shared<ncclComm>(id.internal, ranks, rank);
  const std::lock_guard lock(communicators().mutex);
  communicators().live[made.get()] = made;
  *comm = made.get();
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* error) {
  const Comm comm = find(handle);
  *error = ncclInProgress;
  if (comm->meeting.somebody_left()) {
    *error = ncclRemoteError;
  } else if (!comm->meeting.complete()) {
    return ncclSuccess;
  } else if (comm->asked) {
    if (std::exchange(comm->polled, true)) std::exchange(comm->asked, nullptr)();
    if (!comm->asked) *error = ncclSuccess;
  } else if (!comm->finalizing || !comm->stream || advance(point_of(comm->stream))) {
    *error = ncclSuccess;
  }
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
  find(handle)->finalizing = true;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  const Comm comm = find(handle);
  if (!comm->finalizing) return ncclInvalidUsage;
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  const Comm comm = find(handle);
  comm->aborted = true;
  comm->meeting.leave();
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  if (op != ncclSum) return ncclInvalidArgument;
  return ask({Operation::all_reduce, static_cast<const char*>(send), static_cast<char*>(receive),
              count, type, 0},
             comm, stream);
}

ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return ask({Operation::all_gather, static_cast<const char*>(send), static_cast<char*>(receive),
              count, type, 0},
             comm, stream);
}

ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return ask({Operation::broadcast, static_cast<const char*>(send), static_cast<char*>(receive),
              count, type, root},
             comm, stream);
}

void* emulator::nccl_symbol(const char* name) {
#define PAL_SYMBOL(function) \
  { #function, reinterpret_cast < void*>(&function) }
  static const std::map<std::string, void*> symbols = {
      PAL_SYMBOL(ncclGetErrorString),     PAL_SYMBOL(ncclGetLastError),
      PAL_SYMBOL(ncclGetVersion),         PAL_SYMBOL(ncclGetUniqueId),
      PAL_SYMBOL(ncclCommInitRankConfig), PAL_SYMBOL(ncclCommGetAsyncError),
      PAL_SYMBOL(ncclCommFinalize),       PAL_SYMBOL(ncclCommDestroy),
      PAL_SYMBOL(ncclCommAbort),          PAL_SYMBOL(ncclAllReduce),
      PAL_SYMBOL(ncclAllGather),          PAL_SYMBOL(ncclBroadcast),
  };
#undef PAL_SYMBOL
  const auto found = symbols.find(name);
  return found == symbols.end() ? nullptr : found->second;
}
