#pragma once
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace pal::bench {

/// Prints a line per case and keeps what a results file needs: names, times, rates and shares.
class KernelReporter : public benchmark::BenchmarkReporter {
 public:
  /// `quiet`: prints nothing.
  explicit KernelReporter(bool quiet) : quiet_(quiet) {}

  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

  /// One object per case, counters rounded to four digits; those of failed cases have an "error".
  const std::vector<nlohmann::ordered_json>& cases() const { return cases_; }
  /// {"context": ..., "cases": [...]}, a case a line.
  std::string summary(const nlohmann::ordered_json& context) const;

 private:
  bool quiet_;
  std::vector<nlohmann::ordered_json> cases_;
};

}  // namespace pal::bench
