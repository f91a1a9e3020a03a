#include "bench/kernels/kernel_report.h"

#include <fmt/format.h>

#include <cstdio>

namespace pal::bench {
namespace {

struct Column {
  const char* name;
  int width;
  int digits;
};
constexpr Column kColumns[] = {{"us", 10, 1},     {"GB/s", 8, 1},     {"GFLOP/s", 9, 1},
                               {"of_copy", 8, 2}, {"of_triad", 8, 2}, {"of_peak", 8, 2},
                               {"of_roof", 8, 2}, {"of_best", 8, 2}};

/// To four digits: more would say nothing.
double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

}  // namespace

bool KernelReporter::ReportContext(const Context& context) {
  (void)context;
  if (quiet_) return true;
  std::string line = fmt::format("{:<56}", "case");
  for (const Column& column : kColumns) line += fmt::format(" {:>{}}", column.name, column.width);
  std::puts(line.c_str());
  return true;
}

void KernelReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    nlohmann::ordered_json entry = {{"name", run.run_name.function_name}};
    std::string line = fmt::format("{:<56}", run.run_name.function_name);
    if (run.error_occurred) {
      entry["error"] = run.error_message;
      line += " " + run.error_message;
    }
    for (const char* name : {"bytes", "flops"}) {
      const auto found = run.counters.find(name);
      if (found != run.counters.end() && found->second.value > 0.0)
        entry[name] = static_cast<int64_t>(found->second.value);
    }
    for (const Column& column : kColumns) {
      const auto found = run.counters.find(column.name);
      const bool given = found != run.counters.end();
      if (given) entry[column.name] = rounded(found->second.value);
      line += given ? fmt::format(" {:>{}.{}f}", found->second.value, column.width, column.digits)
                    : fmt::format(" {:>{}}", "", column.width);
    }
    for (const char* name : {"TFLOP/s", "ns per scope"})
      if (const auto found = run.counters.find(name); found != run.counters.end()) {
        entry[name] = rounded(found->second.value);
        line += fmt::format(" {}={:.1f}", name, found->second.value);
      }
    if (!quiet_) std::puts(line.c_str());
    cases_.push_back(entry);
  }
  std::fflush(stdout);
}

std::string KernelReporter::summary(const nlohmann::ordered_json& context) const {
  std::string text = fmt::format("{{\"context\": {},\n\"cases\": [", context.dump(1));
  for (size_t i = 0; i < cases_.size(); ++i)
    text += fmt::format("{}\n{}", i == 0 ? "" : ",", cases_[i].dump());
  return text + "\n]}\n";
}

}  // namespace pal::bench
