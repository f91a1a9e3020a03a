#include "experiments/evaluation/evaluated_sets.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/sets/idx_set.h"
#include "data/sets/set_layout.h"
#include "data/sources/class_names.h"
#include "data/sources/picture_list.h"
#include "data/variants/variant_set.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr const char* kHeldOut = "heldout:";

}  // namespace

const OpenedSet& EvaluatedSets::open(OpenedSet& opened, const DatasetSpec& spec, Split split) {
  if (opened.set && opened.spec == spec) return opened;
  opened.spec = spec;
  opened.set = open_dataset(spec, split);
  opened.bad = bad_image_log(options_.data, opened.set->info().count);
  return opened;
}

const OpenedSet& EvaluatedSets::evaluated(const DatasetSpec& spec) {
  const DatasetParts parts = parts_of(spec);
  const bool validation = options_.split == Split::validation && !parts.validation;
  const bool test = options_.split == Split::test && !parts.test && !parts.validation;
  // What a run holds out lies in the training part.
  const bool held_out = parts.train && (validation || test);
  const OpenedSet& set = open(evaluated_, spec, held_out ? Split::train : options_.split);
  evaluated_.held_out = held_out;
  return set;
}

const OpenedSet& EvaluatedSets::training(const DatasetSpec& spec) {
  return open(training_, spec, Split::train);
}

EvaluatedSets::HeldOut EvaluatedSets::held_out(const DatasetSpec& spec,
                                               const TrainingRecipe& recipe,
                                               const std::string& fingerprint) {
  if (recipe.validation == 0.0 && parts_of(spec).validation) {
    const OpenedSet& set = open(validation_, spec, Split::validation);
    return {set, Split::validation, all_images(set.set->info())};
  }
  const OpenedSet& set = training(spec);
  std::vector<int64_t> indices = held_out_images(spec, set.set->info(), recipe, fingerprint);
  expect(!indices.empty(),
         "--calibrate: {} is not (or no longer) what the model was trained on, so the images that "
         "its run held out are not known; name the data of the run",
         set.set->info().name);
  return {set, part_taken(spec, Split::train), std::move(indices)};
}

const OpenedSet& EvaluatedSets::foreign(const DatasetSpec& like, const std::string& name) {
  OpenedSet& opened = foreign_[name];
  if (const auto variant = variant_of(name)) {
    if (!opened.set || opened.spec != like) {
      opened.spec = like;
      opened.set = variant_set(*evaluated(like).set, *variant);
      opened.bad = bad_image_log(options_.data, opened.set->info().count);
    }
    return opened;
  }
  if (const auto classes = held_out_classes(name)) {
    DatasetSpec spec = like;
    spec.left_out.clear();
    spec.only = *classes;
    return open(opened, spec, evaluated(like).held_out ? Split::train : options_.split);
  }
  DatasetSpec spec = like;
  spec.name = name;
  spec.folder = options_.ood_folder;
  spec.class_names.clear();
  spec.shard_classes.clear();
  spec.left_out.clear();
  try {
    if (path_is_file(name) && !name.ends_with(".tar")) {
      if (!opened.set) opened.set = memory_dataset(load_idx_images(name));
      return opened;
    }
    // The pictures of a folder count, whatever folders in it hold them.
    if (recorded_name(spec) == kRecordedFolder && path_is_folder(name) && !divided_set(name)) {
      if (!opened.set || opened.spec != spec) {
        opened.spec = spec;
        opened.set = encoded_dataset(picture_list(name), spec.image_size, spec.channels);
        opened.bad = bad_image_log(options_.data, opened.set->info().count);
      }
      return opened;
    }
    return open(opened, spec, name == "digits" ? Split::all : Split::test);
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", options_.foreign_flag, error.what());
  }
}

std::vector<int64_t> training_indices(const OpenedSet& training, const TrainingRecipe& recipe) {
  return split_training(training.spec, training.set->info(), recipe.validation, recipe.loader.seed)
      .train;
}

Split opened_part(const OpenedSet& set, Split wanted) {
  return part_taken(set.spec, set.held_out ? Split::train : wanted);
}

std::vector<int64_t> reference_indices(const OpenedSet& training, const TrainingRecipe& recipe,
                                       int64_t most, uint64_t seed) {
  const auto train = training_indices(training, recipe);
  const auto all = static_cast<int64_t>(train.size());
  const int64_t count = std::min(most, all);
  // Within the first stretch of which one image is taken.
  const auto stretch = static_cast<uint64_t>(all / std::max<int64_t>(count, 1));
  const auto first =
      seed == 0 ? int64_t{0}
                : static_cast<int64_t>(Philox(seed, RandomPurpose::sample).below(0, stretch));
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i)
    chosen.push_back(train[static_cast<size_t>(first + i * all / count)]);
  return chosen;
}

void spread_indices(std::vector<int64_t>& indices, int64_t most, const DatasetInfo& info) {
  if (most == 0) return;
  const std::vector<int64_t> all = indices.empty() ? all_images(info) : indices;
  const auto count = static_cast<int64_t>(all.size());
  if (count <= most) return;
  indices.clear();
  for (int64_t i = 0; i < most; ++i) indices.push_back(all[static_cast<size_t>(i * count / most)]);
}

std::optional<std::vector<std::string>> held_out_classes(const std::string& name) {
  if (!name.starts_with(kHeldOut)) return std::nullopt;
  return listed_names(name.substr(std::string(kHeldOut).size()), kHeldOut);
}

}  // namespace pal
