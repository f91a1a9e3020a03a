#include "experiments/explain/receptive_field.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/batches/order.h"
#include "experiments/explain/doubles.h"
#include "experiments/explain/explained_images.h"
#include "layers/fixed_blocks.h"
#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// The blocks of a flow up to its pooling, for backward passes from the final feature map.
class FeatureBlocks {
 public:
  explicit FeatureBlocks(const InvertibleChain& chain) : chain_(chain) {
    while (count_ < chain.size() && dynamic_cast<DctBlock*>(&chain.block(count_)) == nullptr)
      ++count_;
  }

  Tensor forward(Tensor x) {
    memory_.assign(static_cast<size_t>(count_), BlockMemory());
    log_det_ = Tensor::zeros({x.size(0)}, DType::f64, Tag::workspace);
    for (int i = 0; i < count_; ++i) {
      BlockMemory& kept = memory_[static_cast<size_t>(i)];
      kept.policy = ActivationPolicy::recompute;
      kept.phase = Phase::evaluate;
      x = chain_.block(i).forward(x, log_det_, Phase::evaluate, &kept);
    }
    return x;
  }

  /// The images' gradient, of that of what forward() returned last.
  Tensor backward(Tensor grad) {
    BlockBackward current{{}, std::move(grad)};
    const Tensor no_grad_log_det = Tensor::zeros(log_det_.shape(), DType::f64, Tag::workspace);
    for (int i = count_ - 1; i >= 0; --i)
      current = chain_.block(i).backward(std::move(current.x), std::move(current.grad_x),
                                         no_grad_log_det, memory_[static_cast<size_t>(i)], true);
    return current.grad_x;
  }

 private:
  const InvertibleChain& chain_;
  int count_ = 0;
  std::vector<BlockMemory> memory_;
  Tensor log_det_;  // f64 [n], which blocks add to
};

/// Gradients of the images [n, h, w, c] of one feature at the centre after another.
class CentralFeatures {
 public:
  explicit CentralFeatures(Model& model)
      : flow_(dynamic_cast<IbInn*>(&model)), resnet_(dynamic_cast<ResNet*>(&model)) {
    expect(flow_ != nullptr || resnet_ != nullptr, "receptive_field: an unknown kind of network");
  }

  /// Shape of the final feature map of images of a shape.
  Shape map_of(const Tensor& images) {
    const NoGradGuard no_grad;
    if (flow_ != nullptr) return FeatureBlocks(flow_->chain()).forward(images).shape();
    return resnet_->feature_map(Variable(images), Phase::evaluate).value().shape();
  }

  Tensor gradient(const Tensor& images, int64_t feature) {
    const TagScope tag(Tag::stream);
    if (flow_ != nullptr) {
      const NoGradGuard no_grad;
      FeatureBlocks blocks(flow_->chain());
      const Tensor map = blocks.forward(images);
      return blocks.backward(seed_of(map, feature));
    }
    const Variable input(images, true);
    Variable map = resnet_->feature_map(input, Phase::evaluate);
    const Tensor seed = seed_of(map.value(), feature);
    backward_from(std::move(map), seed);
    return input.grad();
  }

 private:
  /// 1 for one feature at the centre of each image.
  static Tensor seed_of(const Tensor& map, int64_t feature) {
    const int64_t pixels = map.size(1) * map.size(2), channels = map.channels();
    const int64_t centre = map.size(1) / 2 * map.size(2) + map.size(2) / 2;
    const Tensor seed = Tensor::zeros(map.shape(), DType::f64, Tag::workspace, Device());
    for (int64_t i = 0; i < map.size(0); ++i)
      seed.data<double>()[(i * pixels + centre) * channels + feature] = 1.0;
    return seed.to(map.dtype()).to(map.device(), Tag::stream);
  }

  IbInn* flow_;
  ResNet* resnet_;
};

}  // namespace

ReceptiveField receptive_field(Model& model, const Tensor& images, const ReceptiveFieldSpec& spec) {
  const DeviceScope device(images.device());
  CentralFeatures central(model);
  ReceptiveField field;
  field.side = images.size(1);
  const Shape map = central.map_of(images.slice_batch(0, 1));
  field.map = map[1];
  field.features = map.last();
  // The first of a random order, so that all are the same at any number.
  std::vector<int64_t> features = epoch_order(field.features, spec.seed, 0);
  if (spec.channels > 0 && spec.channels < field.features)
    features.resize(static_cast<size_t>(spec.channels));
  field.channels = static_cast<int64_t>(features.size());
  const int64_t pixels = field.side * field.side, colours = images.channels();
  field.sensitivity.assign(static_cast<size_t>(pixels), 0.0);
  const double factor =
      static_cast<double>(field.features) / static_cast<double>(field.channels * images.size(0));
  const int64_t most = images_at_once(model.config());
  const int64_t batches = (images.size(0) + most - 1) / most;
  int64_t done = 0;
  for (int64_t first = 0; first < images.size(0); first += most) {
    const Tensor part = images.slice_batch(first, std::min(most, images.size(0) - first));
    for (const int64_t feature : features) {
      const std::vector<double> grad = to_doubles(central.gradient(part, feature));
      for (size_t i = 0; i < grad.size(); ++i)
        field.sensitivity[i / static_cast<size_t>(colours) % static_cast<size_t>(pixels)] +=
            factor * std::abs(grad[i]);
      ++done;
      if (spec.progress) spec.progress(done, batches * field.channels);
    }
  }
  if (!std::ranges::all_of(field.sensitivity, [](double s) { return std::isfinite(s); }))
    fail(ErrorKind::numerics, "the sensitivity of a pixel is not finite; the model has diverged");
  return field;
}

CrossSection cross_section(const ReceptiveField& field) {
  const auto peak = std::ranges::max_element(field.sensitivity) - field.sensitivity.begin();
  const int64_t row = peak / field.side, column = peak % field.side;
  CrossSection section;
  for (int64_t offset = 1 - field.side; offset < field.side; ++offset) {
    double sum = 0.0;
    int count = 0;
    const auto take = [&](int64_t r, int64_t c) {
      if (std::min(r, c) < 0 || std::max(r, c) >= field.side) return;
      sum += field.sensitivity[static_cast<size_t>(r * field.side + c)];
      ++count;
    };
    take(row, column + offset);
    take(row + offset, column);
    if (count == 0) continue;
    section.offset.push_back(static_cast<double>(offset));
    section.sensitivity.push_back(sum / count);
  }
  return section;
}

double full_width_at_half_maximum(const CrossSection& section) {
  const auto& s = section.sensitivity;
  const auto zero = std::ranges::find(section.offset, 0.0) - section.offset.begin();
  const auto peak = static_cast<size_t>(zero);
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  if (peak >= s.size() || !(s[peak] > 0.0)) return kUnknown;
  const double half = 0.5 * s[peak];
  // Where the line from one pixel to the next crosses half the maximum.
  const auto crossing = [&](size_t inner, size_t outer) {
    const double share = (s[inner] - half) / (s[inner] - s[outer]);
    return section.offset[inner] + share * (section.offset[outer] - section.offset[inner]);
  };
  size_t left = peak, right = peak;
  while (left > 0 && s[left - 1] > half) --left;
  while (right + 1 < s.size() && s[right + 1] > half) ++right;
  if (left == 0 || right + 1 == s.size()) return kUnknown;
  return crossing(right, right + 1) - crossing(left, left - 1);
}

}  // namespace pal
