#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/comparison/orderings.h"

// Records of runs of a sweep over beta, and what is found among them.
namespace pal::testing {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A complete, evaluated run. A beta below 0: a network that only classifies.
inline RunRecord run_of(double beta, uint64_t seed,
                        nlohmann::json results = nlohmann::json::object()) {
  RunRecord run;
  run.flow = beta >= 0.0;
  if (run.flow) run.beta = beta;
  run.arch = run.flow ? "ibinn-mnist" : "resnet-small";
  run.name = fmt::format("{}_seed_{}", run.flow ? fmt::format("beta_{}", beta) : "resnet", seed);
  run.seed = seed;
  run.epochs = 4.0;
  run.dataset = "fashion-mnist";
  const nlohmann::json usual = {
      {"complete", true}, {"chose_checkpoint", false}, {"images", 10000}, {"acc1", 0.5}};
  for (const auto& [key, value] : usual.items())
    if (!results.contains(key)) results[key] = value;
  run.summary = std::make_shared<const nlohmann::json>(std::move(results));
  return run;
}

/// Runs of seeds 0, 1, ... that differ in one number of summary.json.
inline void add_runs(std::vector<RunRecord>& runs, double beta, const std::string& key,
                     const std::vector<double>& values) {
  for (size_t seed = 0; seed < values.size(); ++seed)
    runs.push_back(run_of(beta, seed, {{key, values[seed]}}));
}

/// The only ordering that expects a text with these words.
inline Ordering ordering_of(const std::vector<RunRecord>& runs, const std::string& words) {
  std::vector<Ordering> found;
  for (const Ordering& ordering : orderings(runs))
    if (ordering.expected.find(words) != std::string::npos) found.push_back(ordering);
  EXPECT_EQ(found.size(), 1U) << words;
  return found.at(0);
}

inline Ordering::Verdict verdict_of(const std::vector<RunRecord>& runs, const std::string& words) {
  return ordering_of(runs, words).verdict;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline nlohmann::json foreign(const std::string& set, double one, double typical, double quantile,
                              double familiarity) {
  const auto test = [](const char* name, double auc) {
    return nlohmann::json{{"test", name}, {"auc", auc}, {"auc_standard_error", 0.002}};
  };
  return {
      {"set", set},
      {"tests", {test("one-tailed", one), test("typicality", typical), test("quantile", quantile)}},
      {"auc_familiarity", familiarity}};
}

inline RunRecord ood_run(double beta, uint64_t seed, const nlohmann::json& first,
                         const nlohmann::json& second) {
  nlohmann::json results = {{"ood", nlohmann::json::array({first, second})}};
  return run_of(beta, seed, results);
}

}  // namespace pal::testing
