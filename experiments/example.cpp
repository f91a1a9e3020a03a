// A flow from its first line to a picture: ten training steps on generated images, what they are worth,
// and samples of each class in samples.png.
#include <fmt/core.h>

#include "data/pictures/picture_sheet.h"
#include "data/sets/synthetic.h"
#include "experiments/command_line/program.h"
#include "experiments/measures/evaluation.h"
#include "experiments/measures/sampling.h"
#include "layers/models/ib_inn.h"
#include "layers/training/train_step.h"

namespace {

int run() {
  using namespace pal;
  const auto training = memory_dataset(synthetic_set({.count = 1280, .seed = 1}));
  const auto test = memory_dataset(synthetic_set({.count = 500, .seed = 2}));
  const InputSpec input{{0.5F}, {0.5F}, training->info().class_names};
  LoaderOptions loader;
  loader.mean = input.mean;
  loader.std = input.std;
  const auto batches = training->batches(loader);

  IbInn flow(preset("ibinn-mnist"), 1);
  flow.set_policy(ActivationPolicy::invert);
  flow.fit_act_norms(batches->batch(0, 0).images);
  Optimizer optimizer(flow.parameters());
  TrainStep step(flow, optimizer, false);
  StepInput next;
  next.update.learning_rate = next.update.learning_rate_means = 0.003;
  for (int64_t i = 0; i < batches->steps(); ++i) {
    const Batch batch = batches->batch(0, i);
    next.images = batch.images;
    next.labels = batch.labels;
    step.run(next);
    fmt::print("step {}: loss {:.4f}\n", i + 1, step.take().loss);
  }

  const EvaluationSummary found = evaluate_model(flow, input, *test, {}).summary;
  fmt::print("accuracy {:.1f} %, {:.3f} bits per dimension\n", 100.0 * found.acc1,
             found.bits_per_dim);
  PictureSheet sheet;
  for (int64_t y = 0; y < flow.config().classes; ++y) {
    const Tensor z = class_latents(model_spread(flow, y), y, 0, 8, 0.7, 1);
    sheet.rows.push_back(
        {training->info().class_names[y], {}, to_pictures(decode(flow, z), input)});
  }
  write_png("samples.png", sheet_image(sheet));
  return 0;
}

}  // namespace

int main() { return pal::run_program("example", run); }
