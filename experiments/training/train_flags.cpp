// The command line of pal-train.
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "experiments/command_line/options_file.h"
#include "experiments/training/train_options.h"

namespace pal {
namespace {

void add_image_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Data";
  app.add_option("DIR", o.data.folder,
                 "Folder with train/CLASS/*.JPEG and val/, tar shards or IDX files")
      ->group(group);
  add_data_options(app, o.data, group);
  app.add_flag("--synthetic", o.synthetic,
               "Generated pictures of the model's size and --classes: measures steps without data")
      ->group(group);
  app.add_option("--classes", o.classes, "Classes of --synthetic; default: the architecture's")
      ->group(group);
  app.add_option("--image-size", o.image_size,
                 "Side that pictures are cropped to; default: the architecture's")
      ->group(group);
  app.add_option("-b,--batch-size", o.batch_size, "Images per step")
      ->group(group)
      ->capture_default_str();
  app.add_option("--flip", o.flip, "Mirror half of the images")
      ->group(group)
      ->capture_default_str();
  app.add_option("--shift", o.shift, "Move images by up to so many pixels")
      ->group(group)
      ->capture_default_str();
  app.add_option("--crop-scale", o.crop_scale,
                 "Random crops of pictures: share of the area, smallest and largest")
      ->group(group)
      ->delimiter(',')
      ->expected(2)
      ->default_str("0.08,1");
  app.add_option("--crop-ratio", o.crop_ratio,
                 "Random crops of pictures: width over height, smallest and largest")
      ->group(group)
      ->delimiter(',')
      ->expected(2)
      ->default_str("0.75,1.3333333333333333");
  app.add_option("--fast-decode", o.fast_decode,
                 "Let the JPEG decoder scale down: faster, but other values, so not for densities")
      ->group(group)
      ->capture_default_str();
  app.add_option("--noise", o.noise, "Add uniform noise of one grey level (dequantisation)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--clamp-noise", o.clamp, "Clamp to 1 after the noise, as the published code does")
      ->group(group)
      ->capture_default_str();
  app.add_option(
         "--validation", o.validation,
         "Training images held out to choose checkpoints: a count, a fraction below 1, or 0: the "
         "set's own val part, or else 5,000 (10 % of small sets)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--mean", o.mean,
                 "Mean of each colour, in [0, 1]; default 0.2860 (grey) or ImageNet's")
      ->group(group)
      ->delimiter(',');
  app.add_option("--std", o.std, "Deviation of each colour; default 0.3530 (grey) or ImageNet's")
      ->group(group)
      ->delimiter(',');
  app.add_flag("--allow-data-change", o.allow_data_change, "Resume although the data differ")
      ->group(group);
}

void add_model_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Model";
  app.add_option("-a,--arch", o.arch,
                 fmt::format("{}; each with its recipe: config.toml in the run folder shows it",
                             fmt::join(preset_names(), ", ")))
      ->group(group)
      ->capture_default_str();
  app.add_option("--flavour", o.flavour, "reference (published code) or paper (the text)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--dct-log-det", o.dct_log_det,
                 "true, or reported: the value in the published losses")
      ->group(group)
      ->capture_default_str();
  for (const std::string& name : field_names()) {
    if (name == "arch" || name == "image-size" || name == "channels" || name == "classes" ||
        name == "compute" || name == "dct-reported" || name == "family")
      continue;
    app.add_option_function<std::string>(
           "--" + name,
           [&o, name](const std::string& value) { o.fields.emplace_back(name, value); },
           "Model field; the preset's value by default")
        ->group(group)
        ->type_name("VALUE");
  }
}

void add_recipe_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Recipe";
  app.add_option("--beta", o.beta_text,
                 "Weight of the classes: L = (L_X + beta L_Y) / (1 + beta); 0 .. inf")
      ->group(group)
      ->capture_default_str();
  app.add_option("--epochs", o.epochs, "Length of the run and of its schedule")
      ->group(group)
      ->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "Stop after this step (the schedule stays)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--max-time", o.max_time, "Stop after so many seconds, with a checkpoint")
      ->group(group)
      ->capture_default_str();
  app.add_option("--lr", o.sgd.learning_rate, "Learning rate")->group(group)->capture_default_str();
  app.add_option("--lr-mu", o.lr_means, "Learning rate of the class means; default: --lr")
      ->group(group);
  app.add_option("--momentum", o.sgd.momentum, "Momentum")->group(group)->capture_default_str();
  app.add_option("--wd", o.sgd.weight_decay, "Weight decay of the network")
      ->group(group)
      ->capture_default_str();
  app.add_option("--clip-grad", o.sgd.clip_norm, "Largest gradient norm of the network; 0: none")
      ->group(group)
      ->capture_default_str();
  app.add_option("--sched", o.schedule_text,
                 "constant, step (/10 at --milestones), cosine, one-cycle (falls to 0 from "
                 "--decay-from on) or plateau (/10 twice, then stop)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--milestones", o.schedule.milestones,
                 "Fractions of the run at which step divides")
      ->group(group)
      ->delimiter(',');
  app.add_option("--decay-from", o.schedule.decay_from,
                 "Fraction of the run from which one-cycle falls")
      ->group(group)
      ->capture_default_str();
  app.add_option("--warmup-steps", o.schedule.warmup_steps, "Linear warm-up")
      ->group(group)
      ->capture_default_str();
  app.add_option("--patience", o.schedule.patience,
                 "Validations without improvement before plateau divides")
      ->group(group)
      ->capture_default_str();
  app.add_option("--smoothing", o.smoothing, "Label smoothing")
      ->group(group)
      ->capture_default_str();
  app.add_option("--burn-in", o.burn_in, "First steps, with the loss times 0.05")
      ->group(group)
      ->capture_default_str();
  app.add_option("--data-init", o.data_init,
                 "Start with act norms fitted to a batch: centred channels of unit variance")
      ->group(group)
      ->capture_default_str();
  app.add_option("--finetune-mu", o.finetune_epochs,
                 "Epochs for the class means alone at the end: the network stays as it is")
      ->group(group)
      ->capture_default_str();
  app.add_option("--recalibrate-bn", o.recalibrate,
                 "Batches to average batch-norm statistics over at the end; 0: none")
      ->group(group)
      ->capture_default_str();
}

