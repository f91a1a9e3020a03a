#include "experiments/attacks/projected_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/arrays/host_values.h"
#include "kernels/arrays/samples.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

// Of the published algorithm: momentum, the share of steps that must gain, and when it is asked.
constexpr double kMomentum = 0.75;
constexpr double kGaining = 0.75;

/// Steps after which a step's length is judged: p_0 = 0, p_1 = 0.22, then p_{j+1} = p_j +
/// max(p_j - p_{j-1} - 0.03, 0.06), times the number of steps.
std::vector<int64_t> checkpoints_of(int64_t steps) {
  std::vector<int64_t> points;
  double before = 0.0, at = 0.22;
  while (at <= 1.0) {
    const auto step = static_cast<int64_t>(std::ceil(at * static_cast<double>(steps)));
    if (points.empty() || step > points.back()) points.push_back(step);
    const double next = at + std::max(at - before - 0.03, 0.06);
    before = at;
    at = next;
  }
  return points;
}

/// Brings x into the ball round the originals and into [0, 1].
void project(const Tensor& x, const Tensor& original, AttackNorm norm, double eps) {
  const auto n = static_cast<size_t>(x.size(0));
  if (norm == AttackNorm::linf) {
    PAL_BACKEND(x, clamp_samples(as_rows(x), 0.0, 1.0, as_rows(original),
                                 image_numbers(std::vector<double>(n, eps), x)));
    return;
  }
  // Clamping to [0, 1] brings every value nearer to the original's, never farther.
  PAL_BACKEND(x, clamp_samples(as_rows(x), 0.0, 1.0, {}, {}));
  const std::vector<double> squared = image_distances(x, original).squared;
  std::vector<double> kept(n, 1.0), rest(n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    const double distance = std::sqrt(squared[i]);
    if (distance <= eps) continue;
    // A little less, so that rounding does not leave the ball.
    kept[i] = eps / distance * (1.0 - 1e-6);
    rest[i] = 1.0 - kept[i];
  }
  PAL_BACKEND(x, combine_samples({{as_rows(x), image_numbers(kept, x)},
                                  {as_rows(original), image_numbers(rest, x)}},
                                 as_rows(x)));
}

/// x minus a step of each image's length along its gradient, in the norm's steepest direction; none
/// where the gradient is not finite, which is cleared.
Tensor stepped(const Tensor& x, const Tensor& gradient, const ProjectedGradient& how,
               const std::vector<double>& lengths) {
  std::vector<double> factors;
  const bool sign = how.norm == AttackNorm::linf;
  const std::vector<double> squared = image_distances(gradient).squared;
  clear_broken(gradient, squared);
  for (size_t i = 0; i < lengths.size(); ++i) {
    const double norm = sign ? 1.0 : std::sqrt(squared[i]);
    const bool usable = std::isfinite(squared[i]) && norm > 0.0;
    factors.push_back(usable ? -lengths[i] / norm : 0.0);
  }
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), Tag::stream);
  const Tensor one = image_numbers(std::vector<double>(lengths.size(), 1.0), x);
  PAL_BACKEND(
      x, combine_samples({{as_rows(x), one}, {as_rows(gradient), image_numbers(factors, x), sign}},
                         as_rows(y)));
  return y;
}

/// One start of the attack on the images that are left.
class ApgdRun {
 public:
  ApgdRun(AttackedModel& model, const ProjectedGradient& how, const Tensor& original,
          std::vector<AttackGoal> goals, std::vector<int64_t> rows, BestImages& best,
          std::vector<AttackedImage>& records)
      : model_(model),
        how_(how),
        original_(original),
        goals_(std::move(goals)),
        rows_(std::move(rows)),
        best_(best),
        records_(records),
        length_(rows_.size(), 2.0 * how.eps),
        gained_(rows_.size(), 0),
        halved_(rows_.size(), false),
        lowest_(rows_.size(), std::numeric_limits<double>::infinity()),
        lowest_before_(lowest_),
        last_(lowest_) {}

