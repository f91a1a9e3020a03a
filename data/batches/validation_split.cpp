#include "data/batches/validation_split.h"

#include <algorithm>
#include <cmath>

#include "data/batches/order.h"
#include "runtime/error.h"

namespace pal {

ValidationSplit split_validation(const std::string& name, int64_t count, double amount,
                                 uint64_t seed) {
  constexpr int64_t kDefaultImages = 5000;
  constexpr int64_t kDefaultShare = 10;
  expect(std::isfinite(amount) && amount >= 0.0,
         "validation: expected a number or a fraction of images, got {}", amount);
  double wanted = amount;
  if (amount == 0.0)
    wanted = static_cast<double>(std::min(kDefaultImages, count / kDefaultShare));
  else if (amount < 1.0)
    wanted = std::floor(amount * static_cast<double>(count));
  expect(wanted >= 1.0 && wanted < static_cast<double>(count),
         "validation: {} of {} images of {} leave a part empty", wanted, count, name);
  const auto order = split_order(count, seed);
  const auto border = order.end() - static_cast<std::ptrdiff_t>(wanted);
  ValidationSplit split{{order.begin(), border}, {border, order.end()}};
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

}  // namespace pal
