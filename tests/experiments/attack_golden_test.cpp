// Attacks on linear models of two classes, where the least distance is known in closed form.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "experiments/attacks/carlini_wagner.h"
#include "experiments/attacks/ddn.h"
#include "experiments/attacks/projected_gradient.h"
#include "runtime/json.h"
#include "tests/support/linear_attacked.h"
#include "tests/support/source_file.h"

namespace pal {
namespace {

using testing::LinearAttacked;

std::string attack_golden_file() {
  const char* folder = std::getenv("PALINDROME_GOLDEN_ROBUST_DIR");
  return (folder != nullptr ? folder : testing::source_file("tests/golden/robust")) +
         "/attack.json";
}

/// A number, or the infinity that JSON has no number for.
double number_of(const nlohmann::json& value) {
  return value.is_string() ? std::numeric_limits<double>::infinity() : value.get<double>();
}

struct LinearCase {
  std::string name;
  std::shared_ptr<LinearAttacked> model;
  AttackBatch batch;  // one image, from class 0 to class 1
  double kappa, c, optimum, slope, start_margin;
};

std::vector<LinearCase> linear_cases() {
  const nlohmann::json file(parse_json_file(attack_golden_file()));
  std::vector<LinearCase> cases;
  for (const auto& entry : file.items()) {
    const nlohmann::json& each = entry.value();
    const auto x = each.at("x").get<std::vector<double>>();
    const auto w = each.at("gradient_of_margin").get<std::vector<double>>();
    double square = 0.0;
    for (const double v : w) square += v * v;
    LinearCase made = {
        entry.key(),
        std::make_shared<LinearAttacked>(x, w, each.at("start_margin").get<double>()),
        {},
        number_of(each.at("kappa")),
        each.at("c").get<double>(),
        each.at("optimum").get<double>(),
        std::sqrt(square),
        each.at("start_margin").get<double>()};
    made.batch = made.model->batch();
    cases.push_back(std::move(made));
  }
  EXPECT_FALSE(cases.empty());
  return cases;
}

double distance_of(const AttackResult& result, const AttackBatch& batch, int64_t image = 0) {
  return std::sqrt(
      image_distances(result.images, batch.images).squared[static_cast<size_t>(image)]);
}

TEST(AttackGolden, DdnFindsTheLeastDistance) {
  for (const LinearCase& each : linear_cases()) {
    if (std::isinf(each.kappa)) continue;
    const AttackResult result = attack_ddn(*each.model, each.batch, {.kappa = each.kappa});
    const double least = (each.kappa + each.start_margin) / each.slope;
    EXPECT_TRUE(result.records[0].reached) << each.name;
    EXPECT_LT(distance_of(result, each.batch), 1.02 * least) << each.name;
    EXPECT_GT(distance_of(result, each.batch), (1.0 - 1e-5) * least) << each.name;
  }
}

TEST(AttackGolden, CarliniWagnerConverges) {
  for (const LinearCase& each : linear_cases()) {
    CarliniWagner attack = CarliniWagner::converged();
    attack.c = each.c;
    attack.kappa = each.kappa;
    const AttackResult result = attack_carlini_wagner(*each.model, each.batch, attack);
    EXPECT_LT(distance_of(result, each.batch), 1.35 * each.optimum) << each.name;
    EXPECT_GT(distance_of(result, each.batch), (1.0 - 1e-4) * each.optimum) << each.name;
    EXPECT_LE(result.records[0].objective, result.records[0].objective_start);
    RecordProperty(each.name, std::to_string(distance_of(result, each.batch) / each.optimum));
  }
}

TEST(AttackGolden, ThePublishedProtocolNeverBeatsTheOptimum) {
  for (const LinearCase& each : linear_cases()) {
    CarliniWagner attack = CarliniWagner::paper();
    attack.c = each.c;
    attack.kappa = each.kappa;
    const AttackResult result = attack_carlini_wagner(*each.model, each.batch, attack);
    if (!result.records[0].reached) continue;
    // The objective at least distance; a margin short of kappa costs c for each nat.
    const double r = each.optimum;
    const double margin = std::max(each.start_margin - each.slope * r, -each.kappa);
    EXPECT_GE(result.records[0].objective, (r * r + each.c * margin) - 1e-4) << each.name;
    EXPECT_GE(distance_of(result, each.batch), each.start_margin / each.slope * (1.0 - 1e-5));
  }
}

TEST(AttackGolden, NearTheOptimumAtEverySlope) {
  for (const size_t dims : {16, 784, 3072})
    for (const double slope : {1.0, 3.0, 10.0, 30.0, 100.0}) {
      std::vector<double> x, w;
      double square = 0.0;
      for (size_t i = 0; i < dims; ++i) {
        const auto at = static_cast<double>(i);
        x.push_back(0.5 + 0.15 * std::sin(2.3 * at));
        // Normal-like weights: sums of sines of unrelated periods.
        w.push_back(std::sin(1.0 + 0.7 * at) + std::sin(2.0 + 1.9 * at) + std::sin(3.1 * at));
        square += w.back() * w.back();
      }
      for (double& v : w) v *= slope / std::sqrt(square);
      LinearAttacked model(x, w, 1.0);
      const AttackBatch batch = model.batch();
      for (const double kappa : {0.01, 1.0}) {
        const double least = (1.0 + kappa) / slope;
        // Beyond that the borders of [0, 1] stand in the way.
        if (least > 0.1 * std::sqrt(static_cast<double>(dims))) continue;
        CarliniWagner attack = CarliniWagner::converged();
        attack.kappa = kappa;
        const std::string what = fmt::format("{} values, slope {}, kappa {}", dims, slope, kappa);
        const AttackResult cw = attack_carlini_wagner(model, batch, attack);
        EXPECT_LT(distance_of(cw, batch), 1.35 * least) << what;
        const AttackResult ddn = attack_ddn(model, batch, {.kappa = kappa});
        EXPECT_LT(distance_of(ddn, batch), 1.02 * least) << what;
        EXPECT_LE(distance_of(ddn, batch), (1.0 + 1e-5) * distance_of(cw, batch)) << what;
      }
    }
}

TEST(AttackGolden, WithoutBoundTheMarginIsAsWideAsItPays) {
  // Minimum of r^2 - c s r; in pixel units far from 0 and 1.
  for (const double slope : {0.01, 0.05}) {
    std::vector<double> x(784, 0.5), w(784);
    for (size_t i = 0; i < w.size(); ++i) w[i] = std::sin(1.0 + 0.7 * static_cast<double>(i));
    double square = 0.0;
    for (const double v : w) square += v * v;
    for (double& v : w) v *= slope / std::sqrt(square);
    LinearAttacked model(x, w, 0.01 * slope);  // reached long before the minimum
    CarliniWagner attack = CarliniWagner::converged();
    attack.kappa = std::numeric_limits<double>::infinity();
    const AttackBatch batch = model.batch();
    const AttackResult result = attack_carlini_wagner(model, batch, attack);
    EXPECT_NEAR(distance_of(result, batch), attack.c * slope / 2.0, 0.01 * attack.c * slope / 2.0);
  }
}

TEST(AttackGolden, ProjectedGradientFlipsWhatCanBeFlipped) {
  for (const LinearCase& each : linear_cases()) {
    const double least = each.start_margin / each.slope;
    for (const double factor : {0.5, 0.98, 1.02, 2.0}) {
      ProjectedGradient attack = {.norm = AttackNorm::l2, .eps = factor * least};
      for (const AttackLoss loss : {AttackLoss::cross_entropy, AttackLoss::margin}) {
        attack.objective.loss = loss;
        const AttackResult result = attack_projected_gradient(*each.model, each.batch, attack);
        EXPECT_EQ(result.records[0].reached, factor > 1.0)
            << each.name << ", " << factor << " of the least distance, " << name_of(loss);
        EXPECT_LE(distance_of(result, each.batch), attack.eps * (1.0 + 1e-5));
      }
    }
    // L-infinity: the margin falls by eps times the sum of |w|.
    double sum = 0.0;
    for (const double v : each.model->weights()) sum += std::abs(v);
    for (const double factor : {0.95, 1.05}) {
      const ProjectedGradient attack = {.eps = factor * each.start_margin / sum};
      EXPECT_EQ(attack_projected_gradient(*each.model, each.batch, attack).records[0].reached,
                factor > 1.0)
          << each.name;
      EXPECT_EQ(attack_fast_gradient(*each.model, each.batch, attack).records[0].reached,
                factor > 1.0)
          << each.name;
    }
  }
}

}  // namespace
}  // namespace pal
