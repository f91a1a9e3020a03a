#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "data/batches/bad_images.h"
#include "experiments/evaluation/evaluate_options.h"
#include "experiments/recipe/training_recipe.h"

namespace pal {

/// A data set and the log of those of its pictures that could not be read.
struct OpenedSet {
  DatasetSpec spec;
  std::unique_ptr<Dataset> set;
  /// The training part stands in for one that is missing: only what a run held out may be used.
  bool held_out = false;
  std::unique_ptr<BadImageLog> bad;  ///< null: a bad picture is an error
};

/// The data sets that the evaluation of several checkpoints shares, each opened when first needed
/// and again for another `spec`. All throw as `open_dataset`.
class EvaluatedSets {
 public:
  /// Keeps a reference.
  explicit EvaluatedSets(const EvaluateOptions& options) : options_(options) {}

  /// The part that the options name.
  const OpenedSet& evaluated(const DatasetSpec& spec);
  const OpenedSet& training(const DatasetSpec& spec);
  /// The images that chose the checkpoints of a run on these data: its validation part, or those
  /// of the training part that `recipe` held out; `fingerprint` is what the checkpoint recorded.
  /// Throws usage if they are not known.
  struct HeldOut {
    const OpenedSet& set;
    Split part;
    std::vector<int64_t> indices;
  };
  HeldOut held_out(const DatasetSpec& spec, const TrainingRecipe& recipe,
                   const std::string& fingerprint);
  /// A set that is to be told from the evaluated one, read like it; variants are of its images, at
  /// their places, and `heldout:CLASS,...` are the images of classes that it leaves out.
  const OpenedSet& foreign(const DatasetSpec& like, const std::string& name);

 private:
  const OpenedSet& open(OpenedSet& opened, const DatasetSpec& spec, Split split);

  const EvaluateOptions& options_;
  OpenedSet evaluated_, training_, validation_;
  std::map<std::string, OpenedSet> foreign_;
};

/// Indices of the images that a run of this recipe trained on: without those that chose its
/// checkpoints.
std::vector<int64_t> training_indices(const OpenedSet& training, const TrainingRecipe& recipe);

/// The part that is opened where `wanted` is asked for: folders without a test part give their val.
Split opened_part(const OpenedSet& set, Split wanted);

/// How many images the reference of the outlier tests has, if nothing else is said.
inline constexpr int64_t kReferenceImages = 10000;
/// At most `most` of the images trained on, evenly spread: the reference of the outlier tests
/// (experiments/measures/README.md, 7). The seed moves them; of seed 0 the first is among them.
std::vector<int64_t> reference_indices(const OpenedSet& training, const TrainingRecipe& recipe,
                                       int64_t most = kReferenceImages, uint64_t seed = 0);

/// Leaves at most `most` of the indices (none: of all images), evenly spread; 0: as they are.
void spread_indices(std::vector<int64_t>& indices, int64_t most, const DatasetInfo& info);

/// The classes of `heldout:CLASS,...`; none for another name.
std::optional<std::vector<std::string>> held_out_classes(const std::string& name);

}  // namespace pal
