#include "experiments/attacks/attack_batch.h"

#include <cmath>
#include <limits>

#include "kernels/arrays/host_values.h"
#include "kernels/arrays/samples.h"
#include "runtime/error.h"

namespace pal {

ImageDistances image_distances(const Tensor& a, const Tensor& b) {
  const DeviceScope device(a.device());
  const Tensor found = Tensor::empty({a.size(0), 2}, DType::f64, Tag::workspace);
  const Tensor other = b.defined() ? as_rows(b) : Tensor();
  PAL_BACKEND(a, sample_distances(as_rows(a), other, found));
  const std::vector<double> values = host_values(found);
  ImageDistances distances;
  for (size_t i = 0; i < values.size(); i += 2) {
    distances.squared.push_back(values[i]);
    distances.largest.push_back(values[i + 1]);
  }
  return distances;
}

void clear_broken(const Tensor& gradient, const std::vector<double>& squared) {
  for (size_t i = 0; i < squared.size(); ++i)
    if (!std::isfinite(squared[i])) gradient.slice_batch(static_cast<int64_t>(i), 1).zero();
}

Tensor images_at(const Tensor& images, const std::vector<int64_t>& rows) {
  const Shape& all = images.shape();
  const Shape shape = {static_cast<int64_t>(rows.size()), all[1], all[2], all[3]};
  const Tensor some = Tensor::empty(shape, images.dtype(), Tag::stream, images.device());
  for (size_t i = 0; i < rows.size(); ++i)
    some.slice_batch(static_cast<int64_t>(i), 1).copy_from(images.slice_batch(rows[i], 1));
  return some;
}

Tensor as_rows(const Tensor& images) {
  return images.reshape({images.size(0), images.numel() / images.size(0)});
}

Tensor image_numbers(const std::vector<double>& values, const Tensor& like) {
  const DeviceScope device(like.device());
  return tensor_of(values, {static_cast<int64_t>(values.size())}, DType::f64);
}

BestImages::BestImages(const AttackBatch& batch)
    : images_(batch.images.clone(Tag::stream)),
      objective_(static_cast<size_t>(batch.count()), std::numeric_limits<double>::infinity()),
      lowest_(objective_),
      reached_(static_cast<size_t>(batch.count()), false) {}

std::vector<bool> BestImages::offer(const Tensor& images, const std::vector<int64_t>& rows,
                                    const std::vector<double>& objective,
                                    const std::vector<bool>& reached) {
  std::vector<bool> taken(rows.size()), lower(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    lower[i] = objective[i] < lowest_[row];
    if (lower[i]) lowest_[row] = objective[i];
    taken[i] = reached[i] == reached_[row] ? objective[i] < objective_[row] : reached[i];
    if (!taken[i]) continue;
    objective_[row] = objective[i];
    reached_[row] = reached[i];
  }
  take(images, rows, taken);
  return lower;
}

void BestImages::replace(const Tensor& images, const std::vector<int64_t>& rows,
                         const std::vector<double>& objective, const std::vector<bool>& reached) {
  for (size_t i = 0; i < rows.size(); ++i) {
    objective_[static_cast<size_t>(rows[i])] = objective[i];
    reached_[static_cast<size_t>(rows[i])] = reached[i];
  }
  take(images, rows, std::vector<bool>(rows.size(), true));
}

void BestImages::take(const Tensor& images, const std::vector<int64_t>& rows,
                      const std::vector<bool>& taken) {
  for (size_t i = 0; i < rows.size(); ++i)
    if (taken[i])
      images_.slice_batch(rows[i], 1).copy_from(images.slice_batch(static_cast<int64_t>(i), 1));
}

}  // namespace pal
