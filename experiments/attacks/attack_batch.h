#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "experiments/attacks/attack_loss.h"

namespace pal {

/// Images [n, h, w, c], dense, with values in [0, 1], on the model's device, and what is wanted of
/// each.
struct AttackBatch {
  Tensor images;
  std::vector<AttackGoal> goals;

  int64_t count() const { return images.size(0); }
};

/// What became of one image.
struct AttackedImage {
  double objective_start = 0.0;  ///< what the attack makes small, of the image itself
  double objective = 0.0;        ///< of the result
  int64_t steps = 0;             ///< gradients taken (square: images tried)
  bool reached = false;          ///< the result has its goal
  double gradient_start = 0.0;   ///< norm of the loss's gradient at the first step
  bool fell = false;             ///< the objective fell below its start at some step
  bool ended_above = false;      ///< the last step's objective lies clearly above the best one
  bool broken = false;           ///< stopped where the model's answer was not finite
};

/// What an attack found.
struct AttackResult {
  Tensor images;  ///< [n, h, w, c], on the device of the batch
  std::vector<AttackedImage> records;
};

/// One step of an attack, for traces: iterates, before the step is made.
struct AttackStep {
  int64_t step = 0;
  const Tensor& images;              ///< [k, h, w, c]
  const std::vector<int64_t>& rows;  ///< of the batch, one for each of them
  const std::vector<double>& objective;
  const std::vector<double>& squared_distance;
  const ObjectiveValues& said;
  const ImageScores& scores;
};
using AttackObserver = std::function<void(const AttackStep&)>;

/// Squared L2 norm and largest absolute value of a - b (b undefined: of a) for each image.
struct ImageDistances {
  std::vector<double> squared;
  std::vector<double> largest;
};
ImageDistances image_distances(const Tensor& a, const Tensor& b = {});

/// Sets to 0 the gradients of images whose norm is not finite, where a model gave no answer: 0 times
/// NaN would still be NaN.
void clear_broken(const Tensor& gradient, const std::vector<double>& squared);

/// Some images of a batch, in new memory.
Tensor images_at(const Tensor& images, const std::vector<int64_t>& rows);
/// Images as rows of a matrix: [n, h w c], over the same memory.
Tensor as_rows(const Tensor& images);
/// A number for each image, on the device of `like`.
Tensor image_numbers(const std::vector<double>& values, const Tensor& like);

/// The best image of each found so far.
class BestImages {
 public:
  explicit BestImages(const AttackBatch& batch);

  /// Takes a better image of a row of the batch: one that has its goal over one that has not, else
  /// one of a lower objective. `rows` as in AttackStep. Returns for each whether its objective is
  /// lower than any before, whether or not it was taken.
  std::vector<bool> offer(const Tensor& images, const std::vector<int64_t>& rows,
                          const std::vector<double>& objective, const std::vector<bool>& reached);
  /// Replaces the image of a row.
  void replace(const Tensor& images, const std::vector<int64_t>& rows,
               const std::vector<double>& objective, const std::vector<bool>& reached);

  const Tensor& images() const { return images_; }
  double objective(int64_t row) const { return objective_[static_cast<size_t>(row)]; }
  bool reached(int64_t row) const { return reached_[static_cast<size_t>(row)]; }

 private:
  void take(const Tensor& images, const std::vector<int64_t>& rows, const std::vector<bool>& taken);

  Tensor images_;
  std::vector<double> objective_;  // of the images
  std::vector<double> lowest_;     // of all offered
  std::vector<bool> reached_;
};

}  // namespace pal
