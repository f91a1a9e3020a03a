#include "experiments/attacks/square.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/arrays/host_values.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

/// The share of pixels of a square, which is halved at these of 10,000 queries.
double share_at(const RandomSquares& how, int64_t query) {
  const double done =
      10000.0 * static_cast<double>(query) / static_cast<double>(std::max<int64_t>(1, how.queries));
  double share = how.share;
  for (const double step : {10.0, 50.0, 200.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0, 8000.0})
    if (done > step) share *= 0.5;
  return share;
}

/// Images that are tried, on the host.
class SquareImages {
 public:
  SquareImages(const Tensor& images, const RandomSquares& how)
      : shape_(images.shape()), how_(how), original_(host_values(images)), kept_(original_) {
    width_ = static_cast<size_t>(images.numel() / images.size(0));
  }

  /// The image of a row with a change: stripes at first, then a square.
  std::span<const double> tried(size_t row, const Philox& random, int64_t query) {
    own_.assign(kept_.begin() + static_cast<std::ptrdiff_t>(row * width_),
                kept_.begin() + static_cast<std::ptrdiff_t>((row + 1) * width_));
    const int64_t height = shape_[1], wide = shape_[2];
    // Numbers of a query: its place, then the signs of colours, or of columns and colours.
    const auto base = static_cast<uint32_t>(query) << 12;
    if (query == 0) {
      for (int64_t x = 0; x < wide; ++x) paint(row, random, base + 1, x, 0, x, 1, height);
      return own_;
    }
    const double area = share_at(how_, query) * static_cast<double>(height * wide);
    const int64_t most = std::max<int64_t>(1, std::min(height, wide) - 1);
    const int64_t side = std::clamp<int64_t>(std::llround(std::sqrt(area)), 1, most);
    const auto top =
        static_cast<int64_t>(random.below(base, static_cast<uint64_t>(height - side + 1)));
    const auto left =
        static_cast<int64_t>(random.below(base + 1, static_cast<uint64_t>(wide - side + 1)));
    paint(row, random, base + 2, 0, top, left, side, side);
    return own_;
  }

  void keep(size_t row, std::span<const double> values) {
    std::ranges::copy(values, kept_.begin() + static_cast<std::ptrdiff_t>(row * width_));
  }

  const std::vector<double>& kept() const { return kept_; }

 private:
  /// original +- eps in a rectangle, a sign for each colour.
  void paint(size_t row, const Philox& random, uint32_t first, int64_t stripe, int64_t top,
             int64_t left, int64_t wide, int64_t high) {
    const int64_t channels = shape_[3];
    for (int64_t c = 0; c < channels; ++c) {
      const auto number = static_cast<uint32_t>(stripe * channels + c);
      const double sign = random.below(first + number, 2) == 0 ? -1.0 : 1.0;
      for (int64_t y = top; y < top + high; ++y)
        for (int64_t x = left; x < left + wide; ++x) {
          const auto at = static_cast<size_t>((y * shape_[2] + x) * channels + c);
          own_[at] = std::clamp(original_[row * width_ + at] + sign * how_.eps, 0.0, 1.0);
        }
    }
  }

  Shape shape_;
  const RandomSquares& how_;
  std::vector<double> original_, kept_, own_;
  size_t width_ = 0;
};

}  // namespace

AttackResult attack_square(AttackedModel& model, const AttackBatch& batch,
                           const RandomSquares& how) {
  const auto n = static_cast<size_t>(batch.count());
  const DeviceScope device(batch.images.device());
  const Shape& shape = batch.images.shape();
  SquareImages images(batch.images, how);
  AttackResult result;
  result.records.resize(n);
  const AttackObjective objective = {.loss = AttackLoss::margin};
  const ObjectiveValues begun =
      evaluate_objective(objective, model.scores(batch.images), batch.goals);
  for (size_t i = 0; i < n; ++i) {
    const bool finite = std::isfinite(begun.margins[i]);
    result.records[i].objective_start = result.records[i].objective =
        finite ? begun.margins[i] : std::numeric_limits<double>::infinity();
    result.records[i].reached = finite && begun.reached[i];
    result.records[i].broken = !finite;
    // No gradient is looked at.
    result.records[i].gradient_start = std::numeric_limits<double>::quiet_NaN();
  }
  for (int64_t query = 0; query < how.queries; ++query) {
    std::vector<size_t> rows;
    std::vector<AttackGoal> goals;
    std::vector<double> tried;
    for (size_t i = 0; i < n; ++i) {
      if (result.records[i].reached) continue;
      const uint64_t stream = how.streams.empty() ? i : how.streams[i];
      const auto values =
          images.tried(i, Philox(how.seed, RandomPurpose::sample, (stream << 8) + 254), query);
      rows.push_back(i);
      goals.push_back(batch.goals[i]);
      tried.insert(tried.end(), values.begin(), values.end());
    }
    if (rows.empty()) break;
    const Shape some = {static_cast<int64_t>(rows.size()), shape[1], shape[2], shape[3]};
    const ObjectiveValues found = evaluate_objective(
        objective, model.scores(tensor_of(tried, some, batch.images.dtype())), goals);
    const size_t width = tried.size() / rows.size();
    for (size_t k = 0; k < rows.size(); ++k) {
      AttackedImage& record = result.records[rows[k]];
      ++record.steps;
      if (!std::isfinite(found.margins[k])) {
        record.broken = true;
        continue;
      }
      if (found.margins[k] >= record.objective) continue;
      record.objective = found.margins[k];
      record.reached = found.reached[k];
      record.fell = true;
      images.keep(rows[k], std::span(tried).subspan(k * width, width));
    }
  }
  result.images = tensor_of(images.kept(), shape, batch.images.dtype());
  return result;
}

}  // namespace pal
