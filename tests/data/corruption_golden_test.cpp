// The corruptions against SciPy, scikit-image and Pillow (tests/golden/robust/README.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/corruptions/cores.h"
#include "layers/checkpoint/safetensors.h"
#include "tests/support/source_file.h"

namespace pal {
namespace {

/// A file of the golden set: from the folder PALINDROME_GOLDEN_ROBUST_DIR if it is set.
std::string golden_path(const std::string& name) {
  const char* folder = std::getenv("PALINDROME_GOLDEN_ROBUST_DIR");
  return (folder != nullptr ? folder : testing::source_file("tests/golden/robust")) + "/" + name;
}

/// The values of a tensor; none if the file has none of that name.
template <typename Value>
std::vector<Value> values_of(const SafetensorsFile& file, const std::string& name) {
  if (!file.contains(name)) return {};
  const auto bytes = file.bytes_of(file.info(name));
  std::vector<Value> values(bytes.size() / sizeof(Value));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Image image_of(const SafetensorsFile& file, const std::string& name) {
  const auto& shape = file.info(name).shape;
  return {shape.at(1), shape.at(0), shape.at(2), values_of<uint8_t>(file, name), {}};
}

Draws draws_of(const SafetensorsFile& file, const std::string& name) {
  const std::string draw = name + ".draw.";
  const auto floats = [&](const char* part) { return values_of<float>(file, draw + part); };
  Draws draws;
  draws.normal = floats("normal");
  draws.poisson = values_of<int32_t>(file, draw + "poisson");
  draws.flip = floats("flip");
  draws.salt = floats("salt");
  draws.moves = values_of<int32_t>(file, draw + "moves");
  draws.field = floats("field");
  draws.uniform = floats("uniform");
  if (const auto degrees = floats("degrees"); !degrees.empty()) draws.degrees = degrees.at(0);
  std::ranges::copy(floats("corners"), draws.corners.begin());
  if (file.contains(draw + "picture")) draws.picture = image_of(file, draw + "picture");
  return draws;
}

void expect_cases(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  const auto cases = nlohmann::json::parse(file.metadata().at("cases"));
  ASSERT_FALSE(cases.empty());
  for (const auto& [name, about] : cases.items()) {
    SCOPED_TRACE(name);
    const Image image = image_of(file, about.at("image"));
    const auto corruption = corruption_of(about.at("corruption"));
    ASSERT_TRUE(corruption.has_value());
    const ParameterSet set =
        about.at("set") == "imagenet" ? ParameterSet::imagenet : ParameterSet::cifar;
    const FloatImage made = cores::apply(image, *corruption, about.at("severity"), set,
                                         draws_of(file, name), image.channels == 3);
    const auto wanted = values_of<float>(file, name + ".out");
    const int64_t stride = about.at("stride");
    size_t next = 0;
    float worst = 0.0F;
    for (int64_t y = 0; y < image.height; y += stride)
      for (int64_t x = 0; x < image.width; x += stride)
        for (int64_t c = 0; c < image.channels; ++c) {
          const float error = std::abs(made.row_at(y)[x * image.channels + c] - wanted.at(next++));
          // NaN is the largest error of all.
          worst = error <= worst ? worst : error;
        }
    EXPECT_EQ(next, wanted.size());
    EXPECT_LE(worst, about.at("tolerance_levels").get<float>());
  }
}

TEST(CorruptionGolden, AllCasesWithinTheirTolerance) {
  expect_cases(golden_path("corruptions.safetensors"));
}

TEST(CorruptionGolden, ExtraCasesWithinTheirTolerance) {
  const std::string path = golden_path("extra.safetensors");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << ": not in this set";
  expect_cases(path);
}

}  // namespace
}  // namespace pal
