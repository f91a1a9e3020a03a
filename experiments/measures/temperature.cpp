#include "experiments/measures/temperature.h"

#include <algorithm>
#include <cmath>

#include "kernels/loss/softmax_math.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// First and second derivative of the mean NLL by the inverse temperature a: the mean over images
/// of E[l] - l_label and of Var[l] under softmax(a l).
struct Slope {
  double first = 0.0;
  double second = 0.0;
};

Slope slope_at(const ScoredImages& images, double inverse) {
  Slope slope;
  for (int64_t i = 0; i < images.count(); ++i) {
    const auto row = images.row(i);
    const double largest = *std::ranges::max_element(row);
    double sum = 0.0, mean = 0.0, square = 0.0;
    for (const double score : row) {
      // Relative to the largest, so that variances do not cancel.
      const double s = score - largest;
      const double p = std::exp(inverse * s);
      sum += p;
      mean += p * s;
      square += p * s * s;
    }
    mean /= sum;
    slope.first +=
        mean - (row[static_cast<size_t>(images.labels[static_cast<size_t>(i)])] - largest);
    slope.second += square / sum - mean * mean;
  }
  const auto n = static_cast<double>(images.count());
  return {slope.first / n, slope.second / n};
}

}  // namespace

double mean_nll(const ScoredImages& images, double temperature) {
  expect(images.count() > 0, "mean_nll: no images");
  std::vector<double> scaled(static_cast<size_t>(images.classes));
  double sum = 0.0;
  for (int64_t i = 0; i < images.count(); ++i) {
    const auto row = images.row(i);
    std::ranges::transform(row, scaled.begin(), [&](double s) { return s / temperature; });
    sum += softmax_math::log_sum_exp(scaled.data(), images.classes) -
           scaled[static_cast<size_t>(images.labels[static_cast<size_t>(i)])];
  }
  return sum / static_cast<double>(images.count());
}

double fit_temperature(const ScoredImages& images) {
  expect(images.count() > 0, "fit_temperature: no images");
  constexpr double kMost = 1000.0;
  constexpr int kSteps = 200;
  double low = 1.0 / kMost, high = kMost, at = 1.0;
  for (int i = 0; i < kSteps && high - low > 1e-12 * high; ++i) {
    const Slope slope = slope_at(images, at);
    if (slope.first == 0.0) break;
    (slope.first > 0.0 ? high : low) = at;
    const double newton = slope.second > 0.0 ? at - slope.first / slope.second : low;
    // Out of the bracket: its geometric middle, as temperatures spread over decades.
    at = newton > low && newton < high ? newton : std::sqrt(low * high);
  }
  return 1.0 / at;
}

}  // namespace pal
