#pragma once
#include <vector>

#include "autograd/parameter.h"
#include "autograd/variable.h"
#include "kernels/loss/mixture.h"

namespace pal {

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

/// Targets and loss of one batch.
struct LossSpec {
  /// L = (L_X + beta L_Y) / (1 + beta); 0: L_X, infinity: L_Y.
  double beta = 1.0;
  /// Factor on the whole loss (burn-in).
  double factor = 1.0;

  MixtureWeights weights() const;
};

/// Per-sample results, f64 [n] each; scores [n, classes].
struct MixtureResult {
  Tensor scores;
  Tensor nll_joint;
  Tensor nll_class;
  Tensor cross_entropy;
  /// f64 [3]: means over the batch of the weighted loss, of nll_joint and of cross_entropy.
  Tensor summary;

  /// Mean over the batch of the weighted loss; waits for the device.
  double loss() const { return summary.item(0); }
};

/// The Gaussian mixture in latent space with one unit-covariance component per class and the
/// information-bottleneck loss on it (model.md, section 7; experiments.md, 1.1 and 1.2).
class MixtureHead {
 public:
  explicit MixtureHead(const MixtureSpec& spec);
  void collect(StateList& state);
  void initialise(DType dtype);
  /// To be called when buffers were loaded or moved.
  void refresh();
  const MixtureSpec& spec() const { return spec_; }

  /// Losses of z [n, D] with log_det f64 [n] and soft targets [n, classes] (dtype of z). If grad is
  /// on, backward() differentiates: call it with the two results.
  MixtureResult evaluate(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                         const LossSpec& loss) const;

  struct Gradients {
    Tensor z;
    Tensor log_det;
  };
  /// Evaluates and differentiates: gradients of z and log_det, those of the means are added.
  Gradients evaluate_backward(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                              const LossSpec& loss, MixtureResult& result);

  /// Class scores l_y [n, classes].
  Tensor scores(const Tensor& z) const;
  /// The D values of class y's mean in the layout of z, dtype of the parameters, on the CPU.
  Tensor class_mean(int64_t y) const;
  /// Mean distance of two class means.
  double mean_distance() const;

 private:
  MixtureMeans means() const;
  MixtureResult losses(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                       const LossSpec& loss, MixtureState& state, const Tensor& grad_scores) const;

  MixtureSpec spec_;
  Parameter mean_;        // [classes, D_mean], or [classes, D] at full rank
  Parameter alpha_;       // [classes, rank]
  Parameter prototypes_;  // [rank, D - D_mean]
  Tensor permutation_;    // i32 [D_mean]
  Tensor inverse_permutation_;
};

}  // namespace pal
