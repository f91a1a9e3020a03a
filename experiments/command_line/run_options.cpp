#include "experiments/command_line/run_options.h"

#include "kernels/library/cuda_settings.h"
#include "runtime/allocator.h"
#include "runtime/log.h"

namespace pal {

Option& add_seed_option(OptionTable& table, uint64_t& seed) {
  return table.whole("seed", seed, "Seed of everything random");
}

Option& add_memory_limit(OptionTable& table, int64_t& bytes) {
  return table.bytes("memory-limit", bytes, "Refuse to use more memory than this, such as 2GiB")
      .shown_default("none");
}

Option& add_json_option(OptionTable& table, bool& json) {
  return table.toggle("json", json, "Answer in JSON");
}

Option& add_quiet_option(OptionTable& table, bool& quiet) {
  return table.toggle("quiet", quiet, "Only warnings and results").letter('q');
}

Option& add_progress_option(OptionTable& table, ProgressMode& progress) {
  return table.choice<ProgressMode>("progress", progress,
                                    {{"auto", ProgressMode::automatic},
                                     {"never", ProgressMode::never},
                                     {"always", ProgressMode::always}},
                                    "A progress line: on a terminal alone, or");
}

Option& add_pixel_limit(OptionTable& table, int64_t& pixels) {
  return table.whole("max-pixels", pixels, "Refuse larger pictures")
      .unit("PIXELS")
      .at_least(1)
      .at_most(0x1p40);
}

void add_run_options(OptionTable& table, RunOptions& options) {
  table.group("Run");
  add_compute_options(table, options.compute);
  add_seed_option(table, options.seed);
  add_memory_limit(table, options.memory_limit);
  add_json_option(table, options.json);
  add_quiet_option(table, options.quiet);
}

Device apply_run_options(const RunOptions& options) {
  if (options.quiet) set_log_level(LogLevel::quiet);
  const Device device = apply_compute_options(options.compute);
  Allocator::of(device).set_limit(options.memory_limit);
  return device;
}

void set_precision(const RunOptions& options, ModelConfig& config) {
  const std::string& precision = options.compute.precision;
  if (!precision.empty()) config.compute = precision == "bf16" ? DType::bf16 : DType::f32;
  cuda_math().tf32_gradients = config.compute == DType::bf16;
}

LoadedModel load_for_run(const std::string& checkpoint, const RunOptions& options, Device device) {
  LoadedModel loaded =
      load_model(checkpoint, [&](ModelConfig& config) { set_precision(options, config); });
  loaded.model->to(device);
  return loaded;
}

}  // namespace pal
