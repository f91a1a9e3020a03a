#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What attacks do to models, over epsilon and over beta (the paper's Figs. 7 and 23).
namespace pal {

/// A model or an attack over the sizes of perturbations that are allowed.
struct RobustCurve {
  std::string name;
  std::vector<double> epsilon;   ///< rising
  std::vector<double> accuracy;  ///< share that is still right, for each epsilon
  /// Share that is wrong and not flagged by the detector either; empty: it has no detector.
  std::vector<double> unflagged = {};
};

struct RobustChart {
  std::string title;
  std::string norm = "L-infinity";  ///< of epsilon
  double level = 0.05;              ///< p-value at or below which the detector flags
  std::vector<RobustCurve> curves = {};
};

/// Robust accuracy over epsilon, a line each, and dashed in its colour what is wrong and unflagged.
/// Throws usage for no curves or lists that differ in length.
std::string robust_curve_svg(const RobustChart& chart);

/// A measure of the attacks of one setting on models of several beta.
struct AttackLine {
  double kappa = 0.0,
         d = 0.0;             ///< nats (infinity: as far as it pays); weight of the detection term
  std::vector<double> beta;   ///< rising, infinity last
  std::vector<double> value;  ///< for each beta; NaN: unknown
  std::vector<double> error = {};  ///< standard error for each beta; empty: unknown
  std::optional<double> feed_forward = std::nullopt;  ///< of the feed-forward net
};

/// What is drawn over beta, and its unit in AttackLine.
enum class AttackMeasure : uint8_t {
  l2,          ///< mean L2 norm of x_adv - x, pixels in [0, 1]
  corruption,  ///< mean over pixels of the norm of the colour difference, pixels in [0, 1]
  detection,   ///< AUC of the two-tailed test, as a share
  uncertainty  ///< mean entropy of the answers, nats
};

/// The measure over beta, whose values have even places: a colour for each kappa, from solid to
/// dotted lines as d rises, and the feed-forward net as a dashed horizontal line (Fig. 7; the rows
/// of Fig. 23). Detection is in percent with a line at 50, where a detector guesses; sizes go over
/// decades where they differ by more than 20 times. Throws usage for no lines, lists that differ in
/// length, or no known value.
std::string attack_beta_svg(const std::string& title, AttackMeasure measure,
                            const std::vector<AttackLine>& lines);

}  // namespace pal
