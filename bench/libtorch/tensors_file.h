#pragma once
#include <ATen/ATen.h>

#include <map>
#include <string>

namespace rival {

/// A safetensors file: tensors as it holds them (images NCHW, weights OIHW, row-major), on the CPU.
struct TensorsFile {
  std::map<std::string, std::string> metadata;
  std::map<std::string, at::Tensor> tensors;
};

/// Reads float32 and integer tensors. Throws std::runtime_error naming the file if it cannot be
/// read or is broken.
TensorsFile read_tensors(const std::string& path);

}  // namespace rival
