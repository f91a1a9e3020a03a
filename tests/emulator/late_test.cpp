#include <optional>
#include <vector>

#include "tests/emulator/device_test.h"

// Late streams: work that nobody waits for is not done.
namespace emulator {
namespace {

__global__ void add_kernel(int* y, const int* x) { y[threadIdx.x] += x[threadIdx.x]; }

/// Two streams, the second of which is late.
class LateTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_EQ(cudaStreamCreateWithFlags(&late, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    ones.emplace(std::vector<int>(32, 1));
    y.emplace(32);
    set_late(late);
  }
  void TearDown() override {
    ones.reset();
    y.reset();
    cudaEventDestroy(event);
    cudaStreamDestroy(late);
    DeviceTest::TearDown();
  }
  void add_late() { launch(add_kernel, 1, 32, 0, late, y->data(), ones->data()); }
  /// What the array holds now, without waiting for the late stream.
  int value() const { return y->values()[31]; }

  cudaStream_t late = nullptr;
  cudaEvent_t event = nullptr;
  std::optional<Buffer<int>> ones, y;
};

TEST_F(LateTest, WorkWaitsForASynchronisation) {
  add_late();
  EXPECT_EQ(value(), 0);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(value(), 0);
  EXPECT_EQ(cudaStreamQuery(late), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamSynchronize(late), cudaSuccess);
  EXPECT_EQ(value(), 1);
  EXPECT_EQ(cudaStreamQuery(late), cudaSuccess);
  add_late();
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(value(), 2);
}

TEST_F(LateTest, AnEventCallsForWhatLiesBeforeIt) {
  add_late();
  ASSERT_EQ(cudaEventRecord(event, late), cudaSuccess);
  add_late();
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(value(), 1);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event, late), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event), cudaSuccess);
  EXPECT_EQ(value(), 2);
}

TEST_F(LateTest, ALateStreamWaitsOnlyWhenItWorks) {
  cudaStream_t other = nullptr;
  ASSERT_EQ(cudaStreamCreate(&other), cudaSuccess);
  set_late(other);
  add_late();
  ASSERT_EQ(cudaEventRecord(event, late), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(other, event), cudaSuccess);
  // The wait stands for the event as it was.
  add_late();
  ASSERT_EQ(cudaEventRecord(event, late), cudaSuccess);
  EXPECT_EQ(value(), 0);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_EQ(value(), 1);
  EXPECT_EQ(cudaStreamDestroy(other), cudaSuccess);
}

TEST_F(LateTest, CopiesTakePageableMemoryAtOnceAndPinnedMemoryLate) {
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 128), cudaSuccess);
  std::vector<int> pageable(32, 3);
  Buffer<int> a(32), b(32);
  for (int i = 0; i < 32; ++i) pinned[i] = 3;
  EXPECT_EQ(cudaMemcpyAsync(a.data(), pageable.data(), 128, cudaMemcpyHostToDevice, late),
            cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(b.data(), pinned, 128, cudaMemcpyHostToDevice, late), cudaSuccess);
  pageable[5] = pinned[5] = 9;
  EXPECT_EQ(a.values()[5], 0);
  // A copy to pageable memory waits.
  EXPECT_EQ(cudaMemcpyAsync(pageable.data(), a.data(), 128, cudaMemcpyDeviceToHost, late),
            cudaSuccess);
  EXPECT_EQ(pageable[5], 3);
  EXPECT_EQ(b.values()[5], 9);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(LateTest, FreeingHostWorkAndTheEndCallForEverything) {
  add_late();
  int* p = nullptr;
  ASSERT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(value(), 0);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(value(), 1);
  add_late();
  host_op([this] { EXPECT_EQ(y->data()[0], 2); });
  add_late();
  set_late(late, false);
  EXPECT_EQ(value(), 3);
  add_late();
  EXPECT_EQ(value(), 4);
}

TEST_F(LateTest, GraphsAreLaunchedLate) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(late, cudaStreamCaptureModeRelaxed), cudaSuccess);
  add_late();
  ASSERT_EQ(cudaStreamEndCapture(late, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, late), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(value(), 0);
  EXPECT_EQ(cudaStreamSynchronize(late), cudaSuccess);
  EXPECT_EQ(value(), 1);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

}  // namespace
}  // namespace emulator
