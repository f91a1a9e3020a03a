#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/command_line/data_options.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/sampling.h"
#include "experiments/recipe/training_recipe.h"
#include "layers/models/model_io.h"

// Which images of a set to show.
namespace pal {

/// Images that a model did not learn from, and how they are read.
struct TestImages {
  std::unique_ptr<Dataset> set;
  std::vector<int64_t> indices;  ///< of those that may be shown; empty: all
  TransformSpec transform;
};

/// The test images of the set that the options name, or that the model was trained on. Throws as
/// open_dataset, and usage for images that do not fit the model.
TestImages open_test_images(const DataOptions& options, const std::string& checkpoint,
                            const LoadedModel& loaded);

/// Images that a model learned from, or of the same part of such a set, and how they were read.
struct TrainingImages {
  std::unique_ptr<Dataset> set;
  std::vector<int64_t> indices;  ///< without those that chose its checkpoints
  TrainingRecipe recipe;         ///< of its training; the loader is ready to use
};

/// The training images of the set that the options name, or that the model was trained on. Throws
/// as open_test_images.
TrainingImages open_training_images(const DataOptions& options, const std::string& checkpoint,
                                    const LoadedModel& loaded);

/// Where the latent vectors of training images of these classes lie, up to 500 images of each: of
/// the set that the options name, or that the model was trained on. Throws as open_dataset, and
/// usage for a class with fewer than 2 images.
std::vector<ClassSpread> training_spreads(const DataOptions& options, const std::string& checkpoint,
                                          const LoadedModel& loaded,
                                          const std::vector<int64_t>& classes);

/// The first `count` images that may be shown whose class is the model's class y; fewer if there
/// are no more.
std::vector<int64_t> first_of_class(const TestImages& from, const ClassMatch& match, int64_t y,
                                    int64_t count);

/// The first image of each class in turn, then the second of each and so on, until there are
/// `count`; classes that have no more are passed over. Of the images `among`; empty: of all. Throws
/// usage if there are fewer.
std::vector<int64_t> spread_over_classes(const Dataset& set, int64_t count,
                                         std::vector<int64_t> among = {});

/// The numbers and names of a list with commas between (--images). Throws usage for an empty one.
std::vector<std::string> listed_images(const std::string& list);

/// The image that a text means: its number, or its name (item_name) or the end of that from a slash
/// or colon on, such as "triangles/003.jpg". Throws usage, beginning with `option`, if there is
/// none or more than one.
int64_t named_image(const Dataset& set, const std::string& text, const std::string& option);

}  // namespace pal
