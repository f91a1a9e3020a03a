#pragma once
#include "runtime/launch.cuh"

namespace pal::cuda {

/// The number of the CUDA graph's capture that the stream is in, unique in the process; 0: none.
inline unsigned long long capture_id() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  unsigned long long id = 0;
  PAL_CUDA_CHECK(cudaStreamGetCaptureInfo(stream(), &status, &id));
  return status == cudaStreamCaptureStatusActive ? id : 0;
}

}  // namespace pal::cuda
