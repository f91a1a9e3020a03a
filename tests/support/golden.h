#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "layers/checkpoint/safetensors.h"
#include "runtime/tensor.h"

namespace pal::testing {

/// A file of reference results (tests/golden/README.md): float32 values computed in float64.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path);

  const std::string& path() const { return file_.name(); }
  bool has(const std::string& name) const { return file_.contains(name); }
  std::vector<std::string> names() const { return file_.names(); }
  /// f32 or i32 as in the file; rank 4 becomes channels-last (NCHW -> NHWC, OIHW -> OHWI).
  Tensor tensor(const std::string& name) const;
  /// The JSON object with the sizes of the case.
  nlohmann::json config() const { return metadata_json("config"); }
  /// A metadata entry that holds JSON, such as `subnet` or `modules`.
  nlohmann::json metadata_json(const std::string& key) const;

  /// The group a tensor belongs to: the longest known group name that equals `name` or is followed
  /// by a dot in it ("grad.x" -> "grad"); `name` itself if none.
  std::string group_of(const std::string& name) const;
  /// Largest magnitude over the tensors of a group.
  double largest_magnitude(const std::string& group) const;
  /// Allowed absolute error of another float32 implementation: 10 x max(the reference's own float32
  /// error of this group, floor) x `max_abs_value`; the floor is 5e-7, for sums and losses 1e-6.
  /// Accuracies: 1e-6 absolute.
  double tolerance(const std::string& group, double max_abs_value) const;

 private:
  SafetensorsFile file_;
  nlohmann::json own_error_;
};

/// Compares `actual` (channels-last; f32, f64 or i32; any pitch) with the golden tensor `name`
/// within the tolerance of `group`. Extents of 1 do not count in the comparison of shapes, so
/// [1, c, 1, 1] fits [c]. A value that is not finite fails first. The message tells the name, the
/// worst index, both values and the tolerance.
[[nodiscard]] ::testing::AssertionResult is_close(const GoldenFile& golden,
                                                  const std::string& group, const std::string& name,
                                                  const Tensor& actual);

/// A non-fatal test failure unless is_close.
void expect_close(const GoldenFile& golden, const std::string& group, const std::string& name,
                  const Tensor& actual);
/// The same with the group of `name`.
void expect_close(const GoldenFile& golden, const std::string& name, const Tensor& actual);

/// Paths of the golden files whose names begin with `prefix`, sorted by name, each name once: from
/// the folder PALINDROME_GOLDEN_DIR if it is set, else from tests/golden and the folder of large
/// files beside the source tree, if that is there.
std::vector<std::string> golden_files(const std::string& prefix);

/// The same of tests/golden alone, whatever PALINDROME_GOLDEN_DIR says: for tests that need a file
/// they know.
std::vector<std::string> known_golden_files(const std::string& prefix);

}  // namespace pal::testing
