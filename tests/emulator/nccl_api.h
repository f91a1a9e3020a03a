#pragma once
#include <climits>
#include <cstddef>

#include "tests/emulator/runtime_api.h"

// The part of NCCL that the engine uses, with its names and values. Ranks are threads or processes
// of one machine, each with an emulated device, that meet in shared memory. Sums are made in the
// order of the ranks. What a rank asks for is done when its stream comes to it and the others have
// come there too; misuse that NCCL reports late or not at all throws emulator::Fault.

enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7,
};

enum ncclDataType_t { ncclUint8 = 1, ncclFloat32 = 7, ncclFloat64 = 8, ncclBfloat16 = 9 };
enum ncclRedOp_t { ncclSum = 0 };

using ncclComm_t = struct ncclComm*;

struct ncclUniqueId {
  char internal[128];
};

struct ncclConfig_t {
  std::size_t size;
  unsigned magic;
  unsigned version;
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  { sizeof(ncclConfig_t), 0xcafebeef, 22809, INT_MIN }

const char* ncclGetErrorString(ncclResult_t result);
const char* ncclGetLastError(ncclComm_t comm);
ncclResult_t ncclGetVersion(int* version);

ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
/// Only with config->blocking == 0: returns at once, and the communicator is in progress until all
/// ranks have come.
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config);
/// A rank that was aborted is a remote error of the others.
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error);
/// In progress until this rank's work is done.
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
/// Ends this rank's work, done or not, and the communicator.
ncclResult_t ncclCommAbort(ncclComm_t comm);

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream);

namespace emulator {

/// The function of that name, as dlsym would find it in NCCL; null for any other.
void* nccl_symbol(const char* name);

}  // namespace emulator
