#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/emulator/device_test.h"

// The stand-in for NCCL: what it does for ranks that are threads or processes, and what it finds.
namespace emulator {
namespace {

/// One rank's communicator, once the other ranks have come.
ncclComm_t meet(const ncclUniqueId& id, int ranks, int rank) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&comm, ranks, id, rank, &config), ncclInProgress);
  ncclResult_t state = ncclInProgress;
  while (state == ncclInProgress) EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
  EXPECT_EQ(state, ncclSuccess);
  return comm;
}

/// Waits until the last call has reached its stream.
void settle(ncclComm_t comm) {
  ncclResult_t state = ncclInProgress;
  while (state == ncclInProgress) EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
}

void leave(ncclComm_t comm) {
  EXPECT_EQ(ncclCommFinalize(comm), ncclInProgress);
  settle(comm);
  EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
}

class NcclTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  }

  /// The last of 40 sums of rank + 1.
  float sum(int rank, int ranks) {
    const ncclComm_t comm = meet(id, ranks, rank);
    cudaStream_t own = nullptr;
    EXPECT_EQ(cudaStreamCreate(&own), cudaSuccess);
    float result = 0;
    {
      Buffer<float> x(std::vector<float>(40, static_cast<float>(rank + 1)));
      EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 40, ncclFloat32, ncclSum, comm, own),
                ncclInProgress);
      settle(comm);
      EXPECT_EQ(cudaStreamSynchronize(own), cudaSuccess);
      result = x.values()[39];
    }
    leave(comm);
    EXPECT_EQ(cudaStreamDestroy(own), cudaSuccess);
    return result;
  }

  ncclUniqueId id;
};

TEST_F(NcclTest, RanksAreThreadsOrProcesses) {
  std::thread other([&] { EXPECT_EQ(sum(1, 2), 3.0f); });
  EXPECT_EQ(sum(0, 2), 3.0f);
  other.join();
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  const pid_t child = fork();
  // No destructors of the tests' framework in the child.
  if (child == 0) _exit(sum(1, 2) == 3.0f ? 0 : 1);
  EXPECT_EQ(sum(0, 2), 3.0f);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  // Nothing is left behind.
  EXPECT_NE(access(("/dev/shm" + std::string(id.internal)).c_str(), F_OK), 0);
}

TEST_F(NcclTest, ACallReachesItsStreamOnlyInTime) {
  const ncclComm_t comm = meet(id, 1, 0);
  Buffer<float> x(std::vector<float>(4, 1)), y(4);
  const auto broadcast = [&] {
    return ncclBroadcast(x.data(), y.data(), 4, ncclFloat32, 0, comm, stream);
  };
  EXPECT_EQ(broadcast(), ncclInProgress);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(y.values()[0], 0.0f);
  EXPECT_THROW(broadcast(), Fault);
  settle(comm);
  EXPECT_EQ(y.values()[0], 1.0f);
  leave(comm);
}

TEST_F(NcclTest, MisuseIsFound) {
  const ncclComm_t comm = meet(id, 1, 0);
  Buffer<float> x(4);
  float host[4] = {};
  const auto sum = [&](void* values, size_t count, cudaStream_t on) {
    return ncclAllReduce(values, values, count, ncclFloat32, ncclSum, comm, on);
  };
  EXPECT_THROW(sum(host, 4, stream), Fault);
  EXPECT_THROW(sum(x.data(), 5, stream), Fault);
  EXPECT_EQ(sum(x.data(), 4, stream), ncclInProgress);
  settle(comm);
  cudaStream_t other = nullptr;
  ASSERT_EQ(cudaStreamCreate(&other), cudaSuccess);
  EXPECT_THROW(sum(x.data(), 4, other), Fault);
  EXPECT_EQ(cudaStreamDestroy(other), cudaSuccess);
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  EXPECT_THROW(sum(x.data(), 4, stream), Fault);
  EXPECT_THROW(ncclCommAbort(comm), Fault);
}

TEST_F(NcclTest, AnAbortEndsWorkAndIsSeenByOthers) {
  Buffer<float> x(4);
  std::thread other([&] { EXPECT_EQ(ncclCommAbort(meet(id, 2, 1)), ncclSuccess); });
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&comm, 2, id, 0, &config), ncclInProgress);
  other.join();
  ncclResult_t state = ncclSuccess;
  EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
  EXPECT_EQ(state, ncclRemoteError);
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
}

TEST_F(NcclTest, AWaitThatIsLeftOut) {
  cudaStream_t late = nullptr;
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaStreamCreate(&late), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  set_late(late);
  Buffer<int> x(4);
  omit_wait(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(cudaMemsetAsync(x.data(), i + 1, 16, late), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(event, late), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(stream, event), cudaSuccess);
    EXPECT_EQ(x.values()[0], 0x01010101 * (i == 1 ? 1 : i + 1)) << i;
  }
  EXPECT_EQ(cudaStreamDestroy(late), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
}

TEST_F(NcclTest, WhoeverAsksAgainAndAgainIsTakenToWait) {
  cudaStream_t late = nullptr;
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaStreamCreate(&late), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  set_late(late);
  Buffer<int> x(4);
  EXPECT_EQ(cudaMemsetAsync(x.data(), 1, 16, late), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, late), cudaSuccess);
  for (const cudaError_t wanted : {cudaErrorNotReady, cudaErrorNotReady, cudaSuccess})
    EXPECT_EQ(cudaEventQuery(event), wanted);
  EXPECT_EQ(x.values()[0], 0x01010101);
  EXPECT_EQ(cudaStreamDestroy(late), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
}

}  // namespace
}  // namespace emulator
