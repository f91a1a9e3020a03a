#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "layers/checkpoint/safetensors.h"

namespace pal {

/// What NumPy calls a type of numbers that safetensors calls `dtype_name` ("<f4"); none for types
/// that NumPy lacks. BF16 is written as float32.
std::optional<std::string> numpy_type(const std::string& dtype_name);

/// The entry of an .npz file that holds the metadata: UTF-8 of a JSON object, as bytes.
inline constexpr const char* kNpzMetadata = "__metadata__";

/// Writes tensors as an .npz file, as numpy.load reads it: a zip container (write_zip) of one .npy
/// file (format 1.0, C order) for each, under its name; BF16, which NumPy lacks, as the float32 of
/// the same value. Throws usage for two tensors of one name, for types without numpy_type and for
/// names that a zip container cannot hold, and as write_zip.
void write_npz(const std::string& path, const std::map<std::string, std::string>& metadata,
               const std::vector<StoredTensor>& tensors);

}  // namespace pal
