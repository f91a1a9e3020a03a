#include "runtime/profiler_text.h"

#include <fmt/format.h>

#include <iterator>

namespace pal::profiler_text {
namespace {

double ratio(double amount, int64_t nanoseconds) {
  return nanoseconds > 0 ? amount / static_cast<double>(nanoseconds) : 0.0;
}
double ratio(int64_t amount, int64_t nanoseconds) {
  return ratio(static_cast<double>(amount), nanoseconds);
}

/// A rate, or a dash where there is nothing to divide.
std::string number(double value, int digits) {
  return value > 0.0 ? fmt::format("{:.{}f}", value, digits) : "-";
}

}  // namespace

std::string table(const std::vector<KernelTotal>& rows, const Roofs* roofs) {
  int64_t sum = 0;
  double roof_sum = 0.0;
  int64_t compared = 0;
  for (const KernelTotal& row : rows) {
    sum += row.nanoseconds;
    roof_sum += row.roof_nanoseconds;
    if (row.roof_nanoseconds > 0.0) compared += row.nanoseconds;
  }
  const auto of_roof = [&](double roof, int64_t nanoseconds) {
    return roofs == nullptr ? std::string()
                            : fmt::format(" {:>8}", number(ratio(roof, nanoseconds), 2));
  };
  std::string text =
      fmt::format("{:<32} {:>8} {:>10} {:>7} {:>8} {:>9}{}\n", "kernel", "calls", "ms", "share",
                  "GB/s", "GFLOP/s", roofs == nullptr ? "" : "  of roof");
  for (const KernelTotal& row : rows) {
    const bool host = roofs != nullptr && roofs->gpu && !row.gpu;
    text += fmt::format(
        "{:<32} {:>8} {:>10.2f} {:>6.1f}% {:>8} {:>9}{}\n", row.name + (host ? " (host)" : ""),
        row.calls, static_cast<double>(row.nanoseconds) * 1e-6, 100.0 * ratio(row.nanoseconds, sum),
        number(ratio(row.bytes, row.nanoseconds), 1), number(ratio(row.flops, row.nanoseconds), 1),
        of_roof(row.roof_nanoseconds, row.nanoseconds));
  }
  text += fmt::format("{:<32} {:>8} {:>10.2f}", "all kernels", "", static_cast<double>(sum) * 1e-6);
  if (roofs != nullptr) text += fmt::format("{:>27}{}", "", of_roof(roof_sum, compared));
  return text + "\n";
}

std::string json(const std::vector<KernelTotal>& rows) {
  std::string text = "[";
  for (const KernelTotal& row : rows) {
    if (text.size() > 1) text += ",";
    text += fmt::format(
        R"({{"kernel":"{}","gpu":{},"calls":{},"ns":{},"bytes":{},"flops":{},"roof_ns":{:.0f}}})",
        row.name, row.gpu, row.calls, row.nanoseconds, row.bytes, row.flops, row.roof_nanoseconds);
  }
  return text + "]";
}

void Trace::add(const profiler_log::Call& call, int thread) {
  gpu_ = gpu_ || call.gpu;
  auto out = std::back_inserter(events_);
  fmt::format_to(
      out, R"({}{{"name":"{}","cat":"{}","ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f})",
      events_.empty() ? "" : ",\n", call.name, call.phase ? "phase" : "kernel", call.gpu ? 1 : 0,
      call.gpu ? 0 : thread, static_cast<double>(call.start) * 1e-3,
      static_cast<double>(call.duration) * 1e-3);
  if (call.bytes > 0 || call.flops > 0)
    fmt::format_to(out, R"(,"args":{{"bytes":{},"flops":{},"GB/s":{:.2f},"GFLOP/s":{:.2f}}})",
                   call.bytes, call.flops, ratio(call.bytes, call.duration),
                   ratio(call.flops, call.duration));
  events_ += "}";
}

std::string Trace::finish(size_t left_out) const {
  std::string names;
  if (gpu_)
    names = R"(,
{"name":"process_name","ph":"M","pid":0,"args":{"name":"CPU"}},
{"name":"process_name","ph":"M","pid":1,"args":{"name":"GPU"}})";
  return fmt::format("{{\"traceEvents\":[\n{}{}],\n\"otherData\":{{\"events left out\":{}}}}}\n",
                     events_, names, left_out);
}

}  // namespace pal::profiler_text
