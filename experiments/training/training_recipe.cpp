#include "experiments/training/training_recipe.h"

#include <limits>
#include <stdexcept>
#include <vector>

#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// Two numbers, the smallest and the largest.
void read_range(const nlohmann::json& json, const char* key, double& least, double& most) {
  const auto range = json.value(key, std::vector<double>{least, most});
  if (range.size() != 2) throw std::invalid_argument(key);
  least = range[0];
  most = range[1];
}

/// What `recipe_json` writes of the loader's options. Throws for values of the wrong kind.
void read_loader(const nlohmann::json& json, LoaderOptions& loader) {
  TransformSpec& transform = loader.transform;
  loader.batch_size = json.value("batch-size", loader.batch_size);
  loader.shift = json.value("shift", loader.shift);
  loader.flip = json.value("flip", loader.flip);
  loader.noise = json.value("noise", loader.noise);
  loader.clamp = json.value("clamp-noise", loader.clamp);
  loader.seed = json.value("seed", loader.seed);
  transform.crop = CropKind::random_resized;
  read_range(json, "crop-scale", transform.scale_min, transform.scale_max);
  read_range(json, "crop-ratio", transform.ratio_min, transform.ratio_max);
  transform.fast_decode = json.value("fast-decode", transform.fast_decode);
  transform.exif = json.value("exif", transform.exif);
  transform.resize = json.value("resize", transform.resize);
}

}  // namespace

TrainingRecipe training_recipe(const Checkpoint& checkpoint, const std::string& path) {
  TrainingRecipe recipe;
  const auto entry = checkpoint.metadata.find("recipe");
  if (entry == checkpoint.metadata.end()) return recipe;
  const auto json = parse_json(entry->second);
  if (!json.is_object())
    fail(ErrorKind::data, "{}: the metadata entry recipe is no JSON object", path);
  try {
    recipe.dataset = json.value("dataset", recipe.dataset);
    recipe.smoothing = json.value("smoothing", recipe.smoothing);
    recipe.validation = json.value("validation", recipe.validation);
    read_loader(json, recipe.loader);
    const std::string beta = json.value("beta", std::string("1"));
    recipe.beta = beta == "inf" ? std::numeric_limits<double>::infinity() : std::stod(beta);
  } catch (const std::exception&) {
    fail(ErrorKind::data, "{}: the metadata entry recipe has a value of the wrong kind", path);
  }
  return recipe;
}

}  // namespace pal
