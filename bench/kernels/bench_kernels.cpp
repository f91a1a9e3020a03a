// Every kernel family beside what the same machine can do: of_best compares with the library's own
// choice of layouts and of_copy with a copy of as many bytes, both at the same time; of_triad,
// of_peak and of_roof with bandwidths and rates that were measured at the beginning of the run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/kernels/kernel_case.h"
#include "bench/kernels/kernel_report.h"
#include "bench/support/bench_options.h"
#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/program.h"
#include "kernels/library/platform.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/parallel.h"

namespace {

struct Options {
  std::string device = "cpu";
  int64_t elements = pal::bench::Target().elements;
  int threads = 0;
  bool describe = false;
  bool all = false;
  bool serve = false;
  bool list = false;
  std::string summary;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--device", options.device, "cpu or cuda[:N]")->capture_default_str();
  app.add_option("--elements", options.elements,
                 "GPU: values of a streaming case's main tensor; the default is 256 MiB of f32")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "default: all processors");
  app.add_flag("--describe", options.describe, "the device as a JSON object on stdout, no bench");
  app.add_flag("--all", options.all, "CPU: all sizes and types, about three times as long");
  app.add_option("--summary", options.summary, "results as JSON, a case a line");
  app.add_flag("--list", options.list, "names of the cases, no bench");
  app.add_flag("--serve", options.serve,
               "read names of cases from stdin; answer each with a JSON line on stdout");
  app.footer(
      "Options of Google Benchmark: --benchmark_filter=REGEX, --benchmark_list_tests,\n"
      "--benchmark_out=FILE --benchmark_out_format=json, ...");
}

std::string with_one_digit(double value) { return fmt::format("{:.1f}", value); }

/// What the shares of the cases are of; on the CPU also what one thread reaches.
nlohmann::ordered_json roof_facts() {
  nlohmann::ordered_json facts;
  const pal::MeasuredRoofs& roofs = pal::bench::roofs();
  const auto add = [&](const std::string& prefix, const pal::MeasuredRoofs& measured) {
    for (const auto& level : measured.levels) {
      facts[fmt::format("{}{} copy GB/s", prefix, level.name)] = with_one_digit(level.copy);
      facts[fmt::format("{}{} triad GB/s", prefix, level.name)] = with_one_digit(level.triad);
      facts[fmt::format("{}{} MiB", prefix, level.name)] =
          with_one_digit(static_cast<double>(level.bytes) / 1048576.0);
    }
    if (measured.gpu) return;
    facts[prefix + "f32 GFLOP/s"] = with_one_digit(measured.f32);
    if (measured.bf16 > 0.0) facts[prefix + "bf16 GFLOP/s"] = with_one_digit(measured.bf16);
  };
  add("roof ", roofs);
  const int threads = pal::thread_count();
  if (roofs.gpu || threads == 1) return facts;
  pal::set_thread_count(1);
  add("one thread ", pal::measure_roofs(pal::bench::target().device, {.seconds = 1.0}));
  pal::set_thread_count(threads);
  return facts;
}

/// Facts of the device by name.
nlohmann::ordered_json description() {
  nlohmann::ordered_json facts;
  const pal::Device device = pal::bench::target().device;
  facts["device"] = pal::describe_device(device);
  if (device.is_cuda()) {
    const pal::cuda::DeviceInfo info = pal::cuda::device_info();
    facts["compute capability"] = fmt::format("{}.{}", info.major, info.minor);
    facts["multiprocessors"] = std::to_string(info.multiprocessors);
    facts["memory bytes"] = std::to_string(info.memory);
    facts["elements"] = std::to_string(pal::bench::target().elements);
    const pal::DeviceScope scope(device);
    for (const pal::bench::Arithmetic& arithmetic : pal::bench::arithmetics()) {
      pal::bench::apply(arithmetic);
      facts[fmt::format("peak {} TFLOP/s", arithmetic.name)] =
          fmt::format("{:.1f}", 1e-12 * pal::bench::peak_flops(arithmetic.dtype));
    }
  } else {
    facts["threads"] = std::to_string(pal::thread_count());
    facts["native bf16"] = pal::cpu_has_native_bf16() ? "yes" : "no";
  }
  const nlohmann::ordered_json limits = roof_facts();
  for (const auto& [name, value] : limits.items()) facts[name] = value;
  facts["library"] = pal::describe_libraries(device);
  return facts;
}

void add_cases() {
  using namespace pal::bench;
  add_conv_cases();
  add_matrix_cases();
  add_norm_cases();
  add_product_cases();
  add_coupling_cases();
  add_rearranging_cases();
  add_streaming_cases();
  add_head_cases();
  add_profiler_cases();
}

/// A name as a regular expression that matches it alone.
std::string exactly(const std::string& name) {
  constexpr std::string_view kSpecial = ".^$*+?()[]{}|\\";
  std::string pattern = "^";
  for (const char letter : name) {
    if (kSpecial.find(letter) != std::string_view::npos) pattern += '\\';
    pattern += letter;
  }
  return pattern + "/.*$";
}

/// The first line answered is what the shares are of.
void serve(const nlohmann::ordered_json& facts) {
  add_cases();
  fmt::print("{}\n", facts.dump());
  std::fflush(stdout);
  for (std::string name; std::getline(std::cin, name);) {
    pal::bench::KernelReporter reporter(true);
    // It says on stderr that there is none.
    benchmark::RunSpecifiedBenchmarks(&reporter, exactly(name));
    if (reporter.cases().empty())
      fmt::print("{{\"name\":{},\"error\":\"no such case\"}}\n", nlohmann::json(name).dump());
    for (const auto& one : reporter.cases()) fmt::print("{}\n", one.dump());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program("bench_kernels", [&] {
    CLI::App app("Measures every kernel family beside a copy or the library's best.",
                 "bench_kernels");
    Options options;
    add_options(app, options);
    // Google Benchmark takes its own options out of the list, --help among them.
    static CLI::App* const shown = &app;
    benchmark::Initialize(&argc, argv, [] { std::puts(shown->help().c_str()); });
    if (!pal::parse_bench_options(app, argc, argv)) return 0;
    pal::expect(options.elements >= 1024 && options.elements <= (int64_t{1} << 32),
                "--elements: expected 1024 to 2^32, got {}", options.elements);
    pal::bench::target() = {
        pal::apply_compute_options(
            {.device = options.device, .threads = options.threads, .precision = "fp32"}),
        options.elements, options.all};
    if (options.list) {
      add_cases();
      for (const std::string& name : pal::bench::case_names()) pal::print_result(name);
      return 0;
    }
    const nlohmann::ordered_json facts = description();
    if (options.describe) {
      pal::print_result(facts.dump(1));
      return 0;
    }
    if (options.serve) {
      serve(facts);
      return 0;
    }
    for (const auto& [name, value] : facts.items())
      benchmark::AddCustomContext(name, value.get<std::string>());
    add_cases();
    pal::bench::KernelReporter reporter(false);
    benchmark::RunSpecifiedBenchmarks(&reporter);
    if (!options.summary.empty()) pal::write_atomic(options.summary, reporter.summary(facts));
    benchmark::Shutdown();
    return 0;
  });
}
