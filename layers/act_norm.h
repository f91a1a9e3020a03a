#pragma once
#include <string>

#include "autograd/parameter.h"

namespace pal {

/// How act norm's scale follows from its parameter gamma (model.md, section 1): softplus
/// 0.1 softplus_0.5(gamma) (the published implementation), paper 0.1 softplus_1(gamma), sigmoid
/// 10 sigmoid(gamma - 2), exp exp(gamma).
enum class ActNormKind { softplus, paper, sigmoid, exponential };

struct ActNormSpec {
  ActNormKind kind = ActNormKind::softplus;
  /// The wanted initial scale. softplus and paper start at gamma = 10 * initial like the published
  /// code, which gives 0.706 for 0.7 and 1.0013 (softplus) or 1.0000 (paper) for 1.
  double initial = 1.0;
};

/// Per-channel scale and offset of a coupling block.
class ActNorm {
 public:
  ActNorm(int64_t channels, const ActNormSpec& spec);
  void collect(const std::string& prefix, StateList& state);

  struct Values {
    Tensor scale;   ///< [channels], dtype of the parameters
    Tensor offset;  ///< [channels]
    double log_scale_sum = 0.0;
  };
  Values evaluate() const;

  /// Sets scale and offset, f64 [channels] each; scales are limited to what the kind can express.
  void assign(const Tensor& scale, const Tensor& offset);

  /// Adds to the gradients of gamma and offset. grad_scale and grad_offset f64 [channels] come from
  /// the coupling kernel; `log_scale_weight` is the gradient of log_scale_sum.
  void backward(const Tensor& grad_scale, const Tensor& grad_offset, double log_scale_weight);

 private:
  ActNormSpec spec_;
  Parameter gamma_;
  Parameter offset_;
};

}  // namespace pal
