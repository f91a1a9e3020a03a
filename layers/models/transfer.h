#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/models/model_io.h"

namespace pal {

/// A field of the configuration that decides what tensors of equal shape mean, and that a
/// checkpoint and a run have different: `clamp`, say.
struct FieldDifference {
  std::string field;
  std::string in_file;
  std::string here;
};

/// The block of a tensor, which is loaded whole or not at all: "blocks.3", "layer2.1", a ResNet's
/// "stem", and "head" for what belongs to classes or the order of the latent vector.
std::string block_of_tensor(const std::string& name);

/// What transfer_state did, for the caller and (text()) for people. Tensors go by their names in
/// Model::state().
struct TransferReport {
  std::string path;
  /// Tensors of the model all of whose values come from the checkpoint, those that are new (some
  /// rows of class tensors may come from it even so), and those of the checkpoint that were left.
  std::vector<std::string> loaded;
  std::vector<std::string> made_new;
  std::vector<std::string> left_out;
  /// How many values the model's tensors have, and how many of them come from the checkpoint.
  int64_t values = 0;
  int64_t values_loaded = 0;

  int64_t classes = 0;          ///< of the model
  int64_t classes_in_file = 0;  ///< of the checkpoint
  int64_t classes_loaded = 0;   ///< whose means, or rows of the linear layer, were loaded
  bool same_classes = false;    ///< the same names in the same order
  /// Whether every block before the class means or the linear layer was loaded.
  bool network_loaded = false;

  std::vector<FieldDifference> differences;
  /// Whether mean or standard deviation of the inputs differ from the checkpoint's.
  bool inputs_differ = false;
  int64_t image_size = 0;
  int64_t image_size_in_file = 0;
  /// Blocks whose act norm is new, for ActNormFit::only; empty for a ResNet.
  std::vector<std::string> new_act_norms;
  /// The block of those that is the latent act norm; empty if that was loaded or does not exist.
  std::string new_latent_norm;
  bool flow = true;

  /// A few lines without an end of line: what was loaded, what is new and why, what was left out,
  /// what else differs.
  std::string text() const;
};

/// Starts `model`, which must be materialised, from the network of a checkpoint at `path` of the
/// same family: copies tensors of equal name and shape and leaves the others as they are. A block
/// (`blocks.3`, `layer2.1`, a ResNet's stem) is loaded whole or not at all, since its convolutions
/// mean nothing with another permutation. Image size and classes may differ: a latent act norm and
/// full-rank means of another size are new, and class tensors (`mu_mean`, `mu_alpha`; `fc.weight`
/// and `fc.bias`) are loaded whole if both have the same classes in the same order; otherwise row
/// by row for classes of the same name. Names that are only numbers 0 to n - 1, and names that one
/// side has twice, say nothing then. `input` describes the run: its class names, one per class of
/// the model, and its normalisation.
///
/// Everything is checked before anything is copied. Throws usage, naming `path`, for another family
/// and if no block fits; data for a checkpoint that contradicts itself and for a tensor of equal
/// name and shape in another dtype.
TransferReport transfer_state(const Checkpoint& checkpoint, const std::string& path,
                              const InputSpec& input, Model& model);

}  // namespace pal
