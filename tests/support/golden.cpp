#include "tests/support/golden.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "runtime/error.h"
#include "tests/support/source_file.h"

namespace pal::testing {
namespace {

namespace fs = std::filesystem;

double value_at(const Tensor& tensor, int64_t index) {
  const int64_t at = index / tensor.channels() * tensor.pitch() + index % tensor.channels();
  switch (tensor.dtype()) {
    case DType::f32:
      return tensor.data<float>()[at];
    case DType::f64:
      return tensor.data<double>()[at];
    case DType::i32:
      return tensor.data<int32_t>()[at];
    default:
      break;
  }
  fail(ErrorKind::usage, "expect_close: expected f32, f64 or i32, got {}", name_of(tensor.dtype()));
}

std::vector<int64_t> squeezed(const Tensor& tensor) {
  std::vector<int64_t> extents;
  for (int axis = 0; axis < tensor.rank(); ++axis)
    if (tensor.size(axis) != 1) extents.push_back(tensor.size(axis));
  return extents;
}

std::string index_text(const Tensor& tensor, int64_t index) {
  std::string text;
  for (int axis = tensor.rank() - 1; axis >= 0; --axis) {
    text = std::to_string(index % tensor.size(axis)) + (text.empty() ? "" : ", ") + text;
    index /= tensor.size(axis);
  }
  return "[" + text + "]";
}

bool is_in_group(const std::string& name, const std::string& group) {
  return name == group || name.starts_with(group + ".");
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

bool is_sum_or_loss(const std::string& group) {
  const std::string part = last_part(group);
  return std::ranges::any_of(
      std::array{"logdet", "loss", "nll", "cat_ce", "norm"},
      [&](const char* word) { return part.find(word) != std::string::npos; });
}

/// Each name once, from the first folder that has it.
std::vector<std::string> files_in(const std::vector<fs::path>& folders, const std::string& prefix) {
  std::map<std::string, std::string> found;
  for (const fs::path& folder : folders) {
    if (!fs::is_directory(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(prefix) && entry.path().extension() == ".safetensors")
        found.emplace(name, entry.path().string());
    }
  }
  std::vector<std::string> paths;
  for (const auto& [name, path] : found) paths.push_back(path);
  return paths;
}

}  // namespace

GoldenFile::GoldenFile(const std::string& path)
    : file_(SafetensorsFile::read(path)),
      own_error_(metadata_json("float32_reference_max_error_over_max_value")) {}

Tensor GoldenFile::tensor(const std::string& name) const {
  const Tensor stored = file_.tensor(name);
  return stored.rank() == 4 ? to_channel_last(stored) : stored;
}

nlohmann::json GoldenFile::metadata_json(const std::string& key) const {
  const auto found = file_.metadata().find(key);
  if (found == file_.metadata().end()) fail(ErrorKind::data, "{}: no metadata {}", path(), key);
  return nlohmann::json::parse(found->second);
}

std::string GoldenFile::group_of(const std::string& name) const {
  std::string best;
  for (const auto& [group, error] : own_error_.items())
    if (is_in_group(name, group) && group.size() > best.size()) best = group;
  return best.empty() ? name : best;
}

double GoldenFile::largest_magnitude(const std::string& group) const {
  double largest = 0.0;
  for (const TensorInfo& info : file_.tensors()) {
    if (!is_in_group(info.name, group)) continue;
    const Tensor values = file_.tensor(info.name);
    for (int64_t i = 0; i < values.numel(); ++i)
      largest = std::max(largest, std::abs(value_at(values, i)));
  }
  return largest;
}

double GoldenFile::tolerance(const std::string& group, double max_abs_value) const {
  const std::string part = last_part(group);
  if (part == "acc" || part == "accuracy") return 1e-6;
  const double own = own_error_.value(group, 0.0);
  const double floor = is_sum_or_loss(group) ? 1e-6 : 5e-7;
  return 10.0 * std::max(own, floor) * max_abs_value;
}

::testing::AssertionResult is_close(const GoldenFile& golden, const std::string& group,
                                    const std::string& name, const Tensor& actual) {
  const Tensor wanted = golden.tensor(name);
  const auto failure = [&] {
    return ::testing::AssertionFailure() << golden.path() << ": " << name;
  };
  if (squeezed(wanted) != squeezed(actual))
    return failure() << ": expected shape " << wanted.shape().str() << " (channels last), got "
                     << actual.shape().str();
  const double tolerance = golden.tolerance(group, golden.largest_magnitude(group));
  int64_t worst = -1;
  double worst_error = 0.0;
  for (int64_t i = 0; i < wanted.numel(); ++i) {
    const double got = value_at(actual, i);
    if (!std::isfinite(got))
      return failure() << " at " << index_text(wanted, i) << ": expected " << value_at(wanted, i)
                       << ", got " << got;
    const double error = std::abs(got - value_at(wanted, i));
    if (error > worst_error) {
      worst = i;
      worst_error = error;
    }
  }
  if (worst_error <= tolerance) return ::testing::AssertionSuccess();
  return failure() << ": worst at " << index_text(wanted, worst) << ": expected "
                   << value_at(wanted, worst) << ", got " << value_at(actual, worst) << ", error "
                   << worst_error << ", tolerance " << tolerance;
}

void expect_close(const GoldenFile& golden, const std::string& group, const std::string& name,
                  const Tensor& actual) {
  EXPECT_TRUE(is_close(golden, group, name, actual));
}

void expect_close(const GoldenFile& golden, const std::string& name, const Tensor& actual) {
  expect_close(golden, golden.group_of(name), name, actual);
}

std::vector<std::string> golden_files(const std::string& prefix) {
  if (const char* chosen = std::getenv("PALINDROME_GOLDEN_DIR"); chosen != nullptr && *chosen != 0)
    return files_in({chosen}, prefix);
  return files_in({source_file("tests/golden"), source_file("../shared/golden")}, prefix);
}

std::vector<std::string> known_golden_files(const std::string& prefix) {
  return files_in({source_file("tests/golden")}, prefix);
}

}  // namespace pal::testing
