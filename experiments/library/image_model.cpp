#include "experiments/library/image_model.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "experiments/command_line/run_options.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/metrics.h"
#include "experiments/measures/sampling.h"
#include "kernels/arrays/host_values.h"
#include "kernels/arrays/reduce.h"
#include "kernels/coupling/act_norm.h"
#include "kernels/image/image_math.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr int64_t kPiece = 100;  // images at once
constexpr int64_t kMostSamples = int64_t{1} << 32;

/// Whether this process was forked off one that had loaded models: the threads that loops waited for
/// stayed there.
std::atomic<bool> forked_off = false;

void notice_forks() {
  [[maybe_unused]] static const int once =
      ::pthread_atfork(nullptr, nullptr, [] { forked_off = true; });
}

/// What this thread has set stays as it was.
int threads_for(int wanted) {
  const ThreadScope restored(thread_count());
  set_thread_count(forked_off ? 1 : wanted);
  return thread_count();
}

void expect_finite(std::span<const double> values, const char* what) {
  for (const double value : values)
    if (!std::isfinite(value))
      fail(ErrorKind::numerics, "a {} is not finite; the images are too strange for this network",
           what);
}

/// The class that is meant for image i by one class for each image, or one for all.
int64_t class_for(std::span<const int64_t> classes, int64_t i) {
  return classes[classes.size() == 1 ? 0 : static_cast<size_t>(i)];
}

std::span<const double> part_of(std::span<const double> values, int64_t first, int64_t count) {
  return values.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
}

LoadedModel load_as_saved(const std::string& path) {
  return load_model(path, [](ModelConfig& config) { set_precision(RunOptions(), config); });
}

}  // namespace

/// A call holds the model and sets the number of threads for its own.
class ImageModel::Call {
 public:
  explicit Call(ImageModel& model)
      : held_(hold(model)), threads_(model.facts_.threads), device_(device_of(model)) {}

 private:
  static std::unique_lock<std::mutex> hold(ImageModel& model) {
    expect(::getpid() == model.process_,
           "model: loaded before this process was forked off; load it again here, or start "
           "processes by 'spawn'");
    return std::unique_lock(model.mutex_);
  }
  static Device device_of(const ImageModel& model) {
    expect(model.loaded_.model != nullptr, "model: it is closed");
    return model.loaded_.model->device();
  }

  std::unique_lock<std::mutex> held_;
  ThreadScope threads_;
  DeviceScope device_;
};

ImageModel::ImageModel(const std::string& path, ImageModelOptions options)
    : options_(std::move(options)), process_(::getpid()) {
  notice_forks();
  facts_.threads = threads_for(options_.threads);
  const ThreadScope threads(facts_.threads);
  const Device device = parse_device(options_.device);
  facts_.checkpoint = checkpoint_of(path);
  loaded_ = load_as_saved(facts_.checkpoint);
  // Of the weights as the file has them, so before they move.
  const std::string digest = model_digest(loaded_);
  calibration_ = ModelCalibration::find(calibration_path(facts_.checkpoint, digest), "", digest);
  settle(device);
}

ImageModel::ImageModel(LoadedModel loaded, ImageModelOptions options)
    : options_(std::move(options)), loaded_(std::move(loaded)), process_(::getpid()) {
  notice_forks();
  facts_.threads = threads_for(options_.threads);
  const ThreadScope threads(facts_.threads);
  settle(parse_device(options_.device));
}

void ImageModel::settle(Device device) {
  Model& model = *loaded_.model;
  model.to(device);
  const ModelConfig& config = model.config();
  const InputSpec& input = loaded_.input;
  facts_.architecture = config.arch;
  facts_.classes = config.classes;
  facts_.class_names = model_class_names(input, config.classes);
  facts_.image_size = config.image_size;
  facts_.channels = config.channels;
  facts_.dims = model.dims();
  facts_.has_density = model.has_density();
  facts_.mean = input.mean;
  facts_.std = input.std;
  if (calibration_) facts_.temperature = calibration_->temperature();
  facts_.device = device.str();
  std::vector<double> scale, shift, grad_scale;
  for (size_t c = 0; c < input.std.size(); ++c) {
    const auto deviation = static_cast<double>(input.std[c]);
    // Of levels, by the numbers that images of data sets are normalised by, so to the same bits.
    scale.push_back(static_cast<double>(image_math::scale_of(deviation)));
    shift.push_back(
        static_cast<double>(image_math::shift_of(static_cast<double>(input.mean[c]), deviation)));
    grad_scale.push_back(1.0 / deviation);
    log_std_ += std::log(deviation) / static_cast<double>(input.std.size());
  }
  const DeviceScope scope(device);
  const Shape channels = {static_cast<int64_t>(scale.size())};
  scale_ = tensor_of(scale, channels, model.dtype());
  shift_ = tensor_of(shift, channels, model.dtype());
  grad_scale_ = tensor_of(grad_scale, channels, model.dtype());
  none_ = Tensor::zeros(channels, model.dtype());
}