  void run(Tensor x, bool first_start) {
    Tensor before = x;
    Tensor gradient = evaluate(x, 0, first_start);
    lowest_x_ = x.clone(Tag::stream);
    lowest_gradient_ = gradient.clone(Tag::stream);
    const std::vector<int64_t> points = checkpoints_of(how_.steps);
    size_t next_point = 0;
    int64_t last_point = 0;
    for (int64_t t = 1; t <= how_.steps; ++t) {
      if (how_.stop_when_reached && !leave_reached(x, before, gradient)) return;
      Tensor ahead = stepped(x, gradient, how_, length_);
      project(ahead, original_, how_.norm, how_.eps);
      Tensor y = ahead;
      if (t > 1) {
        // x + a (ahead - x) + (1 - a)(x - before)
        const auto number = [&](double value) {
          return image_numbers(std::vector<double>(rows_.size(), value), x);
        };
        y = Tensor::empty(x.shape(), x.dtype(), Tag::stream);
        PAL_BACKEND(x, combine_samples({{as_rows(x), number(2.0 * (1.0 - kMomentum))},
                                        {as_rows(ahead), number(kMomentum)},
                                        {as_rows(before), number(kMomentum - 1.0)}},
                                       as_rows(y)));
        project(y, original_, how_.norm, how_.eps);
      }
      before = x;
      x = y;
      gradient = evaluate(x, t, false);
      if (next_point < points.size() && t == points[next_point]) {
        shorten(t - last_point, x, gradient);
        last_point = t;
        ++next_point;
      }
    }
    for (size_t i = 0; i < rows_.size(); ++i)
      if (!done(i))
        record(i).ended_above = last_[i] > lowest_[i] + 0.01 * std::abs(lowest_[i] - begun_[i]);
  }

 private:
  /// Leaves images alone that have their goal, once they are half of all; false: none is left.
  bool leave_reached(Tensor& x, Tensor& before, Tensor& gradient) {
    std::vector<int64_t> kept;
    for (size_t i = 0; i < rows_.size(); ++i)
      if (!done(i)) kept.push_back(static_cast<int64_t>(i));
    if (kept.empty()) return false;
    if (2 * kept.size() > rows_.size()) return true;
    for (Tensor* const each : {&x, &before, &gradient, &original_, &lowest_x_, &lowest_gradient_})
      *each = images_at(*each, kept);
    const auto keep = [&](auto& of) {
      for (size_t i = 0; i < kept.size(); ++i) of[i] = of[static_cast<size_t>(kept[i])];
      of.resize(kept.size());
    };
    keep(goals_);
    keep(rows_);
    keep(gained_);
    keep(halved_);
    for (std::vector<double>* const each : {&length_, &lowest_, &lowest_before_, &last_, &begun_})
      keep(*each);
    return true;
  }

  /// Whether an image is left alone: its goal was reached, and that is enough.
  bool done(size_t i) const { return how_.stop_when_reached && best_.reached(rows_[i]); }

  AttackedImage& record(size_t i) { return records_[static_cast<size_t>(rows_[i])]; }

  /// The gradient at x; takes note of what is said there.
  Tensor evaluate(const Tensor& x, int64_t t, bool first) {
    ObjectiveValues values;
    const Tensor gradient = model_.gradient(x, [&](const ImageScores& said) {
      ImageGradients gradients;
      values = evaluate_objective(how_.objective, said, goals_, &gradients);
      return gradients;
    });
    const std::vector<double> squared = image_distances(gradient).squared;
    if (t == 0) begun_ = values.values;
    std::vector<bool> improved(rows_.size(), false);
    for (size_t i = 0; i < rows_.size(); ++i) {
      double& value = values.values[i];
      if (done(i)) {  // stays as it was found, however many others are still attacked
        value = std::numeric_limits<double>::infinity();
        values.reached[i] = false;
        continue;
      }
      AttackedImage& of = record(i);
      if (!std::isfinite(value) || !std::isfinite(values.margins[i]) ||
          !std::isfinite(squared[i])) {
        of.broken = true;
        value = std::numeric_limits<double>::infinity();
        values.reached[i] = false;
      }
      if (first) {
        of.objective_start = value;
        of.gradient_start = std::sqrt(squared[i]);
      }
      of.fell = of.fell || value < of.objective_start;
      if (how_.stop_when_reached && values.reached[i]) of.ended_above = false;
      ++of.steps;
      if (t > 0 && value < last_[i]) ++gained_[i];
      last_[i] = value;
      improved[i] = value < lowest_[i];
      if (improved[i]) lowest_[i] = value;
    }
    best_.offer(x, rows_, values.values, values.reached);
    if (lowest_x_.defined())
      for (size_t i = 0; i < rows_.size(); ++i)
        if (improved[i]) {
          const auto at = static_cast<int64_t>(i);
          lowest_x_.slice_batch(at, 1).copy_from(x.slice_batch(at, 1));
          lowest_gradient_.slice_batch(at, 1).copy_from(gradient.slice_batch(at, 1));
        }
    return gradient;
  }

