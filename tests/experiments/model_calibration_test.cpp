#include "experiments/trust/model_calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "experiments/trust/trust_report.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/file.h"
#include "runtime/philox.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::expect_error;

constexpr Reading kReading = {.resize = 32, .exif = true};

/// Images of three classes whose scores are three times too sure; densities as normal as numbers
/// from a seed are.
TrustScores images(int64_t count, uint64_t seed, bool density = true) {
  TrustScores scores;
  scores.classes.classes = 3;
  const Philox random(seed, RandomPurpose::augment, 0);
  for (int64_t i = 0; i < count; ++i) {
    const auto uniform = random.uniform4(static_cast<uint32_t>(i));
    const double a = 2.0 * uniform[0];
    const double b = 2.0 * uniform[1];
    const double total = std::exp(a) + std::exp(b) + 1.0;
    const double u = uniform[2] * total;
    const double row[] = {3.0 * a, 3.0 * b, 0.0};
    scores.classes.add(row, u < std::exp(a) ? 0 : u < std::exp(a) + std::exp(b) ? 1 : 2);
    if (!density) continue;
    scores.log_density.push_back(uniform[3] - 0.5);
    scores.excess.push_back(a * b);
  }
  return scores;
}

TEST(ModelCalibration, KeepsItsPromisesOnOtherImages) {
  const auto calibration = ModelCalibration::fit(images(2000, 1), kReading);
  EXPECT_NEAR(calibration.temperature(), 3.0, 0.4);
  const TrustReport report = try_calibration(calibration, images(4000, 2));
  EXPECT_LT(report.nll_tempered.value, report.nll.value);
  EXPECT_LT(report.ece_tempered.value, report.ece.value);
  ASSERT_EQ(report.sets.size(), 3U);
  double size = 0.0;
  for (const auto& set : report.sets) {
    EXPECT_NEAR(set.coverage, set.level, 3.0 * set.error) << set.level;
    EXPECT_GT(set.mean_size, size);
    size = set.mean_size;
  }
  for (const auto& each : report.unfamiliar) EXPECT_LT(each.share, each.p + 0.011) << each.p;
}

TEST(ModelCalibration, IsTheSameFromItsFile) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/deep/calibration.safetensors";
  for (const bool density : {true, false}) {
    const TrustScores held_out = images(200, 3, density);
    const auto fitted = ModelCalibration::fit(held_out, kReading);
    fitted.save(path, {{"model", "abc"}});
    const auto loaded = ModelCalibration::load(path, "abc");
    EXPECT_EQ(loaded.temperature(), fitted.temperature());
    EXPECT_EQ(loaded.count(), 200);
    EXPECT_EQ(loaded.reading(), kReading);
    EXPECT_EQ(loaded.has_density(), density);
    const double scores[] = {1.0, 4.0, 0.0};
    const auto q = loaded.posterior(scores);
    EXPECT_EQ(q, fitted.posterior(scores));
    EXPECT_EQ(loaded.class_set(q, 0.95), fitted.class_set(q, 0.95));
    if (density) {
      EXPECT_EQ(loaded.familiarity(0.1, 2.0, q).p, fitted.familiarity(0.1, 2.0, q).p);
    }
    expect_error(ErrorKind::data, "belongs to other weights",
                 [&] { ModelCalibration::load(path, "abd"); });
  }
}

TEST(ModelCalibration, SetsAreInTheOrderOfLikelihood) {
  const auto calibration = ModelCalibration::fit(images(1000, 4), kReading);
  const double q[] = {0.3, 0.4, 0.3};
  EXPECT_EQ(calibration.class_set(q, 0.99), (std::vector<int32_t>{1, 0, 2}));
  // Of one image in so many the p-values are the least that there are.
  const double sure[] = {0.0, 1.0, 0.0};
  const Familiarity far = calibration.familiarity(-1e9, 1e9, sure);
  EXPECT_DOUBLE_EQ(far.complexity, 1.0 / 1001.0);
  EXPECT_DOUBLE_EQ(far.density, 2.0 / 1001.0);
  EXPECT_DOUBLE_EQ(far.density, calibration.least_density_p());
  EXPECT_DOUBLE_EQ(far.entropy, 1.0);
  EXPECT_DOUBLE_EQ(far.p, calibration.least_p());
  EXPECT_EQ(entropy_of(sure), 0.0);
  EXPECT_NEAR(entropy_of(q), -0.6 * std::log(0.3) - 0.4 * std::log(0.4), 1e-15);
}

TEST(ModelCalibration, RefusesTooFewImagesAndOtherFiles) {
  expect_error(ErrorKind::usage, "99 held-out images; expected at least 100",
               [] { ModelCalibration::fit(images(99, 5), kReading); });
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/c.safetensors";
  ModelCalibration::fit(images(100, 5), kReading).save(path, {{"model", "abc"}});
  const auto bytes = read_file(path);
  const auto refused = [&](const char* text, const auto& change) {
    auto other = bytes;
    change(other);
    write_atomic(path, [&](const ByteSink& sink) { sink(other); });
    expect_error(ErrorKind::data, text, [&] { ModelCalibration::load(path, ""); });
  };
  refused("digest", [](auto& b) { b[b.size() - 2] ^= 1; });
  refused(":", [](auto& b) { b.resize(b.size() / 2); });
  for (const auto& [metadata, text] :
       std::vector<std::pair<std::map<std::string, std::string>, const char*>>{
           {{{"format", "palindrome-latents"}}, "expected a calibration"},
           {{{"format", "palindrome-calibration"}, {"format_version", "2"}},
            "format version \"2\""},
           {{{"format", "palindrome-calibration"}, {"format_version", "1"}}, "temperature"}}) {
    write_safetensors(path, metadata,
                      std::vector<std::pair<std::string, Tensor>>{{"entropy", Tensor::zeros({3})}});
    expect_error(ErrorKind::data, text, [&] { ModelCalibration::load(path, ""); });
  }
  const Tensor one = Tensor::zeros({1}, DType::f64);
  write_safetensors(
      path, {{"format", "palindrome-calibration"}, {"format_version", "1"}, {"resize", "28"}},
      std::vector<std::pair<std::string, Tensor>>{{"temperature", one}});
  expect_error(ErrorKind::data, "expected a number above 0",
               [&] { ModelCalibration::load(path, ""); });
}

TEST(ModelCalibration, LiesInTheRunOrBesideTheFile) {
  EXPECT_EQ(calibration_path("/runs/a/checkpoints/best", "d1"),
            "/runs/a/calibration/d1.safetensors");
  EXPECT_EQ(calibration_path("/models/a.safetensors", "d1"), "/models/calibration/d1.safetensors");
  EXPECT_EQ(calibration_path("run/checkpoints/best", "d1"), "run/calibration/d1.safetensors");
  EXPECT_EQ(calibration_path("a.safetensors", "d1"), "calibration/d1.safetensors");
}

TEST(TrustScores, SimplePicturesHaveSmallFiles) {
  Image plain = {28, 28, 1, std::vector<uint8_t>(784), {}};
  Image noise = plain;
  uint32_t state = 1;
  for (uint8_t& v : noise.pixels)
    v = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  EXPECT_LT(png_bits_per_dim(plain), 1.0);
  EXPECT_GT(png_bits_per_dim(noise), 8.0);
}

}  // namespace
}  // namespace pal
