#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/explain/class_plane.h"
#include "experiments/sampling/test_images.h"
#include "layers/models/model_io.h"

namespace pal {

/// How a flow learns to do with class means in a plane (experiments/measures/README.md, 16).
struct PlaneSpec {
  std::vector<int64_t> classes;  ///< of the model, at least 3 and different
  bool whole_network = false;    ///< else the plane and the places in it alone
  double epochs = 1.0;           ///< over the training images of these classes
  /// Of the whole network's loss; none: as the model was trained.
  std::optional<double> beta;
  /// The largest, of the network and of the means; none: as the model was trained, with thrice the
  /// rate of means, or 0.2 for means alone. They rise over a twentieth of the steps and fall to 0 along half a cosine.
  std::optional<double> learning_rate;
  std::optional<double> learning_rate_means;
  int64_t batch_size = 0;  ///< 0: as the model was trained
  uint64_t seed = 0;       ///< of order, augmentation and noise
  /// Called after each step: steps taken, of how many, and the loss.
  std::function<void(int64_t, int64_t, double)> progress;
};

/// A flow of some classes whose means lie in a plane.
struct PlaneModel {
  std::unique_ptr<IbInn> model;
  InputSpec input;   ///< as the flow's it was made from, with the names of these classes
  ClassPlane start;  ///< nearest to the means before
  ClassPlane plane;  ///< of the model's means
  int64_t steps = 0;
  bool whole_network = false;  ///< else the means alone have learned
  double beta = 0.0;           ///< of the loss that they learned with
};

/// A copy of a flow with these classes alone, full-rank means moved into the plane nearest to them,
/// which then trains: with L_Y the means alone, or with the loss of the model's own training the
/// whole network. After each step the means are moved into the plane nearest to them (projected
/// gradient descent). Throws usage for fewer training images of the classes than a batch has,
/// numerics for steps that are not finite.
PlaneModel train_in_plane(const LoadedModel& loaded, const std::string& checkpoint,
                          const TrainingImages& images, const PlaneSpec& spec);

/// The model as a checkpoint that programs can load, with its plane: plane.origin [D], plane.axes
/// [2, D] and plane.places [classes, 2], f32. Its recipe has the beta that it learned with, and
/// `finetuned` says (JSON) what learned, for how many steps, and the digest of what it was made of.
Checkpoint plane_checkpoint(const PlaneModel& made, const LoadedModel& from);

/// Whether a file is such a checkpoint.
bool is_plane_checkpoint(const std::string& path);

}  // namespace pal
