#pragma once
#include <string>
#include <vector>

#include "layers/checkpoint/safetensors.h"

namespace pal {

/// Tensors under one key of a PyTorch file, as an ordered dictionary like a state dictionary; those
/// of a group without a name are members of the outermost dictionary themselves.
struct TorchGroup {
  std::string name;
  std::vector<StoredTensor> tensors;
};

/// Writes what torch.save writes of a dictionary of such groups: a zip container (write_zip) of a
/// pickle of protocol 2 and one storage for each tensor, on the CPU; torch.load reads it, with
/// weights_only=True too, and so does TorchFile. Throws usage for types that PyTorch has no storage
/// of, and as write_zip.
void write_torch_file(const std::string& path, const std::vector<TorchGroup>& groups);

}  // namespace pal
