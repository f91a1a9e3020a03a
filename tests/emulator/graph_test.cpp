#include <string>
#include <thread>

#include "tests/emulator/device_test.h"

// Captures record and do nothing; replays do what the eager calls would have done.
namespace emulator {
namespace {

__global__ void scale_kernel(float* y, float factor) { y[threadIdx.x] *= factor; }

class GraphTest : public DeviceTest {
 protected:
  void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) {
    ASSERT_EQ(cudaStreamBeginCapture(stream, mode), cudaSuccess);
  }
  /// Ends the capture, replays it `times` times; the number of operations.
  size_t replay(int times) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    size_t nodes = 0;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    for (int i = 0; i < times; ++i) EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
    return nodes;
  }
  void expect_spoiled() {
    cudaStreamCaptureStatus status;
    EXPECT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
    EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  }
};

void work(float* x, float* y, float* pinned, cudaStream_t stream) {
  cudaMemsetAsync(y, 0, 128, stream);
  cudaMemcpyAsync(x, pinned, 128, cudaMemcpyHostToDevice, stream);
  float factor = 3;
  launch(scale_kernel, 1, 32, 0, stream, x, factor);
  factor = 5;
  host_op([=] {
    for (int i = 0; i < 32; ++i) y[i] += x[i];
  });
  launch(scale_kernel, 1, 32, 0, stream, y, factor);
  cudaMemcpyAsync(pinned, y, 128, cudaMemcpyDeviceToHost, stream);
}

TEST_F(GraphTest, ReplayEqualsEager) {
  Buffer<float> x(32), y(32);
  float* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 128), cudaSuccess);
  for (int i = 0; i < 32; ++i) pinned[i] = float(i);
  cudaStreamCaptureStatus status;
  EXPECT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusNone);

  begin();
  EXPECT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  work(x.data(), y.data(), pinned, stream);
  EXPECT_EQ(pinned[2], 2.0f) << "a capture must not run anything";
  EXPECT_EQ(replay(2), 6u);
  EXPECT_EQ(pinned[2], 2.0f * 15 * 15);

  for (int i = 0; i < 32; ++i) pinned[i] = float(i);
  for (int i = 0; i < 2; ++i) work(x.data(), y.data(), pinned, stream);
  EXPECT_EQ(pinned[2], 2.0f * 15 * 15);
  cudaFreeHost(pinned);
}

TEST_F(GraphTest, SynchronisingCallsSpoilACapture) {
  Buffer<float> x(32);
  float host[32] = {};
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  const auto expect_fault = [&](auto call) {
    begin(cudaStreamCaptureModeRelaxed);
    EXPECT_THROW(call(), Fault);
    expect_spoiled();
  };
  expect_fault([&] { cudaStreamSynchronize(stream); });
  expect_fault([&] { cudaStreamQuery(stream); });
  expect_fault([&] { cudaDeviceSynchronize(); });
  expect_fault([&] { cudaEventSynchronize(event); });
  expect_fault([&] { cudaEventQuery(event); });
  expect_fault([&] { cudaMemcpy(host, x.data(), 128, cudaMemcpyDeviceToHost); });
  expect_fault([&] { cudaMemset(x.data(), 0, 128); });
  expect_fault([&] { launch(scale_kernel, 1, 32, 0, nullptr, x.data(), 1.0f); });
  // The message names the call.
  begin();
  try {
    cudaStreamSynchronize(stream);
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("cudaStreamSynchronize"), std::string::npos);
  }
  expect_spoiled();
  cudaEventDestroy(event);
}

TEST_F(GraphTest, PageableMemoryInACapture) {
  Buffer<float> x(32);
  float host[32] = {};
  begin();
  EXPECT_THROW(cudaMemcpyAsync(host, x.data(), 128, cudaMemcpyDeviceToHost, stream), Fault);
  expect_spoiled();
  begin();
  EXPECT_THROW(cudaMemcpyAsync(x.data(), host, 128, cudaMemcpyHostToDevice, stream), Fault);
  expect_spoiled();
}

TEST_F(GraphTest, AllocationsOnlyWhenRelaxed) {
  void *device = nullptr, *pinned = nullptr;
  begin();
  EXPECT_THROW(cudaMalloc(&device, 64), Fault);
  expect_spoiled();
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_THROW(cudaFreeHost(pinned), Fault);
  expect_spoiled();
  begin(cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaMalloc(&device, 64), cudaSuccess);
  EXPECT_EQ(replay(0), 0u);
  cudaFree(device);
}

TEST_F(GraphTest, ReplayOnFreedMemory) {
  float* x = nullptr;
  ASSERT_EQ(cudaMalloc(&x, 128), cudaSuccess);
  begin();
  launch(scale_kernel, 1, 32, 0, stream, x, 2.0f);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  cudaFree(x);
  EXPECT_THROW(cudaGraphLaunch(exec, stream), Fault);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(GraphTest, StreamsJoinACaptureByEvents) {
  Buffer<float> x(std::vector<float>(32, 1));
  cudaStream_t side = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  ASSERT_EQ(cudaStreamCreate(&side), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&fork), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&join), cudaSuccess);
  const auto record = [&](bool joined) {
    begin();
    EXPECT_EQ(cudaEventRecord(fork, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(side, fork), cudaSuccess);
    launch(scale_kernel, 1, 32, 0, side, x.data(), 2.0f);
    EXPECT_EQ(cudaEventRecord(join, side), cudaSuccess);
    if (joined) cudaStreamWaitEvent(stream, join);
  };
  record(true);
  EXPECT_EQ(replay(3), 1u);
  EXPECT_EQ(x.values()[0], 8.0f);
  EXPECT_EQ(cudaEventQuery(join), cudaErrorCapturedEvent);
  record(false);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureUnjoined);

  // Work of another stream that the capture does not know.
  EXPECT_EQ(cudaEventRecord(join, side), cudaSuccess);
  begin();
  EXPECT_EQ(cudaStreamWaitEvent(stream, join), cudaErrorStreamCaptureIsolation);
  expect_spoiled();
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
  cudaStreamDestroy(side);
}

TEST_F(GraphTest, OtherThreadsAndStreamsGoOn) {
  Buffer<float> x(std::vector<float>(32, 1)), y(std::vector<float>(32, 1));
  begin();
  launch(scale_kernel, 1, 32, 0, stream, x.data(), 2.0f);
  std::thread other([&] {
    cudaStream_t own = nullptr;
    EXPECT_EQ(cudaStreamCreate(&own), cudaSuccess);
    launch(scale_kernel, 1, 32, 0, own, y.data(), 2.0f);
    EXPECT_EQ(cudaStreamSynchronize(own), cudaSuccess);
    EXPECT_THROW(cudaStreamSynchronize(stream), Fault);
    cudaStreamDestroy(own);
  });
  other.join();
  expect_spoiled();
  EXPECT_EQ(x.values()[0], 1.0f);
  EXPECT_EQ(y.values()[0], 2.0f);
}

TEST_F(GraphTest, CapturesBeginAndEndInOrder) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorInvalidValue);
  begin();
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaErrorInvalidValue);
  std::thread other(
      [&] { EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureWrongThread); });
  other.join();
  EXPECT_EQ(replay(1), 0u);
}

}  // namespace
}  // namespace emulator
