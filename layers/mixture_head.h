#pragma once
#include <vector>

#include "autograd/parameter.h"
#include "autograd/variable.h"
#include "kernels/loss/mixture.h"
#include "layers/loss.h"
#include "layers/model_scores.h"

namespace pal {

/// Sizes and start of a mixture.
struct MixtureSpec {
  int64_t classes = 10;
  int64_t dims = 0;       ///< D
  int64_t mean_dims = 0;  ///< D_mean, the mean-pooled ones
  /// Rank of the low-rank means of the other dimensions; 0: full rank.
  int64_t rank = 128;
  /// Distance of any two class means at the start.
  double mu_init = 3.5;
  /// Takes the first D_mean entries in the order of the published checkpoints.
  bool head_permutation = true;
};

/// The Gaussian mixture in latent space with one unit-covariance component per class and the
/// information-bottleneck loss on it (layers/models/README.md, 7).
class MixtureHead {
 public:
  /// Throws usage for sizes that no mixture can have.
  explicit MixtureHead(const MixtureSpec& spec);
  /// Adds the parameters and the permutation of the head to `state`.
  void collect(StateList& state);
  /// To be called once the parameters have their memory: sets the means of the pooled dimensions
  /// and makes the permutation.
  void initialise(DType dtype);
  /// To be called after the permutation was loaded or moved: renews its inverse.
  void refresh();
  const MixtureSpec& spec() const { return spec_; }

  /// Losses of z [n, D] with log_det f64 [n] and soft targets [n, classes] (dtype of z).
  LossResult evaluate(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                      const LossSpec& loss) const;

  /// Gradients of the mean weighted loss.
  struct Gradients {
    Tensor z;        ///< [n, D]
    Tensor log_det;  ///< f64 [n]
  };
  /// Evaluates into `result` and differentiates: returns the gradients of z and log_det in new
  /// memory and adds to those of the class means.
  Gradients evaluate_backward(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                              const LossSpec& loss, LossResult& result);

  /// What is said of z [n, D] with log_det f64 [n], and the gradients of z and log_det of a function
  /// of it, in new memory. Throws usage for derivatives that do not fit.
  Gradients score_gradients(const Tensor& z, const Tensor& log_det,
                            const ScoreFunction& function) const;

  /// Class scores l_y [n, classes] of z [n, D], dtype of z.
  Tensor scores(const Tensor& z) const;
  /// The class means as the kernels take them, on the device of the parameters.
  MixtureMeans means() const;
  /// The D values of class y's mean in the layout of z, dtype of the parameters, on the CPU.
  Tensor class_mean(int64_t y) const;
  /// Mean distance of two class means; waits for the device.
  double mean_distance() const;

 private:
  /// What mixture_scores begins with for z, passing over the norms of the means if an earlier call
  /// computed them; and keeps for the next one. Outside of training the means stay as they are.
  MixtureState state_for(const Tensor& z) const;
  void keep_norms(const MixtureState& state) const;
  uint64_t version() const;
  LossResult losses(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                    const LossSpec& loss, MixtureState& state, const Tensor& grad_scores) const;

  MixtureSpec spec_;
  Parameter mean_;        // [classes, D_mean], or [classes, D] at full rank
  Parameter alpha_;       // [classes, rank]
  Parameter prototypes_;  // [rank, D - D_mean]
  Tensor permutation_;    // i32 [D_mean]
  Tensor inverse_permutation_;
  mutable MixtureState norms_;          // of the means at norms_version_
  mutable uint64_t norms_version_ = 0;  // 0: of none
};

}  // namespace pal
