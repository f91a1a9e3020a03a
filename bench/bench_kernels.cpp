// Every kernel family beside what the same machine can do at the same time: of_best compares with
// the library's own choice of layouts, of_copy with a copy of as many bytes, of_peak with a large
// matrix product.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/kernel_case.h"
#include "experiments/compute_options.h"
#include "experiments/program.h"
#include "kernels/planned.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace {

struct Options {
  std::string device = "cpu";
  int64_t elements = pal::bench::Target().elements;
  int threads = 0;
  bool describe = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--device", options.device, "cpu or cuda[:N]")->capture_default_str();
  app.add_option("--elements", options.elements,
                 "GPU: values of a streaming case's main tensor; the default is 256 MiB of f32")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "default: all processors");
  app.add_flag("--describe", options.describe, "the device as a JSON object on stdout, no bench");
  app.footer(
      "Options of Google Benchmark: --benchmark_filter=REGEX, --benchmark_list_tests,\n"
      "--benchmark_out=FILE --benchmark_out_format=json, ...");
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
    // What of_peak is a share of.
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
  facts["library"] = pal::describe_libraries(device);
  return facts;
}

void add_cases() {
  using namespace pal::bench;
  add_conv_cases();
  add_matrix_cases();
  add_norm_cases();
  add_coupling_cases();
  add_rearranging_cases();
  add_streaming_cases();
  add_head_cases();
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
    if (!pal::parse_options(app, argc, argv)) return 0;
    pal::expect(options.elements >= 1024 && options.elements <= (int64_t{1} << 32),
                "--elements: expected 1024 to 2^32, got {}", options.elements);
    pal::bench::target() = {
        pal::apply_compute_options(
            {.device = options.device, .threads = options.threads, .precision = "fp32"}),
        options.elements};
    const nlohmann::ordered_json facts = description();
    if (options.describe) {
      pal::print_result(facts.dump(1));
      return 0;
    }
    for (const auto& [name, value] : facts.items())
      benchmark::AddCustomContext(name, value.get<std::string>());
    add_cases();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
  });
}
