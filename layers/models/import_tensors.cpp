#include "layers/models/import_tensors.h"

#include <algorithm>
#include <cstring>

#include "kernels/arrays/reduce.h"
#include "layers/checkpoint/safetensors.h"

namespace pal {
namespace {

constexpr int64_t kMostExtent = int64_t{1} << 40;

std::vector<int64_t> without_ones(std::vector<int64_t> shape) {
  std::erase(shape, 1);
  return shape;
}

std::vector<int64_t> extents_of(const Shape& shape) {
  std::vector<int64_t> extents;
  extents.reserve(static_cast<size_t>(shape.rank()));
  for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
  return extents;
}

}  // namespace

std::string ImportTensors::shown(const std::string& tensor) {
  const std::string quoted = printable(tensor);
  return quoted == '"' + tensor + '"' ? tensor : quoted;
}

const SourceTensor& ImportTensors::get(const std::string& name) const {
  const SourceTensor* found = find(name);
  if (found == nullptr) refuse(name, "this tensor of the network is missing");
  return *found;
}

int64_t ImportTensors::extent(const std::string& name, size_t axis) const {
  const SourceTensor& tensor = get(name);
  if (axis >= tensor.shape.size())
    refuse(name, "expected at least {} extents, found [{}]", axis + 1,
           fmt::join(tensor.shape, ", "));
  // An empty tensor may have extents that no memory could hold.
  if (tensor.shape[axis] > kMostExtent)
    refuse(name, "an extent of {}, expected at most {}", tensor.shape[axis], kMostExtent);
  return tensor.shape[axis];
}

Tensor ImportTensors::take(const std::string& name, const Shape& wanted) {
  const SourceTensor& tensor = get(name);
  const bool is_weight = wanted.rank() == 4;
  const Shape stored = is_weight ? Shape{wanted[0], wanted[3], wanted[1], wanted[2]} : wanted;
  const std::vector<int64_t> extents = extents_of(stored);
  const bool fits =
      is_weight ? tensor.shape == extents : without_ones(tensor.shape) == without_ones(extents);
  if (!fits)
    refuse(name, "expected [{}], found [{}]", fmt::join(extents, ", "),
           fmt::join(tensor.shape, ", "));
  const Tensor values = Tensor::empty(stored);
  source_.read_floats(tensor, {values.data<float>(), static_cast<size_t>(values.numel())});
  mark_used(name);
  if (!cpu::all_finite(values)) non_finite_.push_back(tensor.name);
  return is_weight ? to_channel_last(values) : values;
}

std::vector<float> ImportTensors::floats(const std::string& name) const {
  const SourceTensor& tensor = get(name);
  std::vector<float> values(static_cast<size_t>(tensor.numel()));
  source_.read_floats(tensor, values);
  return values;
}

std::vector<int32_t> ImportTensors::index(const std::string& name, int64_t count) const {
  const SourceTensor& tensor = get(name);
  const bool is_narrow = tensor.dtype_name == "I32";
  if ((!is_narrow && tensor.dtype_name != "I64") || tensor.numel() != count)
    refuse(name, "expected {} of I32 or I64, found [{}] of {}", count,
           fmt::join(tensor.shape, ", "), tensor.dtype_name);
  const std::vector<uint8_t> bytes = source_.read(tensor);
  std::vector<int32_t> index;
  std::vector<bool> seen(static_cast<size_t>(count), false);
  for (int64_t i = 0; i < count; ++i) {
    int64_t value = 0;
    const size_t item = is_narrow ? sizeof(int32_t) : sizeof(int64_t);
    // Little-endian, and a negative one is out of range in either width.
    std::memcpy(&value, bytes.data() + static_cast<size_t>(i) * item, item);
    if (value < 0 || value >= count || seen[static_cast<size_t>(value)])
      refuse(name, "entry {} is {}, which makes it no permutation", i, value);
    seen[static_cast<size_t>(value)] = true;
    index.push_back(static_cast<int32_t>(value));
  }
  return index;
}

std::map<std::string, int64_t> ImportTensors::count_leftovers(
    const std::function<std::optional<std::string>(const std::string& name)>& kind_of,
    const char* why) const {
  std::map<std::string, int64_t> counts;
  for (const SourceTensor& tensor : source_.tensors()) {
    if (used_.contains(tensor.name)) continue;
    const auto name = network_.published_name(tensor.name);
    const auto kind = name ? kind_of(*name) : shown(tensor.name.substr(0, tensor.name.find('.')));
    if (!kind) fail(ErrorKind::data, "{}: {}: {}", source_.file(), shown(tensor.name), why);
    ++counts[*kind];
  }
  return counts;
}

std::vector<int32_t> permutation_of(const std::vector<float>& matrix, int64_t size) {
  std::vector<int32_t> index;
  std::vector<bool> seen(static_cast<size_t>(size), false);
  for (int64_t i = 0; i < size; ++i) {
    int64_t one = -1;
    for (int64_t j = 0; j < size; ++j) {
      const float value = matrix[static_cast<size_t>(i * size + j)];
      if (value == 0.0F) continue;
      if (value != 1.0F || one >= 0 || seen[static_cast<size_t>(j)]) return {};
      one = j;
    }
    if (one < 0) return {};
    seen[static_cast<size_t>(one)] = true;
    index.push_back(static_cast<int32_t>(one));
  }
  return index;
}

}  // namespace pal
