#include "autograd/gradient_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

double& entry(const Tensor& tensor, int64_t i) {
  const int64_t channels = tensor.channels();
  return tensor.data<double>()[i / channels * tensor.pitch() + i % channels];
}

/// Indices to check: all, or a random subset in increasing order.
std::vector<int64_t> chosen_entries(int64_t count, int64_t most, const Philox& random) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  if (most <= 0 || most >= count) return indices;
  for (int64_t i = 0; i < most; ++i) {
    const auto other = i + static_cast<int64_t>(random.below(static_cast<uint32_t>(i),
                                                             static_cast<uint64_t>(count - i)));
    std::swap(indices[static_cast<size_t>(i)], indices[static_cast<size_t>(other)]);
  }
  indices.resize(static_cast<size_t>(most));
  std::sort(indices.begin(), indices.end());
  return indices;
}

double difference(const std::function<double()>& loss, double& value, double step) {
  const double middle = value;
  const double reach = step * std::max(1.0, std::abs(middle));
  value = middle + reach;
  // What was really stored, so that rounding of the sum does not count.
  const double above_at = value;
  const double above = loss();
  value = middle - reach;
  const double below_at = value;
  const double below = loss();
  value = middle;
  return (above - below) / (above_at - below_at);
}

struct Entry {
  int64_t index;
  double analytic;
  double numeric;
};

/// Relative to `largest`; infinity for what is not finite.
double error_of(const Entry& e, double largest) {
  const double error = std::abs(e.analytic - e.numeric);
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  return error == 0.0 ? 0.0 : error / largest;
}

double largest_of(const std::vector<Entry>& entries) {
  double largest = 0.0;
  for (const Entry& e : entries)
    largest = std::max({largest, std::abs(e.analytic), std::abs(e.numeric)});
  return largest;
}

}  // namespace

std::string GradientReport::text() const {
  if (index < 0) return fmt::format("no error in {} entries", entries);
  return fmt::format("{}[{}]: analytic {:.9g}, numeric {:.9g}, relative error {:.1e} ({} entries)",
                     name, index, analytic, numeric, worst, entries);
}

GradientReport check_gradients(const std::function<double()>& loss,
                               const std::function<void()>& backward,
                               const std::vector<CheckedTensor>& tensors,
                               const GradientCheckOptions& options) {
  for (const CheckedTensor& tensor : tensors) {
    expect(tensor.value.dtype() == DType::f64 && tensor.gradient.dtype() == DType::f64 &&
               tensor.value.shape() == tensor.gradient.shape(),
           "check_gradients: {}: expected a value and a gradient of one shape in f64", tensor.name);
    tensor.gradient.zero();
  }
  backward();
  std::vector<std::vector<Entry>> measured;
  double largest_of_all = 0.0;
  for (size_t t = 0; t < tensors.size(); ++t) {
    const CheckedTensor& tensor = tensors[t];
    const Philox random(options.seed, RandomPurpose::test, t);
    std::vector<Entry> entries;
    for (const int64_t i : chosen_entries(tensor.value.numel(), options.most_entries, random))
      entries.push_back(
          {i, entry(tensor.gradient, i), difference(loss, entry(tensor.value, i), options.step)});
    largest_of_all = std::max(largest_of_all, largest_of(entries));
    measured.push_back(std::move(entries));
  }
  GradientReport report;
  for (size_t t = 0; t < tensors.size(); ++t) {
    const double largest = std::max(largest_of(measured[t]), options.floor * largest_of_all);
    for (Entry& e : measured[t]) {
      ++report.entries;
      double error = error_of(e, largest);
      for (double step = options.step / 10.0;
           error > options.suspect && step > options.step / 1000.0; step /= 10.0) {
        const Entry again = {e.index, e.analytic,
                             difference(loss, entry(tensors[t].value, e.index), step)};
        if (error_of(again, largest) >= error) continue;
        e = again;
        error = error_of(e, largest);
      }
      if (error <= report.worst) continue;
      report.worst = error;
      report.name = tensors[t].name;
      report.index = e.index;
      report.analytic = e.analytic;
      report.numeric = e.numeric;
    }
  }
  return report;
}

}  // namespace pal
