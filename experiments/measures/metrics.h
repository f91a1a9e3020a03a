#pragma once
#include <cstdint>
#include <span>
#include <vector>

// What the programs report about a classifier with a density, from one record per image
// (experiments/measures/README.md, whose sections are meant below). All sums run in the order of
// the images and in double, so that neither threads nor batch sizes change a result. Accuracies and
// other shares lie in [0, 1].
namespace pal {

/// A grey level is 1/kLevels wide in [0, 1].
inline constexpr double kLevels = 255.0;

/// What an evaluation keeps of one image. Losses in nats, those of densities per dimension.
struct ImageResult {
  int64_t index = 0;  ///< in the image set
  int32_t label = 0;
  int32_t predicted = 0;       ///< argmax of q(y|x), the first of equal ones
  int32_t rank = 0;            ///< classes before the label; 0: predicted, below 5: in the top 5
  double confidence = 0.0;     ///< largest q(y|x)
  double entropy = 0.0;        ///< predictive entropy (section 6)
  double cross_entropy = 0.0;  ///< CE, of the hard label
  double brier = 0.0;          ///< sum over classes of (q(y|x) - [y is the label])^2
  double loss_y = 0.0;         ///< L_Y, of the smoothed label
  double loss_x = 0.0;         ///< L_X = nll_joint
  double loss_class = 0.0;     ///< class-conditional, of the smoothed label
  double log_density = 0.0;    ///< ln q(x) / D of the network's input, constant included
};

/// Fills `probabilities` with q(y|x) = softmax of the scores and returns what follows from the
/// scores alone: label, predicted, rank, confidence, entropy, cross_entropy, brier and loss_y
/// (label smoothing `smoothing`).
ImageResult judge_scores(std::span<const double> scores, int32_t label, double smoothing,
                         std::span<double> probabilities);

/// ln q(x) / D for a value of L_X under uniform class priors (section 1).
double log_density(double loss_x, int64_t classes, int64_t dims);

/// Exact bits per dimension of pixel levels 1/255 wide (section 2):
/// (L_X + ln(classes) / dims) / ln 2 + K, K = (ln(2 pi) / 2 + mean ln std + ln 255) / ln 2, for
/// network inputs (x - mean) / std.
double bits_per_dim(double loss_x, int64_t classes, int64_t dims, std::span<const float> std);

/// The same of a log-density ln q(x) / D.
double bits_per_dim(double log_density, std::span<const float> std);

/// L_X / ln 2 + 7.078: the constant of the published table of ImageNet results, which lies about
/// 0.1 bit below the exact one (sections 2 and 10). For comparison with that table only.
double bits_per_dim_paper(double loss_x);

/// Means over the images of an evaluation; units as in ImageResult.
struct EvaluationSummary {
  int64_t images = 0;
  double acc1 = 0.0;
  double acc5 = 0.0;
  double loss_x = 0.0;
  double loss_class = 0.0;
  double loss_y = 0.0;
  double ce = 0.0;
  double brier = 0.0;
  double entropy = 0.0;
  double confidence = 0.0;
  double bits_per_dim = 0.0;
};

/// Throws usage for no results. bits_per_dim is left to the caller, who knows the inputs.
EvaluationSummary summarize(const std::vector<ImageResult>& results);

}  // namespace pal
