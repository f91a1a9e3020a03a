#include <CLI/CLI.hpp>

#include "experiments/command_line/options_file.h"
#include "experiments/command_line/program.h"
#include "experiments/training/recipe_defaults.h"
#include "experiments/training/train_report.h"
#include "experiments/training/training_run.h"
#include "runtime/log.h"

int main(int argc, char** argv) {
  return pal::run_program("pal-train", [&] {
    CLI::App app(
        "Trains a generative classifier: an invertible network with a Gaussian mixture in latent\n"
        "space, by invertible backprop; or a ResNet to compare it with.\n\n"
        "  pal-train --dataset fashion-mnist --beta 4 --epochs 3 -o run\n"
        "  pal-train /data/imagenet -a ibinn-imagenet --beta 4 -o run     train/ and val/ inside\n"
        "  pal-train --config run/config.toml --resume auto               goes on after a stop\n",
        "pal-train");
    pal::TrainOptions options;
    pal::add_train_options(app, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    pal::apply_config_file(app, options.config_file);
    pal::apply_recipe_defaults(app);
    pal::finish_train_options(options);
    pal::set_log_level(options.quiet     ? pal::LogLevel::quiet
                       : options.verbose ? pal::LogLevel::verbose
                                         : pal::LogLevel::normal);
    pal::TrainSetup setup(options);
    if (options.dry_run) {
      pal::print_plan(setup);
      return 0;
    }
    std::string command;
    for (int i = 0; i < argc; ++i) command += (i > 0 ? " " : "") + std::string(argv[i]);
    return pal::run_training(setup, command, pal::effective_config(app));
  });
}
