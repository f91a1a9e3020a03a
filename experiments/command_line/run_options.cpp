#include "experiments/command_line/run_options.h"

#include <CLI/CLI.hpp>

#include "runtime/allocator.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {

void add_run_options(CLI::App& app, RunOptions& options) {
  const std::string group = "Run";
  add_compute_options(app, options.compute, group);
  app.add_option("--seed", options.seed, "seed of everything random")
      ->group(group)
      ->capture_default_str();
  app.add_option("--memory-limit", options.memory_limit, "refuse to use more, e.g. 2GiB")
      ->group(group)
      ->transform(CLI::AsSizeValue(true));
  app.add_flag("--json", options.json, "answer in JSON")->group(group);
  app.add_flag("-q,--quiet", options.quiet, "only warnings and results")->group(group);
}

Device apply_run_options(const RunOptions& options) {
  expect(options.memory_limit >= 0, "--memory-limit: expected at least 0, got {}",
         options.memory_limit);
  if (options.quiet) set_log_level(LogLevel::quiet);
  const Device device = apply_compute_options(options.compute);
  Allocator::of(device).set_limit(options.memory_limit);
  return device;
}

void set_precision(const RunOptions& options, ModelConfig& config) {
  const std::string& precision = options.compute.precision;
  if (!precision.empty()) config.compute = precision == "bf16" ? DType::bf16 : DType::f32;
}

}  // namespace pal
