#include "experiments/recipe/training_recipe.h"

#include "data/sources/class_names.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// A JSON value as one would type it after the flag.
std::string text_of(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return json_text(value);
  std::string text;
  for (const auto& entry : value) text += (text.empty() ? "" : ",") + text_of(entry);
  return text;
}

}  // namespace

std::string recipe_json(const OptionTable& table, const TrainOptions& options) {
  nlohmann::ordered_json recipe = {{"dataset", recorded_dataset(options)}};
  for (const Option& option : table.options())
    if (option.is_recorded() && !option.text().empty())
      recipe[option.name()] = parse_ordered_json(option.literal());
  return json_text(recipe);
}

nlohmann::json shared_options(const OptionTable& table) {
  nlohmann::json shared = nlohmann::json::object();
  for (const Option& option : table.options()) {
    const std::string& name = option.name();
    const bool of_machine = name == "device" || name == "threads" || name == "workers";
    if (option.on_resume() != OnResume::process && !option.is_path() && !of_machine)
      shared[name] = option.text();
  }
  for (const char* const name : {"output", "max-steps"}) shared[name] = table.find(name)->text();
  return shared;
}

std::unique_ptr<RecordedOptions> recorded_options(const std::string& json,
                                                  const std::string& path) {
  auto recorded = std::make_unique<RecordedOptions>();
  add_train_options(recorded->table, recorded->options);
  const auto recipe = parse_ordered_json(json);
  if (!recipe.is_object())
    fail(ErrorKind::data, "{}: the metadata entry recipe is no JSON object", path);
  for (const auto& [key, value] : recipe.items()) {
    if (key == "dataset" && value.is_string()) {
      recorded->options.data.dataset = value.get<std::string>();
      continue;
    }
    Option* const option = recorded->table.find(key);
    if (option == nullptr || !option->is_recorded()) continue;
    try {
      option->set(text_of(value), Origin::run, key);
    } catch (const Error& error) {
      fail(ErrorKind::data, "{}: the metadata entry recipe: {}", path, error.what());
    }
  }
  return recorded;
}

TrainingRecipe training_recipe(const Checkpoint& checkpoint, const std::string& path) {
  TrainingRecipe recipe;
  const auto entry = checkpoint.metadata.find("recipe");
  if (entry == checkpoint.metadata.end()) return recipe;
  const auto recorded = recorded_options(entry->second, path);
  const TrainOptions& options = recorded->options;
  recipe.recorded = true;
  recipe.dataset = options.data.dataset;
  recipe.left_out = listed_names(options.exclude_classes, "--exclude-classes");
  recipe.beta = options.beta;
  recipe.smoothing = options.smoothing;
  recipe.validation = options.validation;
  recipe.loader = loader_options(options);
  recipe.optimizer = optimizer_spec(options);
  recipe.update = update_options(options);
  return recipe;
}

std::vector<int64_t> held_out_images(const DatasetSpec& spec, const DatasetInfo& info,
                                     const TrainingRecipe& recipe, const std::string& fingerprint) {
  if (fingerprint != fmt::format("{:016x}", info.fingerprint)) return {};
  return split_training(spec, info, recipe.validation, recipe.loader.seed).validation;
}

TransformSpec evaluation_transform(const DataOptions& options, const TrainingRecipe& recipe) {
  TransformSpec transform = evaluation_transform(options);
  if (transform.resize == 0) transform.resize = recipe.loader.transform.resize;
  transform.exif = transform.exif || recipe.loader.transform.exif;
  return transform;
}

}  // namespace pal
