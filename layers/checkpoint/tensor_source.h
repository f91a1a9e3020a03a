#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pal {

/// A tensor of a file that may not be ours, named by its path: "inn.module_list.1.act_norm".
struct SourceTensor {
  std::string name;
  /// Type of its values as safetensors names it ("F32", "I64", ...), or as the file does.
  std::string dtype_name;
  /// Extents as in the file, row-major, so images NCHW and weights OIHW.
  std::vector<int64_t> shape;
  /// Bytes of one value; 0 of a type that is not known, whose values cannot be read.
  int64_t item_bytes = 0;

  /// Product of the extents.
  int64_t numel() const;
  /// Bytes of all values; 0 of a type that is not known.
  int64_t bytes() const;
};

/// The tensors of a PyTorch or safetensors file, made one at a time.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// What messages call the file.
  virtual const std::string& file() const = 0;
  /// Fills `target`, which has the tensor's size, with its values: little-endian, row-major, dense.
  /// Throws data if the file is broken there. `tensor` is one of tensors(), here and below.
  virtual void read(const SourceTensor& tensor, std::span<uint8_t> target) const = 0;

  const std::vector<SourceTensor>& tensors() const { return tensors_; }
  /// What a safetensors file says of itself; empty for PyTorch's.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The tensor of a name; null if there is none.
  const SourceTensor* find(const std::string& name) const;
  /// Fills `target` with the tensor's values rounded to float32. Throws data for other types than
  /// F32, F64, F16 and BF16.
  void read_floats(const SourceTensor& tensor, std::span<float> target) const;
  /// The tensor's values as bytes, in the order of the other read. Throws data for a type that is
  /// not known.
  std::vector<uint8_t> read(const SourceTensor& tensor) const;

 protected:
  /// For constructors: the tensors of the file. Throws data if two have one name.
  void set_tensors(std::vector<SourceTensor> tensors);
  void set_metadata(std::map<std::string, std::string> metadata) {
    metadata_ = std::move(metadata);
  }
  /// Position of one of tensors().
  size_t position_of(const SourceTensor& tensor) const {
    return static_cast<size_t>(&tensor - tensors_.data());
  }

 private:
  std::vector<SourceTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, size_t> index_;
};

/// The kinds of files that open_tensor_source knows.
enum class TensorFileKind { torch, safetensors };
/// The kind of a file that begins with these bytes; none if it is neither.
std::optional<TensorFileKind> sniff_tensor_file(std::span<const uint8_t> head);

/// Opens a file of either kind by its content. Throws data if it is neither or broken.
std::unique_ptr<TensorSource> open_tensor_source(const std::string& path);

}  // namespace pal