void ImageModel::check_images(const PixelView& images) const {
  const auto [n, height, width, channels] = images.extents;
  const int64_t size = facts_.image_size;
  expect(height == size && width == size && channels == facts_.channels,
         "images: expected [n, {}, {}, {}], got [{}, {}, {}, {}]", size, size, facts_.channels, n,
         height, width, channels);
  expect(n > 0, "images: expected at least one");
}

IbInn& ImageModel::flow(const char* what) {
  expect(facts_.has_density, "{}: {} only classifies; this needs an invertible network", what,
         facts_.architecture);
  return flow_of(loaded_, facts_.checkpoint);
}

void ImageModel::in_pieces(int64_t n, const std::function<void(int64_t, int64_t)>& body) {
  for (int64_t first = 0; first < n; first += kPiece) {
    if (first > 0 && options_.between_pieces) options_.between_pieces();
    body(first, std::min(kPiece, n - first));
  }
}

Tensor ImageModel::normalised(const PixelView& images, int64_t first, int64_t count) const {
  const Model& model = *loaded_.model;
  const Tensor x = pixel_levels(images, first, count, model.dtype(), options_.check_range)
                       .to(model.device(), Tag::data);
  PAL_BACKEND(x, act_norm_forward(x, scale_, shift_, x));
  return x;
}

ImageAnswers ImageModel::answers(const PixelView& images) {
  const Call call(*this);
  check_images(images);
  ImageAnswers all;
  in_pieces(images.count(), [&](int64_t first, int64_t count) {
    const ModelScores said = loaded_.model->scores_of(normalised(images, first, count));
    expect_finite(said.scores, "class score");
    expect_finite(said.nll_joint, "density");
    all.scores.insert(all.scores.end(), said.scores.begin(), said.scores.end());
    for (const double nll : said.nll_joint) {
      const double density = log_density(nll, said.classes, facts_.dims);
      all.log_prob.push_back(static_cast<double>(facts_.dims) * (density - log_std_));
      all.bits_per_dim.push_back(bits_per_dim(density, facts_.std));
    }
  });
  return all;
}

std::vector<double> ImageModel::posterior(const PixelView& images, bool calibrated) {
  expect(!calibrated || calibration_.has_value(),
         "posterior: there is no calibration of this model; pal-evaluate --calibrate makes one");
  const ImageAnswers said = answers(images);
  const auto classes = static_cast<size_t>(facts_.classes);
  std::vector<double> all(said.scores.size());
  for (size_t at = 0; at < all.size(); at += classes) {
    const auto row = std::span(said.scores).subspan(at, classes);
    const auto to = std::span(all).subspan(at, classes);
    if (calibrated)
      std::ranges::copy(calibration_->posterior(row), to.begin());
    else
      judge_scores(row, 0, 0.0, to);
  }
  return all;
}

Tensor ImageModel::encode(const PixelView& images) {
  const Call call(*this);
  check_images(images);
  IbInn& network = flow("encode");
  Tensor z = Tensor::empty({images.count(), facts_.dims}, DType::f32, Tag::data, Device());
  in_pieces(images.count(), [&](int64_t first, int64_t count) {
    z.slice_batch(first, count).copy_from(pal::encode(network, normalised(images, first, count)));
  });
  return z;
}

void ImageModel::decode_piece(const IbInn& network, const Tensor& z, const Tensor& out) const {
  out.copy_from(pal::decode(network, z));
  auto* const pixels = out.data<float>();
  const int64_t channels = facts_.channels;
  for (int64_t k = 0; k < out.numel(); ++k) {
    const auto c = static_cast<size_t>(k % channels);
    pixels[k] = pixels[k] * facts_.std[c] + facts_.mean[c];
  }
}

Tensor ImageModel::decode(const Tensor& z) {
  const Call call(*this);
  const IbInn& network = flow("decode");
  expect(z.rank() == 2 && z.size(0) > 0 && z.size(1) == facts_.dims && z.dtype() == DType::f32,
         "latents: expected [n, {}] of f32 with n at least 1, got {} of {}", facts_.dims,
         z.shape().str(), name_of(z.dtype()));
  expect(cpu::all_finite(z), "latents: a value is not finite");
  const int64_t size = facts_.image_size;
  Tensor images =
      Tensor::empty({z.size(0), size, size, facts_.channels}, DType::f32, Tag::data, Device());
  in_pieces(z.size(0), [&](int64_t first, int64_t count) {
    decode_piece(network, z.slice_batch(first, count), images.slice_batch(first, count));
  });
  return images;
}