  /// Halves the steps that gain no more, and goes on from the best place.
  void shorten(int64_t steps, const Tensor& x, const Tensor& gradient) {
    for (size_t i = 0; i < rows_.size(); ++i) {
      const bool slow = static_cast<double>(gained_[i]) < kGaining * static_cast<double>(steps);
      const bool stuck = !halved_[i] && lowest_[i] == lowest_before_[i];
      halved_[i] = slow || stuck;
      gained_[i] = 0;
      lowest_before_[i] = lowest_[i];
      if (!halved_[i]) continue;
      length_[i] *= 0.5;
      const auto at = static_cast<int64_t>(i);
      x.slice_batch(at, 1).copy_from(lowest_x_.slice_batch(at, 1));
      gradient.slice_batch(at, 1).copy_from(lowest_gradient_.slice_batch(at, 1));
      last_[i] = lowest_[i];
    }
  }

  AttackedModel& model_;
  const ProjectedGradient& how_;
  Tensor original_;
  std::vector<AttackGoal> goals_;
  std::vector<int64_t> rows_;  // of the batch
  BestImages& best_;
  std::vector<AttackedImage>& records_;
  std::vector<double> length_;
  std::vector<int64_t> gained_;  // steps since the last checkpoint that made the objective lower
  std::vector<bool> halved_;     // at the last checkpoint
  std::vector<double> lowest_, lowest_before_, last_, begun_;
  Tensor lowest_x_, lowest_gradient_;
};

std::vector<uint64_t> streams_of(const ProjectedGradient& how, size_t n) {
  std::vector<uint64_t> streams = how.streams;
  if (streams.empty()) {
    streams.resize(n);
    std::iota(streams.begin(), streams.end(), uint64_t{0});
  }
  expect(streams.size() == n, "attack: {} streams for {} images", streams.size(), n);
  return streams;
}

/// Random numbers for the values of an image: uniform in [-1, 1), or normal.
std::vector<double> random_values(int64_t count, bool normal, uint64_t seed, uint64_t stream) {
  const Philox random(seed, RandomPurpose::sample, stream);
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); i += 4) {
    const auto index = static_cast<uint32_t>(i / 4);
    const auto four = normal ? random.normal4(index) : random.uniform4(index);
    for (size_t k = 0; k < 4 && i + k < values.size(); ++k)
      values[i + k] =
          normal ? static_cast<double>(four[k]) : 2.0 * static_cast<double>(four[k]) - 1.0;
  }
  return values;
}

/// A random place of each image's ball.
Tensor random_start(const Tensor& images, const ProjectedGradient& how,
                    const std::vector<uint64_t>& streams, int64_t restart) {
  const bool normal = how.norm == AttackNorm::l2;
  std::vector<double> values = host_values(images);
  const int64_t width = images.numel() / images.size(0);
  for (size_t i = 0; i < streams.size(); ++i) {
    const std::vector<double> noise =
        random_values(width, normal, how.seed, (streams[i] << 8) + static_cast<uint64_t>(restart));
    double norm = 1.0;
    if (normal) {
      norm = 0.0;
      for (const double v : noise) norm += v * v;
      norm = std::sqrt(norm);
    }
    for (size_t k = 0; k < noise.size(); ++k) {
      double& value = values[i * noise.size() + k];
      value = std::clamp(value + how.eps * noise[k] / norm, 0.0, 1.0);
    }
  }
  const DeviceScope device(images.device());
  const Tensor start = tensor_of(values, images.shape(), images.dtype());
  project(start, images, how.norm, how.eps);  // rounding may have left the ball
  return start;
}

}  // namespace

