// Speed and memory of whole training steps.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "bench/steps/preset_with.h"
#include "bench/steps/step_timing.h"
#include "bench/support/bench_options.h"
#include "bench/support/memory_report.h"
#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/program.h"
#include "experiments/planning/model_summary.h"
#include "kernels/library/cuda_settings.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/parallel.h"

namespace {

using pal::bench::StepOptions;
using pal::bench::StepTiming;

struct Options {
  std::vector<std::string> archs = {"ibinn-mnist"};
  std::vector<std::string> fields;
  std::vector<int64_t> batches;
  std::vector<std::string> policies = {"store", "invert"};
  int64_t steps = 0;
  std::string device = "cpu";
  int threads = 0;
  std::vector<std::string> precisions = {"fp32"};
  std::vector<std::string> graphs = {"auto"};
  std::vector<double> gemm_peaks;
  bool autotune = false;
  bool fused_products = false;
  bool profile = false;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("-a,--arch", options.archs, "presets, one after the other")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--set", options.fields, "another field of the configuration, as KEY=VALUE");
  app.add_option("-b,--batch-size", options.batches,
                 "images per step, one size after the other (default: 4 for networks at 224 on the "
                 "CPU, 64 on a GPU, else 128)")
      ->delimiter(',');
  app.add_option("--policy", options.policies,
                 "store, recompute and (flows) tapes, last-tape, invert, each also NAME-lean and "
                 "NAME-narrow; auto, min, max, 512MiB; several are alternated")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--steps", options.steps, "timed steps of each policy (default: 5; GPU: 30)");
  app.add_option("--device", options.device, "cpu or cuda[:N]")->capture_default_str();
  app.add_option("--threads", options.threads, "default: all processors");
  app.add_option("--precision", options.precisions, "of the subnets: fp32, tf32 (GPU), bf16")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}))
      ->capture_default_str();
  app.add_option(
         "--cuda-graph", options.graphs,
         "GPU: steps as a CUDA graph, on or off, or both one after the other (auto: on, but "
         "for a learned mixing)")
      ->delimiter(',')
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--gemm-peak", options.gemm_peaks,
                 "TFLOP/s of a large matrix product, one for each --precision: adds the share of "
                 "it that the model's operations (three forward passes) reach")
      ->delimiter(',');
  app.add_flag("--autotune", options.autotune,
               "GPU: time the algorithms of convolutions and matrix products first");
  app.add_flag("--fused-products", options.fused_products,
               "GPU, bf16: batch norm inside the 1x1 convolution that follows it");
  app.add_flag("--profile", options.profile, "a table of time per kernel for each policy");
  app.add_flag("--json", options.json, "figures as a JSON array on stdout");
}

/// One combination of the lists.
struct Case {
  StepOptions step;
  std::string precision;
  double gemm_peak = 0.0;  ///< FLOP/s; 0: unknown
  /// Multiplications and additions of a step that keeps everything, for one image.
  double image_flops = 0.0;
};

std::vector<int64_t> batches(const Options& options, const std::string& arch, pal::Device device) {
  if (!options.batches.empty()) return options.batches;
  if (arch != "ibinn-imagenet" && arch != "resnet50") return {128};
  return {device.is_cuda() ? 64 : 4};
}

Case make_case(const Options& options, const std::string& arch, size_t precision,
               pal::Device device) {
  Case c;
  c.precision = options.precisions[precision];
  if (!options.gemm_peaks.empty()) c.gemm_peak = 1e12 * options.gemm_peaks[precision];
  c.step.model = pal::bench::preset_with(arch, options.fields, "--set");
  c.step.model.compute = c.precision == "bf16" ? pal::DType::bf16 : pal::DType::f32;
  pal::validate(c.step.model);
  c.image_flops = 6.0 * static_cast<double>(pal::summarize_model(c.step.model).multiply_adds);
  c.step.device = device;
  for (const std::string& policy : options.policies)
    if (pal::bench::is_possible(policy, c.step.model.family)) c.step.policies.push_back(policy);
  c.step.steps = options.steps != 0 ? options.steps : device.is_cuda() ? 30 : 5;
  c.step.profile = options.profile;
  return c;
}

