// Does the activation memory of a training step depend on depth?
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>

#include "bench/memory/memory_study.h"
#include "bench/support/bench_options.h"
#include "bench/support/memory_report.h"
#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/program.h"
#include "runtime/byte_count.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace {

using pal::ActivationPolicy;
using pal::bench::MemoryCase;
using pal::bench::MemoryRow;

constexpr const char* kName = "activation_memory";
/// Largest growth of an inverting step's peak over all depths.
constexpr double kMostGrowth = 0.01;

struct Options {
  std::string network = "all";
  std::string policy = "both";
  std::string precision = "fp32";
  std::string device = "cpu";
  int64_t batch = 4;
  std::vector<int64_t> depths;
  int64_t memory_limit = 0;
  bool json = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--network", options.network, "chain, ibinn-imagenet or all")
      ->check(CLI::IsMember({"chain", "ibinn-imagenet", "all"}))
      ->transform(
          [](const std::string& name) { return name == "imagenet" ? "ibinn-imagenet" : name; })
      ->capture_default_str();
  app.add_option("--policy", options.policy, "store, recompute, invert, or both store and invert")
      ->check(CLI::IsMember({"store", "recompute", "invert", "both"}))
      ->capture_default_str();
  app.add_option("--precision", options.precision, "of the subnets: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--device", options.device, "cpu or cuda[:N]")->capture_default_str();
  app.add_option("-b,--batch", options.batch, "images of the step")->capture_default_str();
  app.add_option("--depths", options.depths,
                 "blocks of the chain (8,16,32,64,128) or multiples of ibinn-imagenet's stages "
                 "(1,2,4,8); needs --network chain or ibinn-imagenet")
      ->delimiter(',');
  app.add_option(
         "--memory-limit", options.memory_limit,
         "bytes over all tags; a case that needs more is skipped (default: 90 % of what the "
         "system has free, or of the GPU's memory)")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", options.json, "rows as a JSON array on stdout");
}

std::vector<ActivationPolicy> policies(const std::string& name) {
  if (name == "store") return {ActivationPolicy::store};
  if (name == "recompute") return {ActivationPolicy::recompute};
  if (name == "invert") return {ActivationPolicy::invert};
  return {ActivationPolicy::store, ActivationPolicy::invert};
}

std::vector<MemoryCase> cases(const Options& options, pal::Device device) {
  pal::expect(options.depths.empty() || options.network != "all",
              "--depths: the depths of which network? Add --network chain or ibinn-imagenet");
  std::vector<std::pair<std::string, std::vector<int64_t>>> studies;
  if (options.network != "ibinn-imagenet") studies.push_back({"chain", {8, 16, 32, 64, 128}});
  if (options.network != "chain") studies.push_back({"ibinn-imagenet", {1, 2, 4, 8}});
  std::vector<MemoryCase> all;
  for (auto& [network, depths] : studies) {
    if (!options.depths.empty()) depths = options.depths;
    for (const ActivationPolicy policy : policies(options.policy))
      for (const int64_t depth : depths)
        all.push_back({network, depth, policy, options.batch,
                       options.precision == "bf16" ? pal::DType::bf16 : pal::DType::f32, device});
  }
  return all;
}

/// The row, or nothing and a line on stderr if the memory does not suffice.
std::optional<MemoryRow> measure(const MemoryCase& what, int64_t limit) {
  pal::Allocator& allocator = pal::Allocator::of(what.device);
  allocator.trim();
  const int64_t most =
      what.device.is_cuda() ? pal::cuda::device_info().memory : pal::bench::available_memory();
  allocator.set_limit(limit > 0 ? limit : most / 10 * 9);
  try {
    return pal::bench::measure_memory(what);
  } catch (const pal::Error& error) {
    if (error.kind() != pal::ErrorKind::environment) throw;
    pal::log_warning("SKIPPED: {} at depth {} under {}: {}", what.network, what.depth,
                     pal::name_of(what.policy), error.what());
    return std::nullopt;
  }
}