const char* name_of(AttackNorm norm) { return norm == AttackNorm::linf ? "Linf" : "L2"; }

AttackResult attack_projected_gradient(AttackedModel& model, const AttackBatch& batch,
                                       const ProjectedGradient& how) {
  const auto n = static_cast<size_t>(batch.count());
  const DeviceScope device(batch.images.device());
  const std::vector<uint64_t> streams = streams_of(how, n);
  AttackResult result;
  result.records.resize(n);
  BestImages best(batch);
  for (int64_t restart = 0; restart < std::max<int64_t>(1, how.restarts); ++restart) {
    std::vector<int64_t> rows;
    std::vector<AttackGoal> goals;
    std::vector<uint64_t> own;
    for (size_t i = 0; i < n; ++i) {
      const auto row = static_cast<int64_t>(i);
      if (how.stop_when_reached && best.reached(row)) continue;
      rows.push_back(row);
      goals.push_back(batch.goals[i]);
      own.push_back(streams[i]);
    }
    if (rows.empty()) break;
    const Tensor original = images_at(batch.images, rows);
    const Tensor start =
        restart == 0 ? original.clone(Tag::stream) : random_start(original, how, own, restart);
    ApgdRun(model, how, original, goals, rows, best, result.records).run(start, restart == 0);
  }
  for (size_t i = 0; i < n; ++i) {
    result.records[i].objective = best.objective(static_cast<int64_t>(i));
    result.records[i].reached = best.reached(static_cast<int64_t>(i));
  }
  result.images = best.images();
  return result;
}

AttackResult attack_fast_gradient(AttackedModel& model, const AttackBatch& batch,
                                  const ProjectedGradient& how) {
  const auto n = static_cast<size_t>(batch.count());
  const DeviceScope device(batch.images.device());
  AttackResult result;
  result.records.resize(n);
  const Tensor gradient = model.gradient(batch.images, [&](const ImageScores& said) {
    ImageGradients gradients;
    const ObjectiveValues values = evaluate_objective(how.objective, said, batch.goals, &gradients);
    for (size_t i = 0; i < n; ++i) result.records[i].objective_start = values.values[i];
    return gradients;
  });
  const std::vector<double> squared = image_distances(gradient).squared;
  result.images = stepped(batch.images, gradient, how, std::vector<double>(n, how.eps));
  project(result.images, batch.images, how.norm, how.eps);
  const ObjectiveValues values =
      evaluate_objective(how.objective, model.scores(result.images), batch.goals);
  for (size_t i = 0; i < n; ++i) {
    AttackedImage& record = result.records[i];
    record.objective = values.values[i];
    record.reached = values.reached[i];
    record.fell = values.values[i] < record.objective_start;
    record.gradient_start = std::sqrt(squared[i]);
    record.broken = !std::isfinite(squared[i]) || !std::isfinite(values.values[i]) ||
                    !std::isfinite(values.margins[i]);
    record.steps = 1;
  }
  return result;
}

Tensor random_in_ball(const Tensor& images, AttackNorm norm, const std::vector<double>& radius,
                      uint64_t seed, const std::vector<uint64_t>& streams) {
  std::vector<double> values = host_values(images);
  const int64_t width = images.numel() / images.size(0);
  for (size_t i = 0; i < radius.size(); ++i) {
    std::vector<double> noise =
        random_values(width, norm == AttackNorm::l2, seed, (streams[i] << 8) + 255);
    double scale = 0.0;
    for (double& v : noise) {
      if (norm == AttackNorm::linf) v = v < 0.0 ? -1.0 : 1.0;
      scale += v * v;
    }
    scale = norm == AttackNorm::linf ? 1.0 : std::sqrt(scale);
    for (size_t k = 0; k < noise.size(); ++k) {
      double& value = values[i * noise.size() + k];
      const double step = radius[i] * noise[k] / scale;
      // The other way where this one leaves [0, 1], so that nothing of the size is lost.
      const bool leaves = value + step < 0.0 || value + step > 1.0;
      value = std::clamp(value + (leaves ? -step : step), 0.0, 1.0);
    }
  }
  const DeviceScope device(images.device());
  return tensor_of(values, images.shape(), images.dtype());
}

}  // namespace pal
