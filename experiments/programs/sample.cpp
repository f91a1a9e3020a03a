#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "experiments/command_line/program.h"
#include "experiments/sampling/sample_sheets.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-sample";

int run(const SampleOptions& options) {
  const Device device = apply_run_options(options.run);
  const LoadedModel loaded = load_model(
      options.checkpoint, [&](ModelConfig& config) { set_precision(options.run, config); });
  loaded.model->to(device);
  const SampleSheet made = make_sample_sheet(options, loaded);
  write_png(options.output, sheet_image(made.sheet));
  if (options.run.json) {
    print_result(json_text(made.json, -1, BadUtf8::replaced));
    return 0;
  }
  for (const std::string& line : made.lines) print_result(line);
  print_result(fmt::format("{} pictures in {}", made.pictures, options.output));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app(
        "Images from a trained model: samples of its classes, reconstructions, "
        "interpolations.",
        kName);
    SampleOptions options;
    add_sample_options(app, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    finish_sample_options(options);
    return run(options);
  });
}