Tensor ImageModel::sample(int64_t y, int64_t n, double temperature, uint64_t seed, bool clip) {
  const Call call(*this);
  const IbInn& network = flow("sample");
  expect(y >= 0 && y < facts_.classes, "class: expected 0 to {}, got {}", facts_.classes - 1, y);
  expect(n > 0 && n <= kMostSamples, "n: expected at least 1 sample, got {}", n);
  expect(std::isfinite(temperature) && temperature >= 0.0,
         "temperature: expected a number of at least 0, got {}", temperature);
  const ClassSpread spread = model_spread(network, y);
  const int64_t size = facts_.image_size;
  Tensor images = Tensor::empty({n, size, size, facts_.channels}, DType::f32, Tag::data, Device());
  in_pieces(n, [&](int64_t first, int64_t count) {
    decode_piece(network, class_latents(spread, y, first, count, temperature, seed),
                 images.slice_batch(first, count));
  });
  if (clip)
    for (float& pixel : std::span(images.data<float>(), static_cast<size_t>(images.numel())))
      pixel = std::clamp(pixel, 0.0F, 1.0F);
  return images;
}

Tensor ImageModel::evidence(const PixelView& images, std::span<const int64_t> a,
                            std::span<const int64_t> b) {
  const Call call(*this);
  check_images(images);
  IbInn& network = flow("evidence");
  const int64_t n = images.count();
  for (const auto classes : {a, b}) {
    expect(std::ssize(classes) == 1 || std::ssize(classes) == n,
           "evidence: expected one class, or one for each of {} images, got {}", n, classes.size());
    for (const int64_t y : classes)
      expect(y >= 0 && y < facts_.classes, "class: expected 0 to {}, got {}", facts_.classes - 1,
             y);
  }
  if (!positions_)
    positions_.emplace(network.head().means(), network.dims(), network.head().spec().mean_dims);
  const int64_t side = positions_->side();
  const int64_t positions = side * side;
  Tensor maps = Tensor::empty({n, side, side}, DType::f64, Tag::data, Device());
  in_pieces(n, [&](int64_t first, int64_t count) {
    const Tensor g =
        positions_->log_densities(pal::encode(network, normalised(images, first, count)));
    for (int64_t i = 0; i < count; ++i) {
      const double* const own = g.data<double>() + i * facts_.classes * positions;
      const double* const of = own + class_for(a, first + i) * positions;
      const double* const against = own + class_for(b, first + i) * positions;
      double* const to = maps.data<double>() + (first + i) * positions;
      for (int64_t p = 0; p < positions; ++p) to[p] = of[p] - against[p];
    }
  });
  return maps;
}

Tensor ImageModel::vjp(const PixelView& images, std::span<const double> grad_scores,
                       std::span<const double> grad_log_prob) {
  const Call call(*this);
  check_images(images);
  const int64_t n = images.count();
  const int64_t classes = facts_.classes;
  expect(!grad_scores.empty() || !grad_log_prob.empty(),
         "vjp: expected derivatives of scores, of log_prob or of both");
  expect(grad_scores.empty() || std::ssize(grad_scores) == n * classes,
         "vjp: expected {} derivatives of scores, got {}", n * classes, grad_scores.size());
  expect(grad_log_prob.empty() || std::ssize(grad_log_prob) == n,
         "vjp: expected {} derivatives of log_prob, got {}", n, grad_log_prob.size());
  expect(grad_log_prob.empty() || facts_.has_density, "vjp: {} has no density, so no log_prob",
         facts_.architecture);
  for (const auto derivatives : {grad_scores, grad_log_prob})
    for (const double derivative : derivatives)
      expect(std::isfinite(derivative), "vjp: a derivative is {}", derivative);
  const int64_t size = facts_.image_size;
  Tensor grad = Tensor::empty({n, size, size, facts_.channels}, DType::f32, Tag::data, Device());
  in_pieces(n, [&](int64_t first, int64_t count) {
    ScoreGradients wanted;
    if (grad_scores.empty())
      wanted.scores.resize(static_cast<size_t>(count * classes));
    else
      std::ranges::copy(part_of(grad_scores, first * classes, count * classes),
                        std::back_inserter(wanted.scores));
    if (!grad_log_prob.empty())
      for (const double derivative : part_of(grad_log_prob, first, count))
        wanted.nll_joint.push_back(-static_cast<double>(facts_.dims) * derivative);
    const Tensor of_input = loaded_.model->input_gradient(
        normalised(images, first, count), [&](const ModelScores&) { return wanted; });
    PAL_BACKEND(of_input, act_norm_forward(of_input, grad_scale_, none_, of_input));
    grad.slice_batch(first, count).copy_from(of_input.to(Device()).to(DType::f32));
  });
  if (!cpu::all_finite(grad))
    fail(ErrorKind::numerics,
         "a gradient is not finite; the images are too strange for this network");
  return grad;
}

void ImageModel::close() {
  const std::unique_lock held(mutex_);
  if (loaded_.model == nullptr) return;
  const Device device = loaded_.model->device();
  loaded_ = {};
  positions_.reset();
  scale_ = shift_ = grad_scale_ = none_ = Tensor();
  Allocator::of(device).trim();
}

bool ImageModel::closed() {
  const std::unique_lock held(mutex_);
  return loaded_.model == nullptr;
}

}  // namespace pal
