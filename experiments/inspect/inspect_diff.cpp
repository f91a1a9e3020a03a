#include "experiments/inspect/inspect_diff.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/safetensors.h"

namespace pal {
namespace {

SafetensorsFile read_checked(const std::string& path) {
  SafetensorsFile file = SafetensorsFile::read(path);
  if (is_checkpoint(file.metadata())) check_checkpoint(file);
  return file;
}

std::string type_and_shape(const TensorInfo& tensor) {
  return fmt::format("{} [{}]", tensor.dtype_name, fmt::join(tensor.shape, ", "));
}

bool is_floating(const TensorInfo& tensor) {
  return tensor.dtype == DType::f32 || tensor.dtype == DType::f64 || tensor.dtype == DType::bf16;
}

/// "; largest difference D in values up to M" where the engine can compute with the type.
std::string size_of_difference(const SafetensorsFile& a, const SafetensorsFile& b,
                               const std::string& name) {
  if (!is_floating(a.info(name))) return "";
  const Tensor left = a.tensor(name).to(DType::f64);
  const Tensor right = b.tensor(name).to(DType::f64);
  double largest = 0.0;
  double magnitude = 0.0;
  for (int64_t i = 0; i < left.numel(); ++i) {
    const double difference = std::abs(left.data<double>()[i] - right.data<double>()[i]);
    largest = std::isnan(difference) ? HUGE_VAL : std::max(largest, difference);
    magnitude = std::max(magnitude, std::abs(left.data<double>()[i]));
  }
  return fmt::format("; largest difference {:.3g} in values up to {:.3g}", largest, magnitude);
}

}  // namespace

FileDifference diff_files(const std::string& first, const std::string& second) {
  const SafetensorsFile a = read_checked(first);
  const SafetensorsFile b = read_checked(second);
  FileDifference difference;
  for (const TensorInfo& left : a.tensors()) {
    const std::string name = printable(left.name);
    if (!b.contains(left.name)) {
      difference.tensors.push_back(fmt::format("tensor {}: only in {}", name, first));
      continue;
    }
    const TensorInfo& right = b.info(left.name);
    if (left.dtype_name != right.dtype_name || left.shape != right.shape)
      difference.tensors.push_back(
          fmt::format("tensor {}: {} and {}", name, type_and_shape(left), type_and_shape(right)));
    else if (!std::ranges::equal(a.bytes_of(left), b.bytes_of(right)))
      difference.tensors.push_back(
          fmt::format("tensor {}: values differ{}", name, size_of_difference(a, b, left.name)));
  }
  for (const TensorInfo& right : b.tensors())
    if (!a.contains(right.name))
      difference.tensors.push_back(
          fmt::format("tensor {}: only in {}", printable(right.name), second));

  auto keys = a.metadata();
  keys.insert(b.metadata().begin(), b.metadata().end());
  const auto value = [](const SafetensorsFile& file, const std::string& key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string("none") : printable(found->second);
  };
  const auto is_same = [&](const std::string& key) {
    const auto left = a.metadata().find(key);
    const auto right = b.metadata().find(key);
    return left != a.metadata().end() && right != b.metadata().end() &&
           left->second == right->second;
  };
  for (const auto& [key, ignored] : keys)
    if (key != "digest" && !is_same(key))
      difference.metadata.push_back(
          fmt::format("metadata {}: {} and {}", printable(key), value(a, key), value(b, key)));
  return difference;
}

}  // namespace pal
