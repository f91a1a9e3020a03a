#pragma once
// Shared by the importers of published models.
#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "layers/checkpoint/safetensors_header.h"
#include "layers/models/import_model.h"
#include "runtime/error.h"

namespace pal {

/// Takes tensors of one network of a file, in the engine's layout, and remembers which. Their names
/// are those of the published layout, wherever in the file the network lies; messages have the names
/// of the file.
class ImportTensors {
 public:
  ImportTensors(const TensorSource& source, ImportNetwork network)
      : source_(source), network_(std::move(network)) {}

  const TensorSource& source() const { return source_; }
  bool contains(const std::string& name) const { return find(name) != nullptr; }
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
  void mark_used(const std::string& name) { used_.insert(network_.file_name(name)); }
  /// Sorts out what the network did not use: `kind_of(name)` gives the kind of a tensor of the
  /// network, by its published name; tensors outside of it are counted by their outermost key.
  /// Throws data naming the first for which there is no kind, and `why` it is refused.
  std::map<std::string, int64_t> count_leftovers(
      const std::function<std::optional<std::string>(const std::string& name)>& kind_of,
      const char* why) const;
  /// Names, in the file, of taken tensors with values that are not finite.
  const std::vector<std::string>& non_finite() const { return non_finite_; }

  /// Throws data naming the file and a tensor, with a formatted reason.
  template <typename... Args>
  [[noreturn]] void refuse(const std::string& tensor, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(ErrorKind::data, "{}: {}: {}", source_.file(), shown(network_.file_name(tensor)),
         fmt::format(format, std::forward<Args>(args)...));
  }
  /// A tensor's name for messages: a plain one as it is, any other in quotes with what cannot be
  /// printed replaced.
  static std::string shown(const std::string& tensor);

 private:
  const SourceTensor* find(const std::string& name) const {
    return source_.find(network_.file_name(name));
  }

  const TensorSource& source_;
  ImportNetwork network_;
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

/// The network of a key, or the only one if it is empty. Throws as import_model does.
ImportNetwork chosen_network(const TensorSource& source, const std::string& key);
/// import_model for a published IB-INN.
ImportedModel import_ib_inn(ImportTensors& tensors, const InputSpec& input);
/// import_model for a ResNet in torchvision's names; `entry` as in ImportChoice.
ImportedModel import_resnet(ImportTensors& tensors, const InputSpec& input,
                            std::optional<EntryKind> entry);

}  // namespace pal
