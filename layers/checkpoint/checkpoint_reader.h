#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/safetensors_header.h"
#include "runtime/random_reader.h"
#include "runtime/tensor.h"

namespace pal {

/// A checkpoint that is open: what its header says at once, its values in one pass over the file.
/// The file is never mapped, so that one that shrinks or changes while it is read is an error and
/// no signal; one that is replaced by its name stays as it was when it was opened.
class CheckpointReader {
 public:
  /// Reads and checks the header. Throws data as load_checkpoint, but for the digest.
  explicit CheckpointReader(const std::string& path);

  const std::string& name() const { return file_.name(); }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// All tensors in the order of their bytes, with the extents of the file.
  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }
  /// What the header says of a tensor; null if there is none.
  const TensorInfo* find(const std::string& tensor) const;

  /// Overwrites the targets, dense tensors of the host, each with the file's tensor of that name,
  /// which has the same type and, by engine_shape, the same extents. The bytes that are placed are
  /// those whose digest is taken: throws data if it is not the noted one, or if the file ends early;
  /// the targets then hold anything.
  void read(const std::vector<std::pair<std::string, Tensor>>& targets) const;
  /// The same without a target.
  void verify() const { read({}); }

 private:
  FileReader file_;
  std::vector<uint8_t> head_;  // as it is hashed, without the digest
  SafetensorsHeader header_;
  std::map<std::string, size_t> index_;
};

/// The metadata of a checkpoint, of whose bytes no more than the header is read: for a look ahead of
/// what makes all the checks. Throws data as load_checkpoint, but for the digest.
Checkpoint load_header(const std::string& path);

/// Makes the checks of check_checkpoint but for the digest; `name` is what messages call the file.
void check_checkpoint_metadata(const std::map<std::string, std::string>& metadata,
                               const std::string& name);

/// The extents that a file's tensor has in the engine: leading ones of 1 are dropped while there are
/// more than four, four are taken as OIHW and become OHWI. Throws data, naming `file`, for a type
/// that the engine does not have or a rank that it cannot hold.
Shape engine_shape(const TensorInfo& tensor, const std::string& file);

}  // namespace pal
