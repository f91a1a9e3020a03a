// Speed and memory of whole training steps.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "bench/memory_report.h"
#include "bench/step_timing.h"
#include "experiments/program.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace {

using pal::ActivationPolicy;
using pal::bench::StepOptions;
using pal::bench::StepTiming;

struct Options {
  std::vector<std::string> archs = {"ibinn-mnist"};
  std::vector<std::string> fields;
  int64_t batch = 0;
  std::vector<std::string> policies = {"store", "invert"};
  int64_t steps = 5;
  int threads = 0;
  std::vector<std::string> precisions = {"fp32"};
  bool profile = false;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("-a,--arch", options.archs, "presets, one after the other")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--set", options.fields, "another field of the configuration, as KEY=VALUE");
  app.add_option("-b,--batch-size", options.batch,
                 "images per step (default: 4 for ibinn-imagenet, else 128)");
  app.add_option("--policy", options.policies, "store, recompute, invert; several are alternated")
      ->delimiter(',')
      ->check(CLI::IsMember({"store", "recompute", "invert"}))
      ->capture_default_str();
  app.add_option("--steps", options.steps, "timed steps of each policy")->capture_default_str();
  app.add_option("--threads", options.threads, "default: all processors");
  app.add_option("--precision", options.precisions, "of the subnets: fp32, bf16 or both")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_flag("--profile", options.profile, "a table of time per kernel for each policy");
  app.add_flag("--json", options.json, "figures as a JSON array on stdout");
}

void set_field(pal::ModelConfig& config, const std::string& field) {
  const size_t equals = field.find('=');
  pal::expect(equals != std::string::npos, "--set: expected KEY=VALUE, got '{}'", field);
  const std::string key = field.substr(0, equals);
  pal::expect(pal::set_field(config, key, field.substr(equals + 1), "--set"),
              "--set: unknown field '{}'; the nearest is '{}'", key,
              pal::nearest_name(key, pal::field_names()));
}

ActivationPolicy policy_of(const std::string& name) {
  if (name == "store") return ActivationPolicy::store;
  return name == "recompute" ? ActivationPolicy::recompute : ActivationPolicy::invert;
}

StepOptions step_options(const Options& options, const std::string& arch,
                         const std::string& precision) {
  StepOptions step;
  step.model = pal::preset(arch);
  for (const std::string& field : options.fields) set_field(step.model, field);
  step.model.compute = precision == "bf16" ? pal::DType::bf16 : pal::DType::f32;
  pal::validate(step.model);
  step.batch = options.batch != 0 ? options.batch : arch == "ibinn-imagenet" ? 4 : 128;
  for (const std::string& name : options.policies) step.policies.push_back(policy_of(name));
  step.steps = options.steps;
  step.profile = options.profile;
  return step;
}

nlohmann::ordered_json json_row(const std::string& precision, const StepOptions& step,
                                const StepTiming& t) {
  return {{"arch", step.model.arch},
          {"batch", step.batch},
          {"policy", pal::name_of(t.policy)},
          {"precision", precision},
          {"threads", pal::thread_count()},
          {"steps", t.seconds.size()},
          {"images_per_s", static_cast<double>(step.batch) / t.median()},
          {"ms_per_step_median", 1e3 * t.median()},
          {"ms_per_step_fastest", 1e3 * t.fastest()},
          {"peak_activation_bytes", t.memory.peak_activations},
          {"peak_bytes", t.memory.peak_total},
          {"bytes_by_tag", pal::bench::bytes_by_tag(t.memory)}};
}

void print_row(const std::string& precision, const StepOptions& step, const StepTiming& t) {
  pal::print_result(fmt::format(
      "{:<15} {} batch {:<4} {:<10} {:>9.2f} images/s  {:>9.2f} ms/step median, {:>9.2f} fastest  "
      "activations {:>10} of {:>10}",
      step.model.arch, precision, step.batch, pal::name_of(t.policy),
      static_cast<double>(step.batch) / t.median(), 1e3 * t.median(), 1e3 * t.fastest(),
      pal::format_bytes(t.memory.peak_activations), pal::format_bytes(t.memory.peak_total)));
  if (!t.kernels.empty()) pal::print_result(t.kernels);
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program("bench_train_step", [&] {
    CLI::App app("Times whole training steps of presets on random images.", "bench_train_step");
    Options options;
    add_options(app, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    if (options.threads != 0) pal::set_thread_count(options.threads);
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const std::string& arch : options.archs)
      for (const std::string& precision : options.precisions) {
        const StepOptions step = step_options(options, arch, precision);
        for (const StepTiming& timing : pal::bench::time_steps(step)) {
          rows.push_back(json_row(precision, step, timing));
          if (!options.json) print_row(precision, step, timing);
        }
      }
    if (options.json) pal::print_result(rows.dump(1));
    return 0;
  });
}
