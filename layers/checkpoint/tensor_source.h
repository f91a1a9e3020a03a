#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pal {

/// A tensor of a file that may not be ours, named by its path: "inn.module_list.1.act_norm".
struct SourceTensor {
  std::string name;
  /// As safetensors names types: "F32", "I64", ...
  std::string dtype_name;
  /// Row-major as in the file, so images NCHW and weights OIHW.
  std::vector<int64_t> shape;

  int64_t numel() const;
  int64_t bytes() const;
};

/// The tensors of a PyTorch or safetensors file, made one at a time.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// The file in error messages.
  virtual const std::string& file() const = 0;
  /// Fills `target`, which has the tensor's size, with its values: little-endian, row-major, dense.
  virtual void read(const SourceTensor& tensor, std::span<uint8_t> target) const = 0;

  const std::vector<SourceTensor>& tensors() const { return tensors_; }
  /// Null if there is none of that name.
  const SourceTensor* find(const std::string& name) const;
  /// The tensor's values rounded to float32. Throws data for other than F32, F64, F16 and BF16.
  void read_floats(const SourceTensor& tensor, std::span<float> target) const;
  std::vector<uint8_t> read(const SourceTensor& tensor) const;

 protected:
  /// Throws data if two tensors have one name.
  void set_tensors(std::vector<SourceTensor> tensors);
  /// Position of one of tensors().
  size_t position_of(const SourceTensor& tensor) const {
    return static_cast<size_t>(&tensor - tensors_.data());
  }

 private:
  std::vector<SourceTensor> tensors_;
  std::map<std::string, size_t> index_;
};

/// How a file of tensors begins.
enum class TensorFileKind { torch, safetensors };
/// By the first bytes of a file; none if they are of neither kind.
std::optional<TensorFileKind> sniff_tensor_file(std::span<const uint8_t> head);

/// Opens a file of either kind by its content. Throws data if it is neither or broken.
std::unique_ptr<TensorSource> open_tensor_source(const std::string& path);

}  // namespace pal
