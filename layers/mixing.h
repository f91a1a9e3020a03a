#pragma once
#include <optional>
#include <string>
#include <vector>

#include "autograd/parameter.h"

namespace pal {

/// How a coupling block mixes its output channels (layers/models/README.md, 1).
enum class MixingKind { none, swap, permutation, orthogonal, householder, conv1x1 };

/// Whether a mixing of that kind has parameters; its matrix is then made on the host in each step.
constexpr bool is_learned(MixingKind kind) { return kind >= MixingKind::householder; }

/// Which mixing a block has.
struct MixingSpec {
  MixingKind kind = MixingKind::permutation;
  /// How many reflections `householder` has.
  int64_t reflections = 3;
};

/// Channel mixing y = W v: an index map for none, swap and permutation (folded into the coupling
/// kernels, never multiplied), a matrix for the others.
class Mixing {
 public:
  /// Throws usage for a number of channels that the kind cannot mix.
  Mixing(int64_t channels, const MixingSpec& spec);

  /// Adds the parameters and buffers of the kind: `w`, `w_index`, ... behind `prefix`.
  void collect(const std::string& prefix, StateList& state);
  /// Draws the fixed parts; they depend on the seed and `prefix` of collect only.
  void initialise(DType dtype, uint64_t seed);
  /// To be called after index() was loaded or moved: renews its inverse.
  void refresh();

  MixingKind kind() const { return spec_.kind; }
  /// Whether W is an index map, not a matrix.
  bool is_index() const { return spec_.kind <= MixingKind::permutation; }
  /// Whether W has parameters.
  bool is_learned() const { return pal::is_learned(spec_.kind); }
  /// Multiply-adds per pixel that the mixing itself costs.
  int64_t multiply_adds() const { return is_index() ? 0 : channels_ * channels_; }

  /// Index maps only, i32 [channels]: output channel i is input channel index[i]; undefined for
  /// `none`.
  const Tensor& index() const { return index_; }
  /// The index map of W^-1.
  const Tensor& inverse_index() const { return inverse_index_; }

  /// Matrices only: y = W v for every row of a stream tensor, in new memory.
  Tensor apply(const Tensor& v) const;
  /// Matrices only: v = W^-1 y for every row of a stream tensor, in new memory.
  Tensor unapply(const Tensor& y) const;
  /// Matrices only: grad_v = W^T grad_y, in new memory. Adds to the gradients of learned matrices
  /// too (on the host, waiting for the device): v is what `apply` got, and every sample's
  /// log-determinant holds `rows` times log|det W|.
  Tensor backward(const Tensor& grad_y, const Tensor& v, const Tensor& grad_log_det, int64_t rows);
  /// log|det W| of one row, in nats: 0 but for conv1x1.
  double log_det() const;

 private:
  /// Whether the model has shapes only, no memory.
  bool is_meta() const { return matrix_.defined() && matrix_.device().meta; }

  /// W [channels, channels], of the parameters as they are.
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
