#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

namespace pal {

/// A number and its standard error.
struct Estimate {
  double value = 0.0;
  double error = 0.0;
};

/// Mean of number(item) over items, with its standard error.
template <typename Item, typename Number>
Estimate mean_of(const std::vector<Item>& items, const Number& number) {
  const auto n = static_cast<double>(items.size());
  double sum = 0.0, square = 0.0;
  for (const Item& item : items) sum += number(item);
  const double mean = sum / std::max(1.0, n);
  for (const Item& item : items) square += (number(item) - mean) * (number(item) - mean);
  return {mean, n > 1.0 ? std::sqrt(square / (n - 1.0) / n) : 0.0};
}

}  // namespace pal
