#pragma once
#include "autograd/parameter.h"

namespace pal {

/// An exponential moving average of the weights and running statistics of a model, of which a
/// steadier model can be made (Polyak and Juditsky 1992).
class WeightAverage {
 public:
  /// Of the values in `store`, which must outlive it, on the device where they are; begins with
  /// them.
  explicit WeightAverage(ParameterStore& store);

  /// Begins anew with the weights as they are.
  void restart();
  /// average += rate (weights - average), unless the rate, f64 [1] on the device, is NaN.
  void move(const Tensor& rate);
  /// Exchanges the weights and statistics of the model with their averages, in small parts. What is
  /// derived from them must be renewed (Model::refresh).
  void exchange();

  /// One element per parameter value, and per running statistic, in the store's order.
  const Tensor& values() const { return values_; }
  const Tensor& statistics() const { return statistics_; }

 private:
  ParameterStore& store_;
  Tensor values_;
  Tensor statistics_;
};

}  // namespace pal
