#include "experiments/training_recipe.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/error.h"

namespace pal {

TrainingRecipe training_recipe(const Checkpoint& checkpoint, const std::string& path) {
  TrainingRecipe recipe;
  const auto entry = checkpoint.metadata.find("recipe");
  if (entry == checkpoint.metadata.end()) return recipe;
  const auto json = nlohmann::json::parse(entry->second, nullptr, false);
  if (!json.is_object())
    fail(ErrorKind::data, "{}: the metadata entry recipe is no JSON object", path);
  try {
    recipe.dataset = json.value("dataset", recipe.dataset);
    recipe.smoothing = json.value("smoothing", recipe.smoothing);
    recipe.validation = json.value("validation", recipe.validation);
    recipe.batch_size = json.value("batch-size", recipe.batch_size);
    recipe.shift = json.value("shift", recipe.shift);
    recipe.flip = json.value("flip", recipe.flip);
    recipe.noise = json.value("noise", recipe.noise);
    recipe.clamp = json.value("clamp-noise", recipe.clamp);
    recipe.crop_scale = json.value("crop-scale", recipe.crop_scale);
    recipe.crop_ratio = json.value("crop-ratio", recipe.crop_ratio);
    recipe.fast_decode = json.value("fast-decode", recipe.fast_decode);
    recipe.exif = json.value("exif", recipe.exif);
    recipe.resize = json.value("resize", recipe.resize);
    recipe.seed = json.value("seed", recipe.seed);
    const std::string beta = json.value("beta", std::string("1"));
    if (recipe.crop_scale.size() != 2 || recipe.crop_ratio.size() != 2)
      fail(ErrorKind::data, "crop-scale, crop-ratio: expected two numbers each");
    recipe.beta = beta == "inf" ? std::numeric_limits<double>::infinity() : std::stod(beta);
  } catch (const std::exception&) {
    fail(ErrorKind::data, "{}: the metadata entry recipe has a value of the wrong kind", path);
  }
  return recipe;
}

}  // namespace pal
