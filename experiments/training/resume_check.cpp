#include "experiments/training/resume_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "experiments/training/train_setup.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// A metadata entry; empty if there is none.
std::string entry_of(const Checkpoint& checkpoint, const char* key) {
  const auto found = checkpoint.metadata.find(key);
  return found == checkpoint.metadata.end() ? std::string() : found->second;
}

/// "NAME was BEFORE, is NOW" for each difference.
class Differences {
 public:
  template <typename T>
  void compare(const std::string& name, const T& before, const T& now) {
    if (before != now)
      list_.push_back(fmt::format("{} was {}, is {}", name, text(before), text(now)));
  }
  void add(const std::string& difference) { list_.push_back(difference); }
  bool empty() const { return list_.empty(); }
  std::string str() const { return fmt::format("{}", fmt::join(list_, "; ")); }

 private:
  static const std::string& text(const std::string& value) { return value; }
  static std::string text(const std::vector<float>& values) {
    return fmt::format("{}", fmt::join(values, ","));
  }
  std::vector<std::string> list_;
};

}  // namespace

void check_resume(const TrainSetup& setup, const Checkpoint& checkpoint, const std::string& path) {
  Differences differences;
  const ModelConfig saved = checkpoint_config(checkpoint, path);
  for (const std::string& name : field_names())
    differences.compare(name, field_text(saved, name), field_text(setup.model->config(), name));
  const InputSpec input = checkpoint_input(checkpoint, path);
  const InputSpec& own_input = setup.data.input();
  differences.compare("mean", input.mean, own_input.mean);
  differences.compare("std", input.std, own_input.std);
  const auto recipe = parse_json(entry_of(checkpoint, "recipe"));
  if (!recipe.is_object())
    fail(ErrorKind::data, "{}: holds no training recipe; use --init-from to start from its weights",
         path);
  const auto own_recipe = parse_ordered_json(recipe_json(setup.options));
  for (const auto& [key, now] : own_recipe.items())
    differences.compare(key, recipe.contains(key) ? json_text(recipe[key]) : std::string("unset"),
                        json_text(now));
  const bool same_data_expected = !setup.options.allow_data_change;
  if (input.class_names != own_input.class_names && same_data_expected)
    differences.add("classes: " + class_difference(input.class_names, own_input.class_names));
  if (!differences.empty())
    fail(ErrorKind::usage, "--resume: {}: other settings than the run's: {}", path,
         differences.str());
  if (entry_of(checkpoint, "data_fingerprint") != setup.data.fingerprint_text() &&
      same_data_expected)
    fail(ErrorKind::usage, "--resume: {}: the data changed since; use --allow-data-change to go on",
         path);
  const std::string threads = entry_of(checkpoint, "threads");
  if (threads != std::to_string(thread_count()))
    log_warning(
        "--resume: the run used {} threads, now {}: sums in weight gradients may round "
        "differently",
        threads, thread_count());
}

}  // namespace pal
