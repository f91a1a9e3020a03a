#include "runtime/communicator/communicator.h"

#include <algorithm>
#include <cstring>

namespace pal {
namespace {

/// A view of host memory that is only read.
template <typename T>
Tensor view_of(const T* values, int64_t count, DType dtype) {
  return Tensor::borrowed(const_cast<T*>(values), {count}, dtype, Device());
}

}  // namespace

std::vector<std::vector<uint8_t>> all_gather_bytes(Communicator& host,
                                                   std::span<const uint8_t> mine) {
  const auto ranks = static_cast<size_t>(host.size());
  const auto count = static_cast<double>(mine.size());
  std::vector<double> counts(ranks);
  host.all_gather(view_of(&count, 1, DType::f64), view_of(counts.data(), host.size(), DType::f64));
  const auto most = static_cast<size_t>(std::ranges::max(counts));
  std::vector<std::vector<uint8_t>> result(ranks);
  if (most == 0) return result;
  std::vector<uint8_t> padded(most);
  if (!mine.empty()) std::memcpy(padded.data(), mine.data(), mine.size());
  std::vector<uint8_t> all(most * ranks);
  host.all_gather(view_of(padded.data(), static_cast<int64_t>(most), DType::u8),
                  view_of(all.data(), static_cast<int64_t>(all.size()), DType::u8));
  for (size_t r = 0; r < ranks; ++r) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(r * most);
    result[r].assign(begin, begin + static_cast<std::ptrdiff_t>(counts[r]));
  }
  return result;
}

std::vector<std::string> all_gather_texts(Communicator& host, std::string_view mine) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(mine.data());
  std::vector<std::string> texts;
  for (const auto& each : all_gather_bytes(host, {bytes, mine.size()}))
    texts.emplace_back(each.begin(), each.end());
  return texts;
}

std::vector<double> max_over_ranks(Communicator& host, std::vector<double> mine) {
  const auto count = static_cast<int64_t>(mine.size());
  std::vector<double> all(mine.size() * static_cast<size_t>(host.size()));
  host.all_gather(view_of(mine.data(), count, DType::f64),
                  view_of(all.data(), count * host.size(), DType::f64));
  for (size_t i = 0; i < all.size(); ++i) {
    double& most = mine[i % mine.size()];
    most = std::max(most, all[i]);
  }
  return mine;
}

double sum_over_ranks(Communicator& host, double mine) {
  double sum = mine;
  host.all_reduce(view_of(&sum, 1, DType::f64));
  return sum;
}

}  // namespace pal
