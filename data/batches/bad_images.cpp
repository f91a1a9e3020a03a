#include "data/batches/bad_images.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {

BadImageLog::BadImageLog(double most_share, int64_t count, std::string advice)
    : most_share_(most_share),
      count_(count),
      most_(std::max<int64_t>(
          1, static_cast<int64_t>(std::floor(most_share * static_cast<double>(count))))),
      advice_(std::move(advice)) {
  expect(most_share >= 0.0 && most_share <= 1.0,
         "bad-images-max: expected a share from [0, 1], got {}", most_share);
}

void BadImageLog::add(int64_t index, const std::string& message) {
  const std::scoped_lock lock(mutex_);
  const auto known = static_cast<int64_t>(entries_.size());
  if (known <= most_) entries_.emplace(index, message);
  if (static_cast<int64_t>(entries_.size()) > most_)
    fail(ErrorKind::data,
         "{}; with it {} of {} pictures ({:.3g} %) cannot be read, more than the {:.3g} % that may "
         "be left out; {}",
         message, entries_.size(), count_,
         100.0 * static_cast<double>(entries_.size()) / static_cast<double>(count_),
         100.0 * most_share_, advice_);
}

std::map<int64_t, std::string> BadImageLog::entries() const {
  const std::scoped_lock lock(mutex_);
  return entries_;
}

void BadImageLog::warn() const {
  for (const auto& [index, message] : entries()) log_warning("left out: {}", message);
}

}  // namespace pal
