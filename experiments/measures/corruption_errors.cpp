#include "experiments/measures/corruption_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

constexpr const char* kHeader = "corruption,error";
constexpr const char* kClean = "clean";

/// The severities of a corruption's cells and the sum of their errors.
struct Gathered {
  std::string corruption;
  std::set<int> severities;
  double sum = 0.0;
};

std::vector<Gathered> gathered(const std::vector<CorruptionCell>& cells) {
  std::vector<Gathered> list;
  for (const CorruptionCell& cell : cells) {
    auto found = std::ranges::find(list, cell.corruption, &Gathered::corruption);
    if (found == list.end()) found = list.insert(list.end(), {cell.corruption, {}, 0.0});
    expect(found->severities.insert(cell.severity).second,
           "corruption_errors: two results of {} at severity {}", cell.corruption, cell.severity);
    found->sum += cell.error;
  }
  for (const Gathered& each : list)
    expect(each.severities == list[0].severities,
           "corruption_errors: {} has other severities than {}", each.corruption,
           list[0].corruption);
  return list;
}

}  // namespace

const ReferenceErrors& alexnet_errors() {
  static const ReferenceErrors errors{"AlexNet",
                                      0.435,
                                      {{"gaussian_noise", 0.886428},
                                       {"shot_noise", 0.894468},
                                       {"impulse_noise", 0.922640},
                                       {"defocus_blur", 0.819880},
                                       {"glass_blur", 0.826268},
                                       {"motion_blur", 0.785948},
                                       {"zoom_blur", 0.798360},
                                       {"snow", 0.866816},
                                       {"frost", 0.826572},
                                       {"fog", 0.819324},
                                       {"brightness", 0.564592},
                                       {"contrast", 0.853204},
                                       {"elastic", 0.646056},
                                       {"pixelate", 0.717840},
                                       {"jpeg", 0.606500}}};
  return errors;
}

ReferenceErrors read_reference_errors(const std::string& path) {
  constexpr int64_t kMostBytes = 1 << 20;
  const std::vector<uint8_t> bytes = read_file(path, kMostBytes);
  const std::string text(bytes.begin(), bytes.end());
  ReferenceErrors errors{path, -1.0, {}};
  int64_t number = 0;
  for (size_t first = 0; first < text.size();) {
    const size_t end = std::min(text.find('\n', first), text.size());
    std::string line = text.substr(first, end - first);
    first = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (number == 1) {
      if (line != kHeader)
        fail(ErrorKind::data, "{}:1: expected the header {}, got {}", path, kHeader, line);
      continue;
    }
    if (line.empty()) continue;
    const size_t comma = line.find(',');
    const std::string name = line.substr(0, comma);
    double error = -1.0;
    const char* const last = line.data() + line.size();
    if (comma != std::string::npos) {
      const auto read = std::from_chars(line.data() + comma + 1, last, error);
      if (read.ec != std::errc() || read.ptr != last) error = -1.0;
    }
    if (!(error >= 0.0 && error <= 1.0))
      fail(ErrorKind::data, "{}:{}: expected a corruption and its mean error from 0 to 1, got {}",
           path, number, line);
    if (name == kClean ? errors.clean >= 0.0 : errors.mean.contains(name))
      fail(ErrorKind::data, "{}:{}: {} a second time", path, number, name);
    if (name == kClean)
      errors.clean = error;
    else
      errors.mean[name] = error;
  }
  if (errors.clean < 0.0 || errors.mean.empty())
    fail(ErrorKind::data, "{}: expected a line {},ERROR and one for each corruption", path, kClean);
  return errors;
}

std::string reference_csv(const ReferenceErrors& errors) {
  std::string csv = fmt::format("{}\n{},{}\n", kHeader, kClean, errors.clean);
  for (const auto& [corruption, error] : errors.mean)
    fmt::format_to(std::back_inserter(csv), "{},{}\n", corruption, error);
  return csv;
}

std::vector<CorruptionError> corruption_errors(const std::vector<CorruptionCell>& cells,
                                               double clean, const ReferenceErrors* reference) {
  std::vector<CorruptionError> errors;
  for (const Gathered& each : gathered(cells)) {
    const auto severities = static_cast<double>(each.severities.size());
    CorruptionError error{each.corruption, each.sum / severities, {}, {}};
    const auto known = reference == nullptr ? std::map<std::string, double>::const_iterator()
                                            : reference->mean.find(each.corruption);
    if (reference != nullptr && known != reference->mean.end()) {
      if (known->second > 0.0) error.ce = error.mean_error / known->second;
      if (known->second > reference->clean)
        error.relative = (error.mean_error - clean) / (known->second - reference->clean);
    }
    errors.push_back(error);
  }
  return errors;
}

CorruptionMeans means_of(const std::vector<CorruptionError>& errors) {
  CorruptionMeans means;
  if (errors.empty()) return means;
  const auto count = static_cast<double>(errors.size());
  const auto mean = [&](std::optional<double> CorruptionError::*member) {
    std::optional<double> sum = 0.0;
    for (const CorruptionError& error : errors) {
      if (!(error.*member)) return std::optional<double>();
      *sum += *(error.*member) / count;
    }
    return sum;
  };
  for (const CorruptionError& error : errors) means.error += error.mean_error / count;
  means.mce = mean(&CorruptionError::ce);
  means.relative_mce = mean(&CorruptionError::relative);
  return means;
}

}  // namespace pal
