#include "experiments/report/published.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace pal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::nullopt_t kNone = std::nullopt;

// beta, L_X, CE, bits/dim, top-1 %, ECE %, MCE %, OCE
const PublishedEvaluation kEvaluations[] = {
    {0.0, -3.11, kNone, 2.59, kNone, kNone, kNone, kNone},
    {1.0, -1.90, 1.61, 4.34, 67.30, 0.16, 5.54, 3.87},
    {2.0, -0.65, 1.35, 6.14, 71.73, 0.16, 3.13, 4.13},
    {4.0, 1.14, 1.23, 8.72, 73.69, 0.16, 5.47, 4.31},
    {8.0, 3.66, 1.19, 12.35, 74.59, 0.17, 4.57, 4.73},
    {16.0, 7.17, 1.15, 17.43, 75.54, 0.16, 5.50, 4.15},
    {32.0, 10.81, 1.10, 22.68, 76.18, 0.17, 5.28, 4.94},
    {kInfinity, 27.68, 1.08, 47.01, 76.27, 0.17, 5.10, 5.12},
    {kNone, kNone, 0.96, kNone, 77.40, 0.17, 7.72, 6.75}};

const PublishedNetwork kNetworks[] = {{.arch = "ibinn-imagenet",
                                       .receptive_fields = {kNone, 8, 10, 34, 106, 314, 538, kNone},
                                       .parameters_network = 55.4e6,
                                       .parameters_total = 77.5e6,
                                       .multiply_adds = kNone,
                                       .multiply_adds_with_dense_mixing = 9.08e9},
                                      {.arch = "resnet50",
                                       .receptive_fields = {kNone, 6, 10, 34, 90, 266, 426, kNone},
                                       .parameters_network = 23.5e6,
                                       .parameters_total = 25.6e6,
                                       .multiply_adds = 4.07e9,
                                       .multiply_adds_with_dense_mixing = kNone}};

}  // namespace

const PublishedEvaluation* published_evaluation(bool has_density, std::optional<double> beta) {
  if (has_density && !beta) return nullptr;
  const auto* const found = std::ranges::find_if(kEvaluations, [&](const auto& row) {
    return has_density ? row.beta && *row.beta == *beta : !row.beta;
  });
  return found == std::end(kEvaluations) ? nullptr : found;
}

const PublishedNetwork* published_network(const ModelConfig& config) {
  const auto* const found = std::ranges::find(kNetworks, config.arch, &PublishedNetwork::arch);
  if (found == std::end(kNetworks)) return nullptr;
  const ModelConfig wanted = preset(config.arch);
  const bool same = config.entry == wanted.entry && config.blocks == wanted.blocks &&
                    config.strides == wanted.strides && config.widths == wanted.widths &&
                    config.entry_width == wanted.entry_width && config.subnet == wanted.subnet &&
                    config.classes == wanted.classes && config.image_size == wanted.image_size;
  return same ? found : nullptr;
}

}  // namespace pal
