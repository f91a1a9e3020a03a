// Position maps against numpy in float64 (tests/golden/explain/README.md).
#include <gtest/gtest.h>

#include <cmath>

#include "experiments/explain/heatmap.h"
#include "experiments/explain/position_head.h"
#include "layers/checkpoint/safetensors.h"
#include "tests/support/golden_explain.h"

namespace pal {
namespace {

class HeatmapGolden : public ::testing::Test {
 protected:
  HeatmapGolden()
      : file_(SafetensorsFile::read(testing::golden_explain_file("heatmap.safetensors"))) {}

  Tensor tensor(const std::string& name) const { return file_.tensor(name); }
  std::vector<double> values(const std::string& name) const {
    const Tensor t = tensor(name);
    return {t.data<double>(), t.data<double>() + t.numel()};
  }
  /// The head of the case, whose means have full rank.
  PositionHead head() const {
    MixtureMeans means;
    means.mean = tensor("mu");
    const auto& shape = file_.info("g").shape;
    return {means, means.mean.size(1), means.mean.size(1) / (shape[2] * shape[3])};
  }
  void expect_values(const std::string& name, const std::vector<double>& found, size_t first,
                     double tolerance) const {
    const auto wanted = values(name);
    for (size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], wanted[first + i], tolerance) << name << " " << first + i;
  }
  void expect_maps(const Tensor& z, double tolerance) const {
    const PositionHead positions = head();
    const Tensor g = positions.log_densities(z);
    const int64_t classes = positions.classes();
    const auto places = static_cast<size_t>(positions.side() * positions.side());
    const size_t image_values = static_cast<size_t>(classes) * places;
    for (size_t image = 0; image < static_cast<size_t>(z.size(0)); ++image) {
      const std::span<const double> own(g.data<double>() + image * image_values, image_values);
      expect_values("g", {own.begin(), own.end()}, image * image_values, tolerance);
      for (const auto& [share, name] : {std::pair(Share::contrast, "posterior.contrast"),
                                        {Share::proportional, "posterior.proportional"},
                                        {Share::even, "posterior.even"}}) {
        const PositionMaps maps(own, classes, share);
        for (int32_t y = 0; y < classes; ++y)
          expect_values(name, maps.posterior(y),
                        image * image_values + static_cast<size_t>(y) * places, tolerance);
        expect_values("saliency", maps.saliency(), image * places, tolerance);
        expect_values("log_posterior", maps.log_posterior(), image * static_cast<size_t>(classes),
                      tolerance);
        expect_values("evidence_1_against_4", maps.evidence(1, 4), image * places, tolerance);
      }
    }
  }

  SafetensorsFile file_;
};

TEST_F(HeatmapGolden, InDouble) { expect_maps(tensor("z"), 1e-9); }

TEST_F(HeatmapGolden, FromFloat32) { expect_maps(tensor("z").to(DType::f32), 1e-4); }

}  // namespace
}  // namespace pal
