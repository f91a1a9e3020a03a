#include "data/variants/variant_set.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr std::array kNames = {
    std::pair("hflip", Variant::hflip),       std::pair("vflip", Variant::vflip),
    std::pair("inverted", Variant::inverted), std::pair("low-contrast", Variant::low_contrast),
    std::pair("noise", Variant::noise),       std::pair("shuffled", Variant::shuffled),
    std::pair("constant", Variant::constant)};

constexpr double kContrast = 0.3;
constexpr double kMost = 255.0;

/// The levels of one image, channels last.
struct Levels {
  int64_t height, width, channels;
  std::vector<double> values;

  double& at(int64_t y, int64_t x, int64_t c) {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
};

void lower_contrast(Levels& image) {
  const int64_t pixels = image.height * image.width;
  for (int64_t c = 0; c < image.channels; ++c) {
    double mean = 0.0;
    for (int64_t i = 0; i < pixels; ++i)
      mean += image.values[static_cast<size_t>(i * image.channels + c)];
    mean /= static_cast<double>(pixels);
    for (int64_t i = 0; i < pixels; ++i) {
      double& value = image.values[static_cast<size_t>(i * image.channels + c)];
      value = std::round(mean + kContrast * (value - mean));
    }
  }
}

void apply(Variant variant, Levels& image, const Philox& random) {
  const auto level = [&](uint32_t index) { return static_cast<double>(random.below(index, 256)); };
  const Levels before = image;
  Levels from = before;
  switch (variant) {
    case Variant::hflip:
    case Variant::vflip:
      for (int64_t y = 0; y < image.height; ++y)
        for (int64_t x = 0; x < image.width; ++x)
          for (int64_t c = 0; c < image.channels; ++c)
            image.at(y, x, c) = variant == Variant::hflip ? from.at(y, image.width - 1 - x, c)
                                                          : from.at(image.height - 1 - y, x, c);
      return;
    case Variant::inverted:
      for (double& value : image.values) value = kMost - value;
      return;
    case Variant::low_contrast:
      lower_contrast(image);
      return;
    case Variant::noise:
      for (size_t i = 0; i < image.values.size(); ++i)
        image.values[i] = level(static_cast<uint32_t>(i));
      return;
    case Variant::constant:
      for (size_t i = 0; i < image.values.size(); ++i)
        image.values[i] = level(static_cast<uint32_t>(i % static_cast<size_t>(image.channels)));
      return;
    case Variant::shuffled:
      break;
  }
  std::vector<int64_t> order(static_cast<size_t>(image.height * image.width));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[random.below(static_cast<uint32_t>(i), i + 1)]);
  for (size_t i = 0; i < order.size(); ++i)
    for (int64_t c = 0; c < image.channels; ++c)
      image.values[i * static_cast<size_t>(image.channels) + static_cast<size_t>(c)] =
          before.values[static_cast<size_t>(order[i] * image.channels + c)];
}

class VariantBatches : public Batches {
 public:
  VariantBatches(std::unique_ptr<Batches> base, LoaderOptions options, Variant variant)
      : base_(std::move(base)), options_(std::move(options)), variant_(variant) {}

  const LoaderOptions& options() const override { return options_; }
  int64_t count() const override { return base_->count(); }
  double stall_seconds() const override { return base_->stall_seconds(); }
  Batch batch(int64_t epoch, int64_t step) override {
    Batch made = base_->batch(epoch, step);
    expect(made.views == 1, "variant_set: expected one view of each image, got {}", made.views);
    for (int64_t i = 0; i < made.images.size(0); ++i)
      change(made.images.slice_batch(i, 1), made.indices[static_cast<size_t>(i)]);
    if (!options_.device.is_cpu()) made.images = made.images.to(options_.device, Tag::data);
    return made;
  }

 private:
  void change(const Tensor& t, int64_t index) const {
    Levels image{t.size(1), t.size(2), t.channels(), {}};
    auto* const values = t.data<float>();
    const auto mean = [&](int64_t i) {
      return static_cast<double>(options_.mean[static_cast<size_t>(i % image.channels)]);
    };
    const auto deviation = [&](int64_t i) {
      return static_cast<double>(options_.std[static_cast<size_t>(i % image.channels)]);
    };
    for (int64_t i = 0; i < t.numel(); ++i)
      image.values.push_back(std::round(kMost * (values[i] * deviation(i) + mean(i))));
    apply(variant_, image,
          Philox(options_.seed, RandomPurpose::sample, static_cast<uint64_t>(index)));
    for (int64_t i = 0; i < t.numel(); ++i)
      values[i] = static_cast<float>((image.values[static_cast<size_t>(i)] / kMost - mean(i)) /
                                     deviation(i));
  }

  std::unique_ptr<Batches> base_;
  LoaderOptions options_;
  Variant variant_;
};

class VariantSet : public Dataset {
 public:
  VariantSet(const Dataset& base, Variant variant)
      : Dataset(base.info()), base_(base), variant_(variant) {
    info_.name = name_of(variant);
  }
  using Dataset::batches;
  std::unique_ptr<Batches> batches(std::vector<int64_t> indices,
                                   const LoaderOptions& options) const override {
    expect(!options.noise && !options.flip && options.shift == 0 && !options.shuffle,
           "variant_set: {} images come without noise and augmentation", info_.name);
    LoaderOptions plain = options;
    plain.device = Device();
    return std::make_unique<VariantBatches>(base_.batches(std::move(indices), plain), options,
                                            variant_);
  }
  int32_t label(int64_t index) const override { return base_.label(index); }
  std::string item_name(int64_t index) const override { return base_.item_name(index); }
  bool has_colour() const override { return base_.has_colour(); }

 private:
  const Dataset& base_;
  Variant variant_;
};

}  // namespace

const char* name_of(Variant variant) {
  for (const auto& [name, value] : kNames)
    if (value == variant) return name;
  fail(ErrorKind::failure, "name_of: no such variant");
}

std::optional<Variant> variant_of(const std::string& name) {
  for (const auto& [known, value] : kNames)
    if (name == known) return value;
  return std::nullopt;
}

std::vector<std::string> variant_names() {
  std::vector<std::string> names;
  for (const auto& [name, value] : kNames) names.emplace_back(name);
  return names;
}

std::unique_ptr<Dataset> variant_set(const Dataset& base, Variant variant) {
  return std::make_unique<VariantSet>(base, variant);
}

}  // namespace pal
