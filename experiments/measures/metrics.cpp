#include "experiments/measures/metrics.h"

#include <algorithm>
#include <cmath>

#include "kernels/loss/softmax_math.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr double kPaperConstant = 7.078;
constexpr int32_t kTop = 5;

double half_log_two_pi() { return 0.5 * std::log(2.0 * M_PI); }

}  // namespace

ImageResult judge_scores(std::span<const double> scores, int32_t label, double smoothing,
                         std::span<double> probabilities) {
  const auto classes = static_cast<int64_t>(scores.size());
  expect(classes >= 1 && probabilities.size() == scores.size(),
         "judge_scores: {} scores and {} probabilities", scores.size(), probabilities.size());
  if (label < 0 || label >= classes)
    fail(ErrorKind::data, "judge_scores: label {}; expected 0 to {}", label, classes - 1);
  const double log_sum = softmax_math::log_sum_exp(scores.data(), classes);
  const double wanted = scores[static_cast<size_t>(label)];
  ImageResult result;
  result.label = label;
  result.predicted = static_cast<int32_t>(std::ranges::max_element(scores) - scores.begin());
  for (int64_t y = 0; y < classes; ++y) {
    const double score = scores[static_cast<size_t>(y)];
    const double log_probability = score - log_sum;
    const double probability = std::exp(log_probability);
    probabilities[static_cast<size_t>(y)] = probability;
    if (score > wanted || (score == wanted && y < label)) ++result.rank;
    // 0 ln 0 = 0, also where the logarithm itself has left the range.
    if (probability > 0.0) result.entropy -= probability * log_probability;
    const double miss = probability - (y == label ? 1.0 : 0.0);
    result.brier += miss * miss;
    result.loss_y -= softmax_math::smoothed(y == label, smoothing, classes) * log_probability;
  }
  result.confidence = probabilities[static_cast<size_t>(result.predicted)];
  result.cross_entropy = log_sum - wanted;
  return result;
}

double log_density(double loss_x, int64_t classes, int64_t dims) {
  return -(loss_x + std::log(static_cast<double>(classes)) / static_cast<double>(dims) +
           half_log_two_pi());
}

double bits_per_dim(double log_density, std::span<const float> std) {
  expect(!std.empty(), "bits_per_dim: expected at least one deviation");
  double log_std = 0.0;
  for (const float s : std) log_std += std::log(static_cast<double>(s));
  log_std /= static_cast<double>(std.size());
  return (log_std + std::log(kLevels) - log_density) / std::log(2.0);
}

double bits_per_dim(double loss_x, int64_t classes, int64_t dims, std::span<const float> std) {
  return bits_per_dim(log_density(loss_x, classes, dims), std);
}

double bits_per_dim_paper(double loss_x) { return loss_x / std::log(2.0) + kPaperConstant; }

EvaluationSummary summarize(const std::vector<ImageResult>& results) {
  expect(!results.empty(), "summarize: no images");
  EvaluationSummary sum;
  sum.images = static_cast<int64_t>(results.size());
  for (const ImageResult& r : results) {
    sum.acc1 += r.rank == 0 ? 1.0 : 0.0;
    sum.acc5 += r.rank < kTop ? 1.0 : 0.0;
    sum.loss_x += r.loss_x;
    sum.loss_class += r.loss_class;
    sum.loss_y += r.loss_y;
    sum.ce += r.cross_entropy;
    sum.brier += r.brier;
    sum.entropy += r.entropy;
    sum.confidence += r.confidence;
  }
  const auto images = static_cast<double>(sum.images);
  for (double* mean : {&sum.acc1, &sum.acc5, &sum.loss_x, &sum.loss_class, &sum.loss_y, &sum.ce,
                       &sum.brier, &sum.entropy, &sum.confidence})
    *mean /= images;
  return sum;
}

}  // namespace pal
