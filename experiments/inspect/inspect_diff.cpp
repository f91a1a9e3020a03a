#include "experiments/inspect/inspect_diff.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

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

/// A tensor that differs, as a line, and by how much: infinitely, where no number says it.
struct TensorDifference {
  std::string line;
  double largest = HUGE_VAL;
};

/// How the values of two tensors of one type and shape differ, which do.
TensorDifference value_difference(const SafetensorsFile& a, const SafetensorsFile& b,
                                  const std::string& name) {
  TensorDifference difference{fmt::format("tensor {}: values differ", printable(name))};
  if (!is_floating(a.info(name))) return difference;
  const Tensor left = a.tensor(name).to(DType::f64);
  const Tensor right = b.tensor(name).to(DType::f64);
  double magnitude = 0.0;
  difference.largest = 0.0;
  for (int64_t i = 0; i < left.numel(); ++i) {
    const double distance = std::abs(left.data<double>()[i] - right.data<double>()[i]);
    difference.largest = std::isnan(distance) ? HUGE_VAL : std::max(difference.largest, distance);
    magnitude = std::max(magnitude, std::abs(left.data<double>()[i]));
  }
  difference.line += fmt::format("; largest difference {:.3g} in values up to {:.3g}",
                                 difference.largest, magnitude);
  return difference;
}

std::vector<TensorDifference> tensor_differences(const SafetensorsFile& a,
                                                 const SafetensorsFile& b) {
  std::vector<TensorDifference> differences;
  for (const TensorInfo& left : a.tensors()) {
    const std::string name = printable(left.name);
    if (!b.contains(left.name)) {
      differences.push_back({fmt::format("tensor {}: only in {}", name, a.name())});
      continue;
    }
    const TensorInfo& right = b.info(left.name);
    if (left.dtype_name != right.dtype_name || left.shape != right.shape)
      differences.push_back(
          {fmt::format("tensor {}: {} and {}", name, type_and_shape(left), type_and_shape(right))});
    else if (!std::ranges::equal(a.bytes_of(left), b.bytes_of(right)))
      differences.push_back(value_difference(a, b, left.name));
  }
  for (const TensorInfo& right : b.tensors())
    if (!a.contains(right.name))
      differences.push_back(
          {fmt::format("tensor {}: only in {}", printable(right.name), b.name())});
  std::ranges::stable_sort(differences, std::greater<>(), &TensorDifference::largest);
  return differences;
}

}  // namespace

FileDifference diff_files(const std::string& first, const std::string& second) {
  const SafetensorsFile a = read_checked(first);
  const SafetensorsFile b = read_checked(second);
  FileDifference difference;
  for (TensorDifference& each : tensor_differences(a, b))
    difference.tensors.push_back(std::move(each.line));

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
