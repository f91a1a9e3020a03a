#pragma once
#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/explain/position_head.h"
#include "experiments/library/pixel_view.h"
#include "experiments/trust/model_calibration.h"
#include "layers/models/model_io.h"

namespace pal {

/// What is known of a model without asking it anything.
struct ImageModelFacts {
  std::string checkpoint;  ///< the file
  std::string architecture;
  int64_t classes = 0;
  std::vector<std::string> class_names;
  int64_t image_size = 0;  ///< height and width, pixels
  int64_t channels = 0;
  int64_t dims = 0;          ///< D: values of an image
  bool has_density = false;  ///< false: it only classifies (a ResNet)
  /// Per colour: the network reads (pixel - mean) / std.
  std::vector<float> mean, std;
  std::optional<double> temperature;  ///< of a calibration that belongs to these weights
  std::string device;
  int threads = 0;
};

/// What a model says of n images.
struct ImageAnswers {
  std::vector<double> scores;        ///< [n, classes]: l_y, nats; q(y|x) is their softmax
  std::vector<double> log_prob;      ///< [n]: see ImageModel::answers; empty without a density
  std::vector<double> bits_per_dim;  ///< [n]: as pal-evaluate says it of images without noise
};

/// How a model is loaded.
struct ImageModelOptions {
  std::string device = "cpu";  ///< auto, cpu or cuda[:N]
  int threads = 0;             ///< 0: what OMP_NUM_THREADS says, else all usable processors
  bool check_range = true;     ///< pixels outside [0, 1] are refused
  /// Called by the thread that asks between pieces of a long batch; what it throws ends the call.
  std::function<void()> between_pieces;
};

/// A trained network as a program sees it that is not ours: pictures with pixels in [0, 1] go in,
/// numbers on the host come out. It runs in the evaluation phase and never changes.
///
/// Batches of any size run in pieces of at most 100 images, which bounds memory; how a batch is
/// divided among calls may change the last bits where the libraries below choose another algorithm
/// for another batch size, nothing more.
///
/// Any number of threads may call one model: calls wait for each other, as passes of a network share
/// its memory; different models run at the same time. A process that was forked off may not use a
/// model of its parent, whose threads it lacks (usage); it may load one, which then runs on one
/// thread.
///
/// All throw usage for arguments that do not fit and for a closed model, numerics for results that
/// are not finite, environment where memory or device fail.
class ImageModel {
 public:
  /// Loads a checkpoint, or a run folder's best one, and the calibration of its weights if there is
  /// one. Throws as load_model, checkpoint_of, parse_device and ModelCalibration::load.
  explicit ImageModel(const std::string& path, ImageModelOptions options = {});
  /// Of a network that was loaded or made otherwise, perhaps in double.
  ImageModel(LoadedModel loaded, ImageModelOptions options);
  ImageModel(const ImageModel&) = delete;
  ImageModel& operator=(const ImageModel&) = delete;

  const ImageModelFacts& facts() const { return facts_; }

  /// Scores and densities. log_prob is ln q(x) in nats, a density of the D pixels in [0, 1] as they
  /// are given, the normalisation's Jacobian included, so
  ///   bits_per_dim = log2(255) - log_prob / (D ln 2)
  /// for levels that are 1/255 wide.
  ImageAnswers answers(const PixelView& images);
  /// q(y|x) [n, classes]: the softmax of the scores; `calibrated`: at the temperature. Throws usage
  /// if that is asked for and there is no calibration.
  std::vector<double> posterior(const PixelView& images, bool calibrated = false);
  /// Latent vectors f32 [n, D]. Throws usage without a density, as do decode, sample and evidence.
  Tensor encode(const PixelView& images);
  /// Images f32 [n, h, w, c] of latent vectors f32 [n, D] on the CPU: the inverse of encode, whose
  /// pixels may lie outside [0, 1].
  Tensor decode(const Tensor& z);
  /// Samples 0 to n - 1 of class y around its mean, f32 [n, h, w, c]: the pictures of `pal-sample
  /// --around means` before they are rounded to levels; `clip`: to [0, 1], as its pictures are.
  Tensor sample(int64_t y, int64_t n, double temperature, uint64_t seed, bool clip = true);
  /// The evidence for class a against b by position, f64 [n, N, N], nats: over positions it sums to
  /// l_a - l_b, with no constant beside it. a and b have one class for each image, or one for all.
  Tensor evidence(const PixelView& images, std::span<const int64_t> a, std::span<const int64_t> b);
  /// The vector-Jacobian product: the gradient f32 [n, h, w, c] with respect to pixels of
  ///   sum grad_scores scores + sum grad_log_prob log_prob.
  /// grad_scores [n, classes] and grad_log_prob [n]; one of them may be empty, for zeros.
  Tensor vjp(const PixelView& images, std::span<const double> grad_scores,
             std::span<const double> grad_log_prob);

  /// Gives weights and memory back; the facts stay. No call may come after it.
  void close();
  bool closed();

 private:
  class Call;

  void settle(Device device);
  void check_images(const PixelView& images) const;
  IbInn& flow(const char* what);
  /// Calls body(first, count) for one piece after another of n images.
  void in_pieces(int64_t n, const std::function<void(int64_t first, int64_t count)>& body);
  /// A piece as the network reads it, on its device.
  Tensor normalised(const PixelView& images, int64_t first, int64_t count) const;
  /// Decodes a piece of latent vectors into `out`, as pixels.
  void decode_piece(const IbInn& flow, const Tensor& z, const Tensor& out) const;

  std::mutex mutex_;  // held during a call
  ImageModelOptions options_;
  ImageModelFacts facts_;
  LoadedModel loaded_;  // without a model once it is closed
  std::optional<ModelCalibration> calibration_;
  std::optional<PositionHead> positions_;  // made when evidence is asked for
  Tensor scale_, shift_;                   // [c]: levels to the network's input
  Tensor grad_scale_, none_;               // [c]: 1 / std, and zeros
  double log_std_ = 0.0;                   // mean over colours of ln std
  pid_t process_;
};

}  // namespace pal
