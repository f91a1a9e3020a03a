#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "layers/checkpoint/safetensors_header.h"
#include "layers/checkpoint/tensor_values.h"
#include "runtime/file.h"
#include "runtime/shape.h"
#include "runtime/tensor.h"

namespace pal {

/// A safetensors file in memory, checked as a whole when it is read.
class SafetensorsFile {
 public:
  /// Throws data with `path:OFFSET: ...` for a broken file, environment if it cannot be read.
  static SafetensorsFile read(const std::string& path, const SafetensorsLimits& limits = {});
  /// The file whose bytes are at hand; `name` is what messages call it. Throws data as read does.
  static SafetensorsFile parse(std::vector<uint8_t> bytes, const std::string& name,
                               const SafetensorsLimits& limits = {});

  const std::string& name() const { return name_; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// All tensors in the order of their bytes.
  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }
  /// Names of the tensors, in the same order.
  std::vector<std::string> names() const;
  bool contains(const std::string& tensor) const { return index_.contains(tensor); }
  /// What the header says of a tensor. Throws data if there is no such tensor.
  const TensorInfo& info(const std::string& tensor) const;
  /// The tensor's bytes, little-endian, row-major; not aligned.
  std::span<const uint8_t> bytes_of(const TensorInfo& tensor) const;

  /// A copy of a tensor as the file holds it, on the CPU, with the tag of the innermost TagScope.
  /// Leading extents of 1 are dropped while there are more than four. Throws data for a type that
  /// the engine does not have or a rank that it cannot hold.
  Tensor tensor(const std::string& name) const;

  /// Sum and finiteness of a tensor's values; none for types that are not read: of 8 bits or fewer, complex,
  /// unknown ones.
  std::optional<ValueSummary> summarize(const TensorInfo& tensor) const;
  /// The name of the first tensor with a value that is not finite; none if all are.
  std::optional<std::string> first_non_finite() const;

  /// Whether the metadata entry `digest` is the digest of these bytes; false if there is none.
  bool verify_digest() const;
  /// Throws data if the metadata entry `digest` looks like one of ours and is not that of these bytes.
  void check_noted_digest() const;

 private:
  std::string name_;
  std::vector<uint8_t> bytes_;
  SafetensorsHeader header_;
  std::map<std::string, size_t> index_;
};

/// The extents of a file's tensor without leading ones of 1 while there are more than four. Throws
/// data, naming `file`, for a type that the engine does not have or a rank that it cannot hold.
Shape stored_shape(const TensorInfo& tensor, const std::string& file);

/// XXH3-128 of a file as 32 hex digits, with the 32 bytes at `digest_offset` read as '0'.
std::string safetensors_digest(std::span<const uint8_t> file, int64_t digest_offset);

/// Whether a file's metadata holds its own digest. Throws data if it is no safetensors file.
bool verify_digest(std::span<const uint8_t> file, const std::string& name);

/// How rank-4 tensors are stored: as_given, or channel_first (NHWC as NCHW, OHWI as OIHW).
enum class FileLayout { as_given, channel_first };

/// Writes a safetensors file by write_atomic: metadata (and `digest`, which replaces an entry of
/// that name), then the tensors in the given order, data from a multiple of 64 on. Needs memory for
/// one tensor beside those given. The same arguments give the same bytes. Throws usage for two
/// tensors of one name and environment if the file does not fit on the disk or cannot be written.
void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       FileLayout layout = FileLayout::as_given);

/// A tensor to be written whose bytes are made only then.
struct StoredTensor {
  std::string name;
  /// Type of its values as safetensors names it: "F32", "I64", ...
  std::string dtype_name;
  /// Extents as the file is to hold them.
  std::vector<int64_t> shape;
  int64_t bytes = 0;
  /// Delivers that many bytes, little-endian and row-major, the same ones at every call.
  std::function<void(const ByteSink& sink)> feed;
};

/// Writes a safetensors file in the same way of tensors that other files hold: `feed` is called
/// twice, for the digest and to write.
void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       const std::vector<StoredTensor>& tensors);

/// [n, h, w, c] -> dense [n, c, h, w]: images NHWC to NCHW, weights OHWI to OIHW. Rank 4 only.
Tensor to_channel_first(const Tensor& tensor);
/// [n, c, h, w] -> dense [n, h, w, c], the inverse of to_channel_first. Rank 4 only.
Tensor to_channel_last(const Tensor& tensor);

}  // namespace pal
