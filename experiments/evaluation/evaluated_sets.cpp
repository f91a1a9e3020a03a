#include "experiments/evaluation/evaluated_sets.h"

#include <algorithm>

namespace pal {
namespace {

constexpr int64_t kReferenceImages = 10000;

}  // namespace

const OpenedSet& EvaluatedSets::open(OpenedSet& opened, const DatasetSpec& spec, Split split) {
  if (opened.set && opened.spec == spec) return opened;
  opened.spec = spec;
  opened.set = open_dataset(spec, split);
  opened.bad = bad_image_log(options_.data, opened.set->info().count);
  return opened;
}

const OpenedSet& EvaluatedSets::evaluated(const DatasetSpec& spec) {
  return open(evaluated_, spec, options_.split);
}

const OpenedSet& EvaluatedSets::training(const DatasetSpec& spec) {
  return open(training_, spec, Split::train);
}

const OpenedSet& EvaluatedSets::foreign(const DatasetSpec& like) {
  DatasetSpec spec = like;
  spec.name = options_.ood;
  spec.folder = options_.ood_folder;
  spec.class_names.clear();
  return open(foreign_, spec, options_.ood == "digits" ? Split::all : Split::test);
}

std::vector<int64_t> training_indices(const OpenedSet& training, const TrainingRecipe& recipe) {
  return split_training(training.spec, training.set->info(), recipe.validation, recipe.loader.seed)
      .train;
}

std::vector<int64_t> reference_indices(const OpenedSet& training, const TrainingRecipe& recipe) {
  const auto train = training_indices(training, recipe);
  const auto all = static_cast<int64_t>(train.size());
  const int64_t count = std::min(kReferenceImages, all);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) chosen.push_back(train[static_cast<size_t>(i * all / count)]);
  return chosen;
}

}  // namespace pal
