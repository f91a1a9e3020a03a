#include "experiments/sampling/test_images.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "experiments/command_line/run_data.h"
#include "experiments/measures/model_fit.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Names that a message lists.
constexpr size_t kListed = 3;

/// Whether `name` is `end`, or ends in it where a part of a path begins.
bool ends_in(const std::string& name, const std::string& end) {
  if (!name.ends_with(end)) return false;
  if (name.size() == end.size()) return true;
  const char before = name[name.size() - end.size() - 1];
  return before == '/' || before == ':';
}

/// The set that the options name, or that the model was trained on.
struct ModelData {
  ModelData(DataOptions data, const std::string& checkpoint, const LoadedModel& loaded)
      : recipe(training_recipe(loaded.checkpoint, checkpoint)),
        fingerprint(loaded.checkpoint.entry("data_fingerprint")) {
    take_run_data(data, checkpoint, recipe.dataset);
    spec = dataset_spec(data, loaded.model->config(), recipe.dataset);
    spec.shard_classes = loaded.input.class_names;
    spec.left_out = recipe.left_out;
    transform = evaluation_transform(data, recipe);
  }

  /// Images of its training part that the model did not learn from.
  std::vector<int64_t> held_out(const Dataset& training) const {
    return held_out_images(spec, training.info(), recipe, fingerprint);
  }

  TrainingRecipe recipe;
  std::string fingerprint;
  DatasetSpec spec;
  TransformSpec transform;
};

}  // namespace

TestImages open_test_images(const DataOptions& options, const std::string& checkpoint,
                            const LoadedModel& loaded) {
  const ModelData data(options, checkpoint, loaded);
  const DatasetParts parts = parts_of(data.spec);
  const bool divided = parts.test || parts.validation;
  TestImages images;
  images.set = open_dataset(data.spec, divided || parts.whole() ? Split::test : Split::train);
  if (!divided) images.indices = data.held_out(*images.set);
  expect_images_fit(loaded, checkpoint, images.set->info());
  images.transform = data.transform;
  return images;
}

TrainingImages open_training_images(const DataOptions& options, const std::string& checkpoint,
                                    const LoadedModel& loaded) {
  const ModelData data(options, checkpoint, loaded);
  TrainingImages images;
  images.set = open_dataset(data.spec, Split::train);
  expect_images_fit(loaded, checkpoint, images.set->info());
  images.indices =
      split_training(data.spec, images.set->info(), data.recipe.validation, data.recipe.loader.seed)
          .train;
  images.recipe = data.recipe;
  LoaderOptions& loader = images.recipe.loader;
  loader.mean = loaded.input.mean;
  loader.std = loaded.input.std;
  loader.device = loaded.model->device();
  loader.transform.exif = data.transform.exif;
  loader.transform.limits = data.transform.limits;
  loader.workers = worker_count(options, loaded.model->device());
  return images;
}

std::vector<ClassSpread> training_spreads(const DataOptions& options, const std::string& checkpoint,
                                          const LoadedModel& loaded,
                                          const std::vector<int64_t>& classes) {
  constexpr size_t kMost = 500;
  const ModelData data(options, checkpoint, loaded);
  const auto set = open_dataset(data.spec, Split::train);
  expect_images_fit(loaded, checkpoint, set->info());
  const ClassMatch match = match_classes(loaded, checkpoint, set->info(), false);
  const std::vector<int64_t> held_out = data.held_out(*set);
  const std::set<int64_t> not_trained(held_out.begin(), held_out.end());
  std::map<int64_t, std::vector<int64_t>> of_class;
  for (const int64_t i : all_images(set->info())) {
    auto& found = of_class[match.model_class(set->label(i))];
    if (found.size() < kMost && !not_trained.contains(i)) found.push_back(i);
  }
  std::vector<ClassSpread> spreads;
  for (const int64_t y : classes) {
    const auto& indices = of_class[y];
    expect(indices.size() >= 2,
           "--around images: {} has {} training images of class {}; expected "
           "at least 2",
           set->info().name, indices.size(), y);
    spreads.push_back(measured_spread(flow_of(loaded, checkpoint),
                                      network_images(*set, loaded.input, indices, data.transform)));
  }
  return spreads;
}

std::vector<int64_t> first_of_class(const TestImages& from, const ClassMatch& match, int64_t y,
                                    int64_t count) {
  std::vector<int64_t> among = from.indices;
  if (among.empty()) among = all_images(from.set->info());
  std::vector<int64_t> indices;
  for (const int64_t i : among) {
    if (static_cast<int64_t>(indices.size()) == count) break;
    if (match.model_class(from.set->label(i)) == y) indices.push_back(i);
  }
  return indices;
}

std::vector<int64_t> spread_over_classes(const Dataset& set, int64_t count,
                                         std::vector<int64_t> among) {
  if (among.empty()) among = all_images(set.info());
  const auto images = static_cast<int64_t>(among.size());
  expect(count <= images, "--reconstruct: {} has {} test images, got {}", set.info().name, images,
         count);
  // Sorted by an image's place within its class, then by class.
  struct Place {
    int64_t round, label, index;
  };
  std::vector<int64_t> seen(static_cast<size_t>(set.info().classes()));
  std::vector<Place> places;
  for (const int64_t i : among) {
    const int32_t y = set.label(i);
    places.push_back({seen[static_cast<size_t>(y)]++, y, i});
  }
  std::ranges::sort(places, {}, [](const Place& p) { return std::pair(p.round, p.label); });
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(places[static_cast<size_t>(i)].index);
  return indices;
}

std::vector<std::string> listed_images(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t first = 0; first <= list.size();) {
    const size_t comma = std::min(list.find(',', first), list.size());
    parts.push_back(list.substr(first, comma - first));
    expect(!parts.back().empty(),
           "--images: expected numbers or names with commas between, got '{}'", list);
    first = comma + 1;
  }
  return parts;
}

int64_t named_image(const Dataset& set, const std::string& text, const std::string& option) {
  const int64_t images = set.info().count;
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end == text.data() + text.size()) {
    expect(error == std::errc() && number >= 0 && number < images,
           "{}: {} has test images 0 to {}, got {}", option, set.info().name, images - 1, text);
    return number;
  }
  const std::string name = std::filesystem::path(text).lexically_normal().string();
  std::vector<int64_t> found;
  std::vector<std::string> names;
  for (int64_t i = 0; i < images; ++i)
    if (const std::string item = set.item_name(i); ends_in(item, name) || ends_in(item, text)) {
      found.push_back(i);
      if (names.size() < kListed) names.push_back(item);
    }
  if (found.size() == 1) return found[0];
  expect(!found.empty(), "{}: {} has no test image '{}'; its first is {}, number 0 of {}", option,
         set.info().name, text, set.item_name(0), images);
  fail(ErrorKind::usage, "{}: '{}' may be any of {} test images ({}{}); name its folder too",
       option, text, found.size(), fmt::join(names, ", "), found.size() > kListed ? ", ..." : "");
}

}  // namespace pal