nlohmann::ordered_json json_row(const Case& c, const StepTiming& t) {
  const double images_per_s = static_cast<double>(c.step.batch) / t.median();
  nlohmann::ordered_json row = {{"arch", c.step.model.arch},
                                {"batch", c.step.batch},
                                {"policy", t.policy},
                                {"precision", c.precision},
                                {"device", c.step.device.is_cuda() ? "cuda" : "cpu"},
                                {"cuda_graph", t.by_graph},
                                {"fused_products", pal::cuda_math().fused_products},
                                {"threads", pal::thread_count()},
                                {"steps", c.step.steps},
                                {"images_per_s", images_per_s},
                                {"ms_per_step_median", 1e3 * t.median()},
                                {"ms_per_step_fastest", 1e3 * t.fastest()},
                                {"gflop_per_image", 1e-9 * c.image_flops},
                                {"tflop_per_s", 1e-12 * c.image_flops * images_per_s}};
  if (c.gemm_peak > 0.0) row["model_flop_utilisation"] = c.image_flops * images_per_s / c.gemm_peak;
  row["finite"] = t.finite;
  row["peak_activation_bytes"] = t.memory.peak_activations;
  row["peak_bytes"] = t.memory.peak_total;
  if (c.step.device.is_cuda()) row["reserved_bytes"] = t.memory.peak_reserved;
  row["bytes_by_tag"] = pal::bench::bytes_by_tag(t.memory);
  return row;
}

void print_row(const Case& c, const StepTiming& t) {
  const double images_per_s = static_cast<double>(c.step.batch) / t.median();
  pal::print_result(fmt::format(
      "{:<15} {} batch {:<4} {:<10}{} {:>9.2f} images/s  {:>9.2f} ms/step median, {:>9.2f} fastest "
      " activations {:>10} of {:>10}{}{}",
      c.step.model.arch, c.precision, c.step.batch, t.policy, t.by_graph ? "graph" : "",
      images_per_s, 1e3 * t.median(), 1e3 * t.fastest(),
      pal::format_bytes(t.memory.peak_activations), pal::format_bytes(t.memory.peak_total),
      c.step.device.is_cuda() ? fmt::format(", {} held", pal::format_bytes(t.memory.peak_reserved))
                              : std::string(),
      c.gemm_peak > 0.0
          ? fmt::format("  {:.1f} % of peak", 100.0 * c.image_flops * images_per_s / c.gemm_peak)
          : std::string()));
  if (!t.kernels.empty()) pal::print_result(t.kernels);
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    const auto& precisions = options.precisions;
    pal::expect(!options.fused_products ||
                    std::find(precisions.begin(), precisions.end(), "bf16") != precisions.end(),
                "--fused-products: needs a GPU and --precision bf16");
    device_ = apply("fp32");
    pal::expect(
        options.gemm_peaks.empty() || options.gemm_peaks.size() == options.precisions.size(),
        "--gemm-peak: expected one value for each of the {} precisions, got {}",
        options.precisions.size(), options.gemm_peaks.size());
    for (const std::string& graph : options.graphs)
      pal::expect(graph != "on" || device_.is_cuda(), "--cuda-graph: on needs --device cuda");
  }

  /// Returns how many cases were skipped.
  int run() {
    for (const std::string& arch : options_.archs)
      for (size_t precision = 0; precision < options_.precisions.size(); ++precision) {
        apply(options_.precisions[precision]);
        Case c = make_case(options_, arch, precision, device_);
        for (const int64_t batch : batches(options_, arch, device_))
          for (const std::string& graph : options_.graphs) {
            c.step.batch = batch;
            const bool possible = !pal::is_learned(c.step.model.mixing);
            pal::expect(possible || graph != "on",
                        "--cuda-graph: a learned mixing is computed on the host in each step; use "
                        "off");
            c.step.graph = device_.is_cuda() && possible && graph != "off";
            measure(c);
          }
      }
    if (options_.json) pal::print_result(rows_.dump(1));
    return skipped_;
  }

 private:
  pal::Device apply(const std::string& precision) const {
    return pal::apply_compute_options(
        {.device = options_.device,
         .threads = options_.threads,
         .precision = precision,
         .autotune = options_.autotune,
         .fused_products = options_.fused_products && precision != "fp32"});
  }

  void measure(const Case& c) {
    pal::Allocator::of(device_).trim();
    try {
      for (const StepTiming& timing : pal::bench::time_steps(c.step)) {
        rows_.push_back(json_row(c, timing));
        if (!options_.json) print_row(c, timing);
        if (!timing.finite)
          pal::log_warning("{} {} batch {} {}: a gradient was not finite", c.step.model.arch,
                           c.precision, c.step.batch, timing.policy);
      }
    } catch (const pal::Error& error) {
      // The memory does not suffice: the other cases may do with less.
      if (error.kind() != pal::ErrorKind::environment) throw;
      ++skipped_;
      pal::log_warning("SKIPPED: {} {} batch {}: {}", c.step.model.arch, c.precision, c.step.batch,
                       error.what());
    }
  }

  const Options& options_;
  pal::Device device_;
  nlohmann::ordered_json rows_ = nlohmann::ordered_json::array();
  int skipped_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program("bench_train_step", [&] {
    CLI::App app(
        "Times whole training steps of presets on random images; exit 4 if memory did not "
        "suffice for a case.",
        "bench_train_step");
    Options options;
    add_options(app, options);
    if (!pal::parse_bench_options(app, argc, argv)) return 0;
    return Bench(options).run() == 0 ? 0 : 4;
  });
}
