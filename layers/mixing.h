#pragma once
#include <optional>
#include <string>
#include <vector>

#include "autograd/parameter.h"

namespace pal {

/// How a coupling block mixes its output channels (model.md, section 1).
enum class MixingKind { none, swap, permutation, orthogonal, householder, conv1x1 };

struct MixingSpec {
  MixingKind kind = MixingKind::permutation;
  /// Reflections of `householder`.
  int64_t reflections = 3;
};

/// Channel mixing y = W v: an index map for none, swap and permutation (folded into the coupling
/// kernels, never multiplied), a matrix for the others.
class Mixing {
 public:
  Mixing(int64_t channels, const MixingSpec& spec);

  void collect(const std::string& prefix, StateList& state);
  /// Draws the fixed parts; they depend on the seed and `prefix` of collect only.
  void initialise(DType dtype, uint64_t seed);
  /// To be called when index() was loaded or moved: renews its inverse.
  void refresh();

  MixingKind kind() const { return spec_.kind; }
  bool is_index() const { return spec_.kind <= MixingKind::permutation; }
  bool is_learned() const { return spec_.kind >= MixingKind::householder; }
  /// Multiply-adds per pixel that the mixing itself costs.
  int64_t multiply_adds() const { return is_index() ? 0 : channels_ * channels_; }

  /// Index maps: output channel i is input channel index[i]; undefined for `none`.
  const Tensor& index() const { return index_; }
  const Tensor& inverse_index() const { return inverse_index_; }

  /// Matrices only. y = W v and v = W^-1 y over the rows of a stream tensor.
  Tensor apply(const Tensor& v) const;
  Tensor unapply(const Tensor& y) const;
  /// W^T grad_y. For learned matrices adds to their gradients too (on the host, waiting for the
  /// device): v is what `apply` got; every sample's log-determinant holds `rows` log|det W|.
  Tensor backward(const Tensor& grad_y, const Tensor& v, const Tensor& grad_log_det, int64_t rows);
  /// log|det W|, 0 but for conv1x1.
  double log_det() const;

 private:
  /// Of a model without memory.
  bool is_meta() const { return matrix_.defined() && matrix_.device().meta; }

  Tensor matrix() const;

  int64_t channels_;
  MixingSpec spec_;
  std::string name_;
  Tensor index_;  // i32 [channels]
  Tensor inverse_index_;
  Tensor matrix_;                     // fixed W (orthogonal) or W0 (householder)
  std::optional<Parameter> vectors_;  // householder [reflections, channels]
  std::optional<Parameter> lower_;    // conv1x1 [channels, channels]
  std::optional<Parameter> upper_;
};

}  // namespace pal