void add_memory_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Memory and numerics";
  app.add_option(
         "--activation-memory", o.activation_memory,
         "auto: the fastest plan within 1.5 times the activations of rebuilding every block (flows "
         "by inversion, a ResNet block by block); min: the least; max: store everything; or a "
         "limit such as 512MiB")
      ->group(group)
      ->capture_default_str();
  app.add_option("--stream-anchors", o.stream_anchors,
                 "Blocks whose input is kept: auto (fp32 none, bf16 every 4), none, or every K-th")
      ->group(group)
      ->capture_default_str();
  app.add_option("--inversion-check-every", o.inversion_check_every,
                 "Steps between checks of one random block's inversion; 0: never")
      ->group(group)
      ->capture_default_str();
  app.add_option("--on-inversion-error", o.on_inversion_error, "stop (exit 5) or warn beyond 1e-1")
      ->group(group)
      ->capture_default_str();
  app.add_option("--memory-limit", o.memory_limit, "Refuse to use more, e.g. 2GiB")->group(group);
  app.add_flag("--memory-report", o.memory_report, "Print the peak memory by tag at the end")
      ->group(group);
}

void add_run_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Run";
  app.add_option("-o,--output", o.output, "Run folder")->group(group)->capture_default_str();
  app.add_option("--resume", o.resume, "auto (newest whole checkpoint of the folder) or a file")
      ->group(group);
  app.add_option("--init-from", o.init_from, "Start from the weights of a checkpoint")
      ->group(group);
  app.add_option("--checkpoint-every", o.checkpoint_every,
                 "Steps between checkpoints; 0: each epoch")
      ->group(group)
      ->capture_default_str();
  app.add_option("--keep-checkpoints", o.keep_checkpoints, "Step checkpoints to keep")
      ->group(group)
      ->capture_default_str();
  app.add_option("--validate-every", o.validate_every,
                 "Epochs between validations; 0: at the end only")
      ->group(group)
      ->capture_default_str();
  app.add_option("--check-every", o.check_every,
                 "Steps between checks on --check-images of the validation images; 0: none")
      ->group(group)
      ->capture_default_str();
  app.add_option("--check-images", o.check_images, "Images of such a check")
      ->group(group)
      ->capture_default_str();
  app.add_flag("--dry-run", o.dry_run, "Print the plan (shapes, parameters, memory) and stop")
      ->group(group);
  app.add_flag("--profile", o.profile, "Print time, bytes and rates by kernel at the end")
      ->group(group);
  app.add_option("--trace", o.trace, "Write a chrome://tracing file")
      ->group(group)
      ->type_name("FILE");
  add_compute_options(app, o.compute, group);
  app.add_option("--cuda-graph", o.cuda_graph,
                 "GPU: launch whole steps as a CUDA graph; auto (where possible), on or off")
      ->group(group)
      ->capture_default_str();
  app.add_option("--seed", o.seed, "Seed of everything random")
      ->group(group)
      ->capture_default_str();
  app.add_flag("--json", o.json, "Print the summary as JSON")->group(group);
  app.add_flag("-q,--quiet", o.quiet, "Only warnings and results")->group(group);
  app.add_flag("-v,--verbose", o.verbose, "More lines")->group(group);
  app.add_option("--progress", o.progress, "auto, never or always")
      ->group(group)
      ->capture_default_str();
}

}  // namespace

void add_train_options(CLI::App& app, TrainOptions& options) {
  add_image_options(app, options);
  add_model_options(app, options);
  add_recipe_options(app, options);
  add_memory_options(app, options);
  add_run_options(app, options);
  add_config_option(app, options.config_file);
}

}  // namespace pal
