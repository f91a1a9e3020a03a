#include "experiments/measures/sampling.h"

#include <algorithm>
#include <cmath>

#include "data/batches/memory_loader.h"
#include "experiments/measures/metrics.h"
#include "kernels/arrays/reduce.h"
#include "kernels/common/backend.h"
#include "runtime/error.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr int64_t kSampleBatch = 100;

/// One stream per class and sample.
uint64_t sample_stream(int64_t y, int64_t i) {
  return static_cast<uint64_t>(y) << 32 | static_cast<uint64_t>(i);
}

}  // namespace

ClassSpread model_spread(const IbInn& model, int64_t y) {
  return {model.head().class_mean(y).to(DType::f32), {}};
}

ClassSpread measured_spread(IbInn& model, const Tensor& images) {
  const int64_t count = images.size(0);
  expect(count >= 2, "measured_spread: expected at least 2 images of a class, got {}", count);
  const Tensor z = encode(model, images);
  const int64_t dims = z.size(1);
  const ClassSpread spread{Tensor::empty({dims}, DType::f32, Tag::data),
                           Tensor::empty({dims}, DType::f32, Tag::data)};
  parallel_for(dims, 64, [&](int64_t begin, int64_t end) {
    for (int64_t d = begin; d < end; ++d) {
      const float* value = z.data<float>() + d;
      double sum = 0.0;
      for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(value[i * dims]);
      const double mean = sum / static_cast<double>(count);
      double squares = 0.0;
      for (int64_t i = 0; i < count; ++i)
        squares += std::pow(static_cast<double>(value[i * dims]) - mean, 2.0);
      spread.mean.data<float>()[d] = static_cast<float>(mean);
      spread.deviation.data<float>()[d] =
          static_cast<float>(std::sqrt(squares / static_cast<double>(count - 1)));
    }
  });
  return spread;
}

Tensor class_latents(const ClassSpread& spread, int64_t y, int64_t first, int64_t count,
                     double temperature, uint64_t seed) {
  const int64_t dims = spread.mean.numel();
  const Tensor& mean = spread.mean;
  const float* const deviations =
      spread.deviation.defined() ? spread.deviation.data<float>() : nullptr;
  Tensor z = Tensor::empty({count, dims}, DType::f32, Tag::data);
  const auto scale = static_cast<float>(temperature);
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Philox random(seed, RandomPurpose::sample, sample_stream(y, first + i));
      float* row = z.data<float>() + i * dims;
      for (int64_t d = 0; d < dims; d += 4) {
        const auto normal = random.normal4(static_cast<uint32_t>(d / 4));
        for (int64_t k = 0; k < std::min<int64_t>(4, dims - d); ++k) {
          const float one = deviations == nullptr ? 1.0F : deviations[d + k];
          row[d + k] = mean.data<float>()[d + k] + scale * one * normal[static_cast<size_t>(k)];
        }
      }
    }
  });
  return z;
}

Tensor interpolate_latents(const Tensor& z, int64_t steps) {
  expect(steps >= 2, "interpolate_latents: expected at least 2 steps, got {}", steps);
  expect(z.rank() == 2 && z.size(0) == 2, "interpolate_latents: expected [2, d], got {}",
         z.shape().str());
  const Tensor ends = z.dense();
  const int64_t dims = z.size(1);
  Tensor line = Tensor::empty({steps, dims}, DType::f32, Tag::data);
  for (int64_t i = 0; i < steps; ++i) {
    const float t = static_cast<float>(i) / static_cast<float>(steps - 1);
    for (int64_t d = 0; d < dims; ++d)
      line.data<float>()[i * dims + d] =
          (1.0F - t) * ends.data<float>()[d] + t * ends.data<float>()[dims + d];
  }
  return line;
}

