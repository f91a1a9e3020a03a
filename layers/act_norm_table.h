#pragma once
#include <string>
#include <vector>

#include "layers/act_norm.h"

namespace pal {

/// Evaluates all act norms of a model at once, before a pass needs them: on a GPU one launch, where
/// each by itself would be one in either direction of every block.
class ActNormTable {
 public:
  /// The act norm must outlive the table; all of a table are of one kind.
  void add(ActNorm& act_norm) { act_norms_.push_back(&act_norm); }
  /// Gives the act norms their values for the parameters as they are: those that evaluate() returns
  /// until the parameters are marked as changed. Their parameters lie in `values`, the flat buffer
  /// of a store. Throws as ActNorm::evaluate().
  void evaluate(const Tensor& values);
  /// Throws numerics, with `when` before it, naming the first act norm with a scale that is not
  /// positive and finite. Waits for the device.
  void expect_positive(const Tensor& values, const std::string& when);

 private:
  void work_out(const Tensor& values);
  void lay_out(const Tensor& values);

  std::vector<ActNorm*> act_norms_;
  std::vector<ActNorm::Values> of_each_;
  Tensor values_;  ///< for which this is laid out
  Tensor segments_, scales_, log_scale_sums_;
};

}  // namespace pal