std::string json_rows(const std::vector<MemoryRow>& rows) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const MemoryRow& row : rows)
    array.push_back({{"network", row.what.network},
                     {"blocks", row.blocks},
                     {"policy", pal::name_of(row.what.policy)},
                     {"batch", row.what.batch},
                     {"precision", row.what.compute == pal::DType::bf16 ? "bf16" : "fp32"},
                     {"device", row.what.device.is_cuda() ? "cuda" : "cpu"},
                     {"peak_activation_bytes", row.stats.peak_activations},
                     {"bytes_by_tag", pal::bench::bytes_by_tag(row.stats)}});
  return array.dump(1);
}

std::string text_row(const MemoryRow& row) {
  std::string tags;
  const nlohmann::ordered_json peaks = pal::bench::bytes_by_tag(row.stats);
  for (const auto& [tag, bytes] : peaks.items())
    tags += fmt::format("{}{} {}", tags.empty() ? "" : ", ", tag,
                        pal::format_bytes(bytes.get<int64_t>()));
  return fmt::format("{:<15} {:>4} blocks  {:<9} batch {:<3} activations {:>10}  ({})",
                     row.what.network, row.blocks, pal::name_of(row.what.policy), row.what.batch,
                     pal::format_bytes(row.stats.peak_activations), tags);
}

/// Growth of the peak from the smallest to the largest network of each study. Returns whether all
/// inverting ones are flat and none of them lacks a row.
bool check_growth(const std::vector<MemoryCase>& wanted, const std::vector<MemoryRow>& rows) {
  std::map<std::pair<std::string, ActivationPolicy>, size_t> expected;
  for (const MemoryCase& one : wanted) ++expected[{one.network, one.policy}];
  bool good = true;
  for (const auto& [study, count] : expected) {
    std::vector<const MemoryRow*> of_study;
    for (const MemoryRow& row : rows)
      if (row.what.network == study.first && row.what.policy == study.second)
        of_study.push_back(&row);
    const bool must_be_flat = study.second == ActivationPolicy::invert;
    const std::string name = fmt::format("{} under {}", study.first, pal::name_of(study.second));
    if (must_be_flat && of_study.size() < count) {
      pal::print_error(kName, fmt::format("{}: {} of {} depths were skipped; use a smaller --batch "
                                          "or a machine with more memory",
                                          name, count - of_study.size(), count));
      good = false;
    }
    if (of_study.size() < 2) continue;
    const auto [least, most] = std::ranges::minmax(
        of_study, {}, [](const MemoryRow* row) { return row->stats.peak_activations; });
    const double growth = static_cast<double>(most->stats.peak_activations) /
                              static_cast<double>(least->stats.peak_activations) -
                          1.0;
    pal::log_info("{}: peak activations grow by {:.3f} % from {} to {} blocks", name,
                  100.0 * growth, of_study.front()->blocks, of_study.back()->blocks);
    if (!must_be_flat || growth < kMostGrowth) continue;
    pal::print_error(kName, fmt::format("{}: peak activations grow by {:.3f} % with depth, more "
                                        "than {:.0f} %; a block keeps what it should rebuild",
                                        name, 100.0 * growth, 100.0 * kMostGrowth));
    good = false;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app(
        "Measures the peak activation memory of one training step over depth: exit 0 if it is flat "
        "under inversion, else 1. The depth study starts act norm at 1 and subnet gains at 0.1.",
        kName);
    Options options;
    add_options(app, options);
    if (!pal::parse_bench_options(app, argc, argv)) return 0;
    const std::vector<MemoryCase> wanted = cases(
        options,
        pal::apply_compute_options({.device = options.device, .precision = options.precision}));
    std::vector<MemoryRow> rows;
    for (const MemoryCase& what : wanted)
      if (auto row = measure(what, options.memory_limit)) {
        if (!options.json) pal::print_result(text_row(*row));
        rows.push_back(std::move(*row));
      }
    if (options.json) pal::print_result(json_rows(rows));
    return check_growth(wanted, rows) ? 0 : 1;
  });
}
