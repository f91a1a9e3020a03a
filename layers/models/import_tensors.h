#pragma once
// Shared by the importers of published models.
#include <fmt/ranges.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "layers/checkpoint/safetensors_header.h"
#include "layers/models/import_model.h"
#include "runtime/error.h"

namespace pal {

/// Takes tensors of a file by name, in the engine's layout, and remembers which.
class ImportTensors {
 public:
  explicit ImportTensors(const TensorSource& source) : source_(source) {}

  const TensorSource& source() const { return source_; }
  bool contains(const std::string& name) const { return source_.find(name) != nullptr; }
  /// The tensor of a name. Throws data if there is none.
  const SourceTensor& get(const std::string& name) const;
  /// Extent `axis` of a tensor. Throws data if there is no such tensor or extent.
  int64_t extent(const std::string& name, size_t axis) const;

  /// The tensor as float32 of an engine shape: rank 4 is OIHW in the file and OHWI here; else
  /// extents of 1 do not count. Throws data naming what was wanted and what was found.
  Tensor take(const std::string& name, const Shape& wanted);
  /// A tensor's values as float32, in the order of the file.
  std::vector<float> floats(const std::string& name) const;
  /// A tensor as an index map of `count` entries. Throws data if it is no permutation.
  std::vector<int32_t> index(const std::string& name, int64_t count) const;
  /// Notes that a tensor was used otherwise than by take().
  void mark_used(const std::string& name) { used_.insert(name); }
  bool is_used(const std::string& name) const { return used_.contains(name); }
  /// Names of taken tensors with values that are not finite.
  const std::vector<std::string>& non_finite() const { return non_finite_; }

  /// Throws data naming the file and a tensor, with a formatted reason.
  template <typename... Args>
  [[noreturn]] void refuse(const std::string& tensor, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(ErrorKind::data, "{}: {}: {}", source_.file(), shown(tensor),
         fmt::format(format, std::forward<Args>(args)...));
  }
  /// A tensor's name for messages: a plain one as it is, any other in quotes with what cannot be
  /// printed replaced.
  static std::string shown(const std::string& tensor);

 private:
  const TensorSource& source_;
  std::set<std::string> used_;
  std::vector<std::string> non_finite_;
};

/// The permutation that a matrix [size, size] is (out i = in index[i]); empty if it is none.
std::vector<int32_t> permutation_of(const std::vector<float>& matrix, int64_t size);

/// The model of an inferred configuration, without memory. What `validate` refuses is the file's
/// fault and throws data.
std::unique_ptr<Model> imported_network(const ModelConfig& config, const std::string& file);

/// Fills an imported model's checkpoint: `make(name, shape)` gives each parameter and buffer of the
/// network by our name; the shape of a buffer is empty but for running statistics. Throws usage if
/// `input` has another number of class names than the network has classes.
void fill_checkpoint(
    ImportedModel& imported, const Model& network, const InputSpec& input,
    const std::function<Tensor(const std::string& name, const Shape& shape)>& make);

/// import_model for a published IB-INN.
ImportedModel import_ib_inn(const TensorSource& source, const InputSpec& input);
/// import_model for a ResNet in torchvision's names.
ImportedModel import_resnet(const TensorSource& source, const InputSpec& input);
/// What stands before "conv1.weight" in the names of a ResNet's tensors; none if it is no ResNet.
/// Throws data if there are two.
std::optional<std::string> resnet_prefix(const TensorSource& source);

}  // namespace pal
