#include "experiments/training/resume_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "experiments/recipe/training_recipe.h"
#include "experiments/training/train_setup.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

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

ResumeChanges check_resume(const TrainSetup& setup, const Checkpoint& checkpoint,
                           const std::string& path) {
  Differences kept;
  Differences changed;
  const ModelConfig saved = checkpoint_config(checkpoint, path);
  for (const std::string& name : field_names())
    kept.compare(name, field_text(saved, name), field_text(setup.model->config(), name));
  const InputSpec input = checkpoint_input(checkpoint, path);
  const InputSpec& own_input = setup.data.input();
  kept.compare("mean", input.mean, own_input.mean);
  kept.compare("std", input.std, own_input.std);
  const std::string recipe = checkpoint.entry("recipe");
  if (recipe.empty())
    fail(ErrorKind::data, "{}: holds no training recipe; use --init-from to start from its weights",
         path);
  const auto before = recorded_options(recipe, path);
  const auto now = recorded_options(setup.recipe, path);
  kept.compare("dataset", before->options.data.dataset, now->options.data.dataset);
  for (const Option& option : now->table.options()) {
    if (!option.is_recorded()) continue;
    Differences& rule = option.on_resume() == OnResume::keeps ? kept : changed;
    // What an older version did not record cannot be compared.
    const bool known = before->table.at(option.name()).origin() != Origin::standard;
    if (known && option.on_resume() != OnResume::free)
      rule.compare(option.name(), before->table.at(option.name()).text(), option.text());
  }
  // An older version knew one rank, whose batch was the global one.
  if (before->table.at("global-batch").origin() == Origin::standard)
    kept.compare("batch-size", before->table.at("batch-size").text(),
                 now->table.at("global-batch").text());
  const bool same_data_expected = !setup.options.allow_data_change;
  if (input.class_names != own_input.class_names && same_data_expected)
    kept.add("classes: " + class_difference(input.class_names, own_input.class_names));
  if (!kept.empty())
    fail(ErrorKind::usage,
         "--resume: {}: a run keeps these settings: {}; leave them out, or start a new run from "
         "its weights with --init-from {} -o OTHER",
         path, kept.str(), path);
  // Other images may choose the checkpoints; those of the training part are the run's.
  const bool same_split = before->options.validation == now->options.validation;
  const std::string trained = checkpoint.entry("train_fingerprint");
  const bool changed_data =
      same_split ? checkpoint.entry("data_fingerprint") != setup.data.fingerprint_text()
                 : !trained.empty() && trained != setup.data.train_fingerprint_text();
  if (changed_data && same_data_expected)
    fail(ErrorKind::usage, "--resume: {}: the data changed since; use --allow-data-change to go on",
         path);
  if (!changed.empty())
    log_warning("--resume: {}: the numbers from here on are not those of a run without a stop",
                changed.str());
  const std::string threads = checkpoint.entry("threads");
  if (threads != std::to_string(thread_count()))
    log_warning(
        "--resume: the run used {} threads, now {}: sums in weight gradients may round "
        "differently",
        threads, thread_count());
  ResumeChanges changes;
  changes.validation = before->options.validation != now->options.validation;
  if (changes.validation)
    log_warning(
        "--resume: other images choose the checkpoints from here on; some of them may have "
        "trained");
  return changes;
}

}  // namespace pal
