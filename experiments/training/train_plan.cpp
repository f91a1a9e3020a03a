#include "experiments/training/train_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "experiments/command_line/options_file.h"
#include "experiments/command_line/program.h"
#include "experiments/planning/model_summary.h"
#include "experiments/report/run_log.h"
#include "experiments/training/resume_check.h"
#include "experiments/training/run_state.h"
#include "experiments/training/train_report.h"
#include "layers/checkpoint/checkpoint_reader.h"
#include "layers/training/train_step.h"
#include "runtime/byte_count.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// Seconds of a step on the first `count` images of a batch; the second of two, as the first makes
/// plans and fills caches.
double seconds_of(TrainSetup& setup, const Batch& batch, int64_t count) {
  StepInput input;
  input.images = batch.images.slice_batch(0, count);
  input.labels = batch.labels.slice_batch(0, count);
  input.loss.beta = setup.options.beta;
  input.head_only = setup.options.freeze == Freeze::network;
  // Nothing is learned here.
  input.update.learning_rate = input.update.learning_rate_means = 0.0;
  TrainStep step(*setup.model, *setup.optimizer, false);
  double seconds = 0.0;
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    step.run(input);
    step.take();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return seconds;
}

/// Seconds of a training step with its whole batch, the loading of pictures left out; 0: too large
/// a batch to try. Of small batches, of which two tell what a step takes by itself and what each
/// image adds.
double step_seconds(TrainSetup& setup, const ModelSummary& summary) {
  // So many take about a second on a core or two.
  constexpr double kMultiplyAdds = 2e10;
  const double image =
      3.0 * static_cast<double>(summary.multiply_adds + summary.multiply_adds_dense_mixing);
  const auto fitting = static_cast<int64_t>(kMultiplyAdds / std::max(1.0, image));
  const DatasetInfo& info = setup.data.info();
  // A batch is decoded for this.
  if (setup.options.batch_size * info.height * info.width * info.channels > int64_t{1} << 28)
    return 0.0;
  const Batch batch = setup.data.training().batch(0, 0);
  const int64_t all = batch.images.size(0);
  const int64_t many = std::min(all, std::max<int64_t>(4, fitting));
  const int64_t few = std::max<int64_t>(1, many / 2);
  const double most = seconds_of(setup, batch, many);
  if (many == all) return most;
  const double less = seconds_of(setup, batch, few);
  const double per_image = most / static_cast<double>(many);
  // Whatever noise there is, an image costs something and a step does not cost less than nothing.
  const double slope =
      std::clamp((most - less) / static_cast<double>(many - few), 0.2 * per_image, per_image);
  return most + slope * static_cast<double>(all - many);
}

/// The numbers of a plan.
struct Plan {
  ModelSummary summary;
  int64_t state_bytes = 0;  ///< parameters, gradients and optimizer
  int64_t steps = 0;        ///< of the run
  int64_t done = 0;         ///< of those, before a resume
  double step_seconds = 0.0;
  double images_per_s = 0.0;
  double seconds = 0.0;  ///< of the steps that are left
};

/// Steps of the run that would go on, which must fit as if it did; 0 for a new one.
int64_t steps_done(const TrainSetup& setup) {
  std::string path = setup.options.resume;
  if (path == "auto") path = find_resume(setup.options.output).value_or("");
  if (path.empty()) return 0;
  const Checkpoint checkpoint = load_header(path);
  check_resume(setup, checkpoint, path);
  return checkpoint_progress(checkpoint).step;
}

Plan plan_of(TrainSetup& setup) {
  Plan plan;
  plan.summary = summarize_model(setup.model->config());
  plan.state_bytes = setup.state_bytes();
  plan.steps = RunState().last_step(setup);
  plan.done = steps_done(setup);
  plan.step_seconds = step_seconds(setup, plan.summary);
  if (plan.step_seconds > 0.0)
    plan.images_per_s = static_cast<double>(setup.options.batch_size * setup.options.share.parts) /
                        plan.step_seconds;
  plan.seconds =
      plan.step_seconds * static_cast<double>(std::max<int64_t>(0, plan.steps - plan.done));
  return plan;
}

std::string plan_json(const TrainSetup& setup, const Plan& plan, const OptionTable& table) {
  const DatasetInfo& images = setup.data.info();
  nlohmann::ordered_json json = {
      {"architecture", setup.model->config().arch},
      {"configuration", parse_ordered_json(to_json(setup.model->config()))},
      {"parameters_network", plan.summary.parameters_network},
      {"parameters_total", plan.summary.parameters_total},
      {"state_bytes", plan.state_bytes},
      {"weight_copy_bytes", setup.plan.copy_bytes},
      {"activation_bytes", setup.plan.peak_bytes},
      {"activation_plan", setup.plan.summary()},
      {"dataset", images.name},
      {"classes", images.class_names},
      {"training_images", setup.data.training_images()},
      {"validation_images", setup.data.validation_images().size()},
      {"images_dropped_per_epoch", setup.data.dropped_per_epoch()},
      {"steps_per_epoch", setup.steps_per_epoch()},
      {"steps", plan.steps},
      {"steps_done", plan.done},
      {"images_per_s_estimate", plan.images_per_s},
      {"seconds_estimate", plan.seconds},
      {"options", parse_ordered_json(options_json(table, setup.flow != nullptr))}};
  return json_text(json, -1, BadUtf8::replaced);
}

/// "lr 0.01, epochs 40, ...": what checkpoints record of the options and that has an effect.
std::string recipe_text(const TrainSetup& setup, const OptionTable& table) {
  std::string text;
  for (const Option& option : table.options())
    if (option.is_recorded() && OptionTable::has_effect(option, setup.flow != nullptr))
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", option.name(), option.text());
  return text;
}

}  // namespace

void print_plan(TrainSetup& setup, const OptionTable& table) {
  warn_of_lengths(setup, RunState());
  const Plan plan = plan_of(setup);
  if (setup.options.json) {
    print_result(plan_json(setup, plan, table));
    return;
  }
  const DatasetInfo& images = setup.data.info();
  print_result(fmt::format(
      "model {} at {}x{}x{}, {} classes: {} blocks, {} network parameters, {} in all",
      setup.model->config().arch, images.height, images.width, images.channels, images.classes(),
      plan.summary.blocks.size(), plan.summary.parameters_network, plan.summary.parameters_total));
  size_t next = 0;
  for (const BlockSummary& block : plan.summary.blocks)
    print_result(fmt::format("  {:<12} {:<22} {:>20} -> {:<20} {}", block.name, block.kind,
                             block.input.str(), block.output.str(),
                             block.has_policy ? name_of(setup.plan.policies[next++]) : ""));
  print_result(
      fmt::format("parameters, gradients and optimizer: {}; the library's copies of weights: {}; "
                  "activations: about {} ({})",
                  format_bytes(plan.state_bytes), format_bytes(setup.plan.copy_bytes),
                  format_bytes(setup.plan.peak_bytes), setup.plan.summary()));
  print_result("recipe: " + recipe_text(setup, table));
  print_result(fmt::format("{}; {} validation images; {} steps per epoch, {} steps{}",
                           setup.data.epoch_line(), setup.data.validation_images().size(),
                           setup.steps_per_epoch(), plan.steps,
                           plan.done > 0 ? fmt::format(", {} of them done", plan.done) : ""));
  if (plan.seconds > 0.0)
    print_result(fmt::format(
        "about {} for the steps, at {:.{}f} images/s (a rough estimate, from small batches)",
        format_duration(plan.seconds), plan.images_per_s, plan.images_per_s < 10.0 ? 1 : 0));
}

}  // namespace pal
