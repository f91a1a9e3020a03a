#pragma once
#include <string>

#include "autograd/parameter.h"
#include "kernels/coupling/act_norm.h"
#include "layers/channel_moments.h"

namespace pal {

/// How an act norm makes its scale of the parameter gamma, and where it starts.
struct ActNormSpec {
  ActNormKind kind = ActNormKind::softplus;
  /// The wanted initial scale. softplus and paper start at gamma = 10 * initial like the published
  /// code, which gives 0.706 for 0.7 and 1.0013 (softplus) or 1.0000 (paper) for 1.
  double initial = 1.0;
};

/// The learned scale and offset of each channel at the end of a coupling block: parameters gamma,
/// of which the kind makes the scale, and offset.
class ActNorm {
 public:
  /// Throws usage for an initial scale that the kind cannot express.
  ActNorm(int64_t channels, const ActNormSpec& spec);
  /// Adds the parameters `act_norm` (gamma) and `act_offset`.
  void collect(const std::string& prefix, StateList& state);

  /// What the parameters amount to.
  struct Values {
    Tensor scale;          ///< [channels], dtype of the parameters
    Tensor offset;         ///< [channels]
    Tensor log_scale_sum;  ///< f64 [1], nats: the sum of log scale over the channels
  };
  /// The values of the parameters as they are. Throws numerics for a scale that is not positive; on
  /// a GPU, which nobody waits for here, the sum is not finite then, and so is the loss.
  Values evaluate() const;
  /// What evaluate() is to return, instead of working it out, until the parameters are marked as
  /// changed. Throws as evaluate().
  void set_values(const Values& values);

  ActNormKind kind() const { return spec_.kind; }
  const std::string& name() const { return gamma_.name; }
  const Tensor& gamma() const { return gamma_.value; }
  const Tensor& offset() const { return offset_.value; }

  /// How far fit() may go.
  struct FitLimits {
    /// Variance below which a channel counts as constant; added to all others.
    double contrast = 0.0;
    /// Largest scale; that of the kind (9.9 of sigmoid, 1e4 of the others) holds besides.
    double most = 1e4;
  };
  /// Sets the parameters so that rows with these moments come out with mean 0 and a standard
  /// deviation of `deviation`: scale = deviation / sqrt(variance + contrast), so at most
  /// deviation / sqrt(2 contrast), and offset = -scale mean of the scale after all limits. A
  /// channel that counts as constant keeps the initial scale of the spec: there is nothing to
  /// normalise, and a large scale would blow up the little that subnets later add to it.
  void fit(const ChannelMoments& moments, double deviation, const FitLimits& limits);

  /// Adds to the gradients of gamma and offset. grad_scale and grad_offset, f64 [channels], come
  /// from the coupling kernel; grad_log_det is f64 [batch], and every sample's log-determinant
  /// holds `rows` times log_scale_sum.
  void backward(const Tensor& grad_scale, const Tensor& grad_offset, const Tensor& grad_log_det,
                int64_t rows);

 private:
  void check(const Values& values) const;

  ActNormSpec spec_;
  Parameter gamma_;
  Parameter offset_;
  Values known_;
  uint64_t known_version_ = 0;  ///< of gamma's shadow, when known_ was worked out
};

}  // namespace pal
