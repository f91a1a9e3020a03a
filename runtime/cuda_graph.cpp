#include "runtime/cuda_graph.h"

#include "runtime/error.h"

#ifdef PAL_CUDA
#include "runtime/launch.cuh"
#endif

namespace pal {

#ifndef PAL_CUDA

struct CudaGraph::Impl {};
CudaGraph::CudaGraph() = default;
CudaGraph::~CudaGraph() = default;
void CudaGraph::capture(const std::function<void()>&) {
  fail(ErrorKind::environment, "CudaGraph: this build has no CUDA backend");
}
bool CudaGraph::captured() const { return false; }
void CudaGraph::launch() const {}
void CudaGraph::reset() {}
int64_t CudaGraph::nodes() const { return 0; }

#else

struct CudaGraph::Impl {
  explicit Impl(cudaGraph_t graph) {
    const cudaError_t counted = cudaGraphGetNodes(graph, nullptr, &nodes);
    // Without this bracket a failure would leave the recording behind.
    const cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
    (void)cudaGraphDestroy(graph);
    PAL_CUDA_CHECK(counted);
    PAL_CUDA_CHECK(status);
  }
  ~Impl() { (void)cudaGraphExecDestroy(exec); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  cudaGraphExec_t exec = nullptr;
  size_t nodes = 0;
};

CudaGraph::CudaGraph() = default;
CudaGraph::~CudaGraph() = default;

void CudaGraph::capture(const std::function<void()>& body) {
  impl_.reset();
  // Relaxed: the pool may ask the driver for memory while recording.
  PAL_CUDA_CHECK(cudaStreamBeginCapture(cuda::stream(), cudaStreamCaptureModeRelaxed));
  cudaGraph_t graph = nullptr;
  try {
    body();
  } catch (...) {
    if (cudaStreamEndCapture(cuda::stream(), &graph) == cudaSuccess && graph != nullptr)
      (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    throw;
  }
  PAL_CUDA_CHECK(cudaStreamEndCapture(cuda::stream(), &graph));
  impl_ = std::make_unique<Impl>(graph);
}

bool CudaGraph::captured() const { return impl_ != nullptr; }

void CudaGraph::launch() const {
  expect(captured(), "CudaGraph: nothing was recorded");
  PAL_CUDA_CHECK(cudaGraphLaunch(impl_->exec, cuda::stream()));
}

void CudaGraph::reset() { impl_.reset(); }

int64_t CudaGraph::nodes() const { return captured() ? static_cast<int64_t>(impl_->nodes) : 0; }

#endif

}  // namespace pal
