#include "experiments/attacks/segment_search.h"

#include <cmath>

#include "kernels/arrays/samples.h"

namespace pal {
namespace {

// How far beyond the changed image a margin is looked for, as a fraction of the way.
constexpr double kBeyond[] = {1.0, 1.02, 1.05, 1.1, 1.25};

/// original + fraction (changed - original), in [0, 1].
Tensor on_the_way(const Tensor& original, const Tensor& changed,
                  const std::vector<double>& fraction) {
  std::vector<double> rest;
  for (const double t : fraction) rest.push_back(1.0 - t);
  const DeviceScope device(original.device());
  const Tensor images = Tensor::empty(original.shape(), original.dtype(), Tag::stream);
  PAL_BACKEND(images, combine_samples({{as_rows(original), image_numbers(rest, original)},
                                       {as_rows(changed), image_numbers(fraction, original)}},
                                      as_rows(images)));
  PAL_BACKEND(images, clamp_samples(as_rows(images), 0.0, 1.0, {}, {}));
  return images;
}

}  // namespace

SegmentResult search_segments(AttackedModel& model, const AttackBatch& batch, const Tensor& changed,
                              const SegmentSearch& how) {
  const auto n = static_cast<size_t>(batch.count());
  const auto wide_at = [&](const std::vector<double>& fraction) {
    const ImageScores said = model.scores(on_the_way(batch.images, changed, fraction));
    std::vector<bool> wide;
    for (size_t i = 0; i < n; ++i) {
      const double margin = margin_of(said.row(static_cast<int64_t>(i)), batch.goals[i]).value;
      wide.push_back(std::isfinite(margin) && margin < 0.0 && margin <= -how.kappa);
    }
    return wide;
  };
  SegmentResult result;
  result.found.assign(n, false);
  result.fraction.assign(n, 1.0);
  std::vector<double> near(n, 0.0);
  for (const double beyond : kBeyond) {
    std::vector<double> tried = result.fraction;
    size_t open = 0;
    for (size_t i = 0; i < n; ++i)
      if (!result.found[i]) {
        tried[i] = beyond;
        ++open;
      }
    if (open == 0) break;
    const std::vector<bool> wide = wide_at(tried);
    for (size_t i = 0; i < n; ++i) {
      if (result.found[i]) continue;
      result.found[i] = wide[i];
      if (wide[i])
        result.fraction[i] = beyond;
      else
        near[i] = beyond;
    }
  }
  for (size_t i = 0; i < n; ++i)
    if (!result.found[i]) near[i] = result.fraction[i] = 1.0;
  for (int halving = 0; halving < how.halvings; ++halving) {
    std::vector<double> middle(n);
    for (size_t i = 0; i < n; ++i) middle[i] = 0.5 * (near[i] + result.fraction[i]);
    const std::vector<bool> wide = wide_at(middle);
    for (size_t i = 0; i < n; ++i)
      if (result.found[i]) (wide[i] ? result.fraction[i] : near[i]) = middle[i];
  }
  result.images = on_the_way(batch.images, changed, result.fraction);
  return result;
}

}  // namespace pal