Tensor morph_latents(const Tensor& z, const Tensor& from, const Tensor& to,
                     const std::vector<double>& steps) {
  expect(z.rank() == 2 && from.shape() == to.shape() && from.shape() == Shape({z.size(1)}),
         "morph_latents: expected [n, d] and two of [d], got {}, {} and {}", z.shape().str(),
         from.shape().str(), to.shape().str());
  const Tensor start = z.dense();
  const int64_t dims = z.size(1);
  const auto count = static_cast<int64_t>(steps.size());
  Tensor line = Tensor::empty({z.size(0) * count, dims}, DType::f32, Tag::data);
  for (int64_t i = 0; i < z.size(0) * count; ++i) {
    const auto t = static_cast<float>(steps[static_cast<size_t>(i % count)]);
    const float* const at = start.data<float>() + i / count * dims;
    for (int64_t d = 0; d < dims; ++d)
      line.data<float>()[i * dims + d] = at[d] + t * (to.data<float>()[d] - from.data<float>()[d]);
  }
  return line;
}

Tensor network_images(const Dataset& set, const InputSpec& input,
                      const std::vector<int64_t>& indices, const TransformSpec& transform) {
  LoaderOptions options;
  options.batch_size = static_cast<int64_t>(indices.size());
  options.noise = false;
  options.mean = input.mean;
  options.std = input.std;
  options.transform = transform;
  return set.batches(indices, evaluation_options(options))->batch(0, 0).images;
}

Tensor encode(IbInn& model, const Tensor& images) {
  const NoGradGuard no_grad;
  Tensor z = Tensor::empty({images.size(0), model.dims()}, DType::f32, Tag::data);
  for (int64_t first = 0; first < z.size(0); first += kSampleBatch) {
    const int64_t count = std::min(kSampleBatch, z.size(0) - first);
    const Variable batch(images.slice_batch(first, count).to(model.device(), Tag::data));
    z.slice_batch(first, count).copy_from(model.forward(batch, Phase::evaluate).y.value());
  }
  if (!cpu::all_finite(z))
    fail(ErrorKind::numerics, "a latent value is not finite; the model has diverged");
  return z;
}

Tensor decode(const IbInn& model, const Tensor& z) {
  const ModelConfig& config = model.config();
  Tensor images = Tensor::empty({z.size(0), config.image_size, config.image_size, config.channels},
                                DType::f32, Tag::data);
  for (int64_t first = 0; first < z.size(0); first += kSampleBatch) {
    const int64_t count = std::min(kSampleBatch, z.size(0) - first);
    images.slice_batch(first, count)
        .copy_from(model.inverse(z.slice_batch(first, count).to(model.device(), Tag::data)));
  }
  if (!PAL_BACKEND(images, all_finite(images)))
    fail(ErrorKind::numerics,
         "inverse: a value is not finite; the network cannot be inverted there");
  return images;
}

std::vector<Image> to_pictures(const Tensor& images, const InputSpec& input) {
  const int64_t channels = images.channels();
  expect(
      static_cast<int64_t>(input.mean.size()) == channels && input.std.size() == input.mean.size(),
      "to_pictures: {} means and {} deviations for {} channels", input.mean.size(),
      input.std.size(), channels);
  const Tensor dense = images.dense();
  const int64_t values = dense.numel() / dense.size(0);
  std::vector<Image> pictures;
  for (int64_t i = 0; i < dense.size(0); ++i) {
    Image picture;
    picture.height = dense.size(1);
    picture.width = dense.size(2);
    picture.channels = channels;
    picture.pixels.reserve(static_cast<size_t>(values));
    const float* x = dense.data<float>() + i * values;
    for (int64_t k = 0; k < values; ++k) {
      const auto c = static_cast<size_t>(k % channels);
      const float level =
          std::clamp(x[k] * input.std[c] + input.mean[c], 0.0F, 1.0F) * static_cast<float>(kLevels);
      picture.pixels.push_back(static_cast<uint8_t>(std::lround(level)));
    }
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

InversionError inversion_error(const Tensor& original, const Tensor& rebuilt) {
  expect(original.shape() == rebuilt.shape(), "inversion_error: {} and {}", original.shape().str(),
         rebuilt.shape().str());
  const Tensor a = original.dense();
  const Tensor b = rebuilt.dense();
  InversionError error;
  double sum = 0.0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double difference =
        std::abs(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i]));
    error.largest = std::max(error.largest, difference);
    sum += difference;
  }
  error.mean = sum / static_cast<double>(a.numel());
  return error;
}

}  // namespace pal
