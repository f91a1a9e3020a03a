#include "experiments/run_options.h"

#include <CLI/CLI.hpp>

#include "kernels/planned.h"
#include "runtime/allocator.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/parallel.h"

namespace pal {

void add_run_options(CLI::App& app, RunOptions& options) {
  const std::string group = "Run";
  app.add_option("--device", options.device, "auto, cpu or cuda[:N]")
      ->group(group)
      ->capture_default_str();
  app.add_option("--threads", options.threads, "threads; default: all processors")->group(group);
  app.add_option("--seed", options.seed, "seed of everything random")
      ->group(group)
      ->capture_default_str();
  app.add_option("--precision", options.precision,
                 "fp32 or bf16 (inside subnets); default: as the checkpoint says")
      ->group(group);
  app.add_option("--memory-limit", options.memory_limit, "refuse to use more, e.g. 2GiB")
      ->group(group)
      ->transform(CLI::AsSizeValue(true));
  app.add_flag("--json", options.json, "answer in JSON")->group(group);
  app.add_flag("-q,--quiet", options.quiet, "only warnings and results")->group(group);
}

void apply_run_options(const RunOptions& options) {
  parse_device(options.device);
  expect(options.threads >= 0, "--threads: expected at least 1, got {}", options.threads);
  expect(options.memory_limit >= 0, "--memory-limit: expected at least 0, got {}",
         options.memory_limit);
  if (options.quiet) set_log_level(LogLevel::quiet);
  if (options.threads > 0) set_thread_count(options.threads);
  Allocator::cpu().set_limit(options.memory_limit);
  const std::string& precision = options.precision;
  if (precision == "tf32")
    fail(ErrorKind::usage, "--precision: tf32 needs a GPU; use fp32 or bf16");
  expect(precision.empty() || precision == "fp32" || precision == "bf16",
         "--precision: expected fp32 or bf16, got '{}'", precision);
  if (precision == "bf16" && !cpu_has_bf16())
    fail(ErrorKind::environment,
         "--precision: bf16 needs AVX-512, which this processor lacks; use fp32");
}

void set_precision(const RunOptions& options, ModelConfig& config) {
  if (!options.precision.empty())
    config.compute = options.precision == "bf16" ? DType::bf16 : DType::f32;
}

std::string dataset_name(const DataOptions& options, const std::string& trained_on) {
  if (!options.dataset.empty()) return options.dataset;
  if (!options.folder.empty()) return options.folder;
  return trained_on.empty() ? "fashion-mnist" : trained_on;
}

ImageSet load_images(const DataOptions& options, const std::string& trained_on, Split split) {
  const std::string name = dataset_name(options, trained_on);
  return load_dataset(name, split, options.dataset.empty() ? std::string() : options.folder);
}

}  // namespace pal
