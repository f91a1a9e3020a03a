#include "experiments/trust/model_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "experiments/measures/metrics.h"
#include "experiments/measures/temperature.h"
#include "layers/checkpoint/digest.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

constexpr const char* kFormat = "palindrome-calibration";
constexpr const char* kVersion = "1";
constexpr size_t kTests = 3;

Tensor vector_of(const std::vector<double>& values) {
  const Tensor t = Tensor::empty({static_cast<int64_t>(values.size())}, DType::f64);
  std::ranges::copy(values, t.data<double>());
  return t;
}

std::vector<double> values_in(const SafetensorsFile& file, const std::string& name) {
  const TensorInfo& info = file.info(name);
  if (info.dtype_name != "F64" || info.shape.size() != 1 || info.shape[0] < 1)
    fail(ErrorKind::data, "{}: {}: expected F64 of rank 1, got {} of rank {}", file.name(), name,
         info.dtype_name, info.shape.size());
  const Tensor t = file.tensor(name);
  return {t.data<double>(), t.data<double>() + t.numel()};
}

ConformalScores scores_in(const SafetensorsFile& file, const std::string& name) {
  std::vector<double> values = values_in(file, name);
  if (!std::ranges::all_of(values, [](double v) { return std::isfinite(v); }))
    fail(ErrorKind::data, "{}: {}: a value is not finite", file.name(), name);
  return ConformalScores(std::move(values));
}

void take(Digest& digest, const void* bytes, size_t count) {
  digest.update({static_cast<const uint8_t*>(bytes), count});
}

void take(Digest& digest, const std::string& name, const Tensor& tensor) {
  take(digest, name.c_str(), name.size() + 1);
  const Tensor values = tensor.to(Device()).dense();
  take(digest, values.raw(), static_cast<size_t>(values.bytes()));
}

}  // namespace

double entropy_of(std::span<const double> posterior) {
  double entropy = 0.0;
  for (const double q : posterior)
    if (q > 0.0) entropy -= q * std::log(q);
  return entropy;
}

ModelCalibration ModelCalibration::fit(const TrustScores& held_out, const Reading& reading) {
  const int64_t count = held_out.classes.count();
  expect(count >= kFewest,
         "--calibrate: {} held-out images; expected at least {} (a larger --validation in training "
         "holds out more)",
         count, kFewest);
  const double temperature = fit_temperature(held_out.classes);
  const std::vector<double> q = posteriors(held_out.classes, temperature);
  std::vector<double> label_scores, entropies;
  const auto classes = static_cast<size_t>(held_out.classes.classes);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const std::span<const double> row(q.data() + i * classes, classes);
    label_scores.push_back(1.0 - row[static_cast<size_t>(held_out.classes.labels[i])]);
    entropies.push_back(entropy_of(row));
  }
  ModelCalibration fitted(reading, temperature, ConformalScores(std::move(label_scores)),
                          ConformalScores(std::move(entropies)));
  if (!held_out.log_density.empty()) {
    fitted.density_.emplace(held_out.log_density);
    fitted.excess_.emplace(held_out.excess);
  }
  return fitted;
}

double ModelCalibration::least_p() const {
  return static_cast<double>(kTests) / static_cast<double>(count() + 1);
}

std::vector<double> ModelCalibration::posterior(std::span<const double> scores) const {
  std::vector<double> scaled(scores.begin(), scores.end());
  for (double& s : scaled) s /= temperature_;
  std::vector<double> q(scaled.size());
  judge_scores(scaled, 0, 0.0, q);
  return q;
}

std::vector<int32_t> ModelCalibration::class_set(std::span<const double> posterior,
                                                 double level) const {
  const double most = label_scores_.threshold(level);
  std::vector<int32_t> classes;
  for (size_t y = 0; y < posterior.size(); ++y)
    if (1.0 - posterior[y] <= most) classes.push_back(static_cast<int32_t>(y));
  std::ranges::stable_sort(classes, [&](int32_t a, int32_t b) {
    return posterior[static_cast<size_t>(a)] > posterior[static_cast<size_t>(b)];
  });
  return classes;
}

Familiarity ModelCalibration::familiarity(double log_density, double excess,
                                          std::span<const double> posterior) const {
  expect(has_density(), "familiarity: the model has no density");
  Familiarity found;
  found.density = density_->p_two(log_density);
  found.complexity = excess_->p_high(excess);
  found.entropy = entropy_.p_high(entropy_of(posterior));
  found.p = fused_p({found.density, found.complexity, found.entropy});
  return found;
}

void ModelCalibration::save(const std::string& path,
                            const std::map<std::string, std::string>& metadata) const {
  std::map<std::string, std::string> all = metadata;
  all["format"] = kFormat;
  all["format_version"] = kVersion;
  all["resize"] = std::to_string(reading_.resize);
  all["exif"] = reading_.exif ? "true" : "false";
  std::vector<double> levels, thresholds;
  for (const double level : kLevels) {
    levels.push_back(level);
    thresholds.push_back(std::min(1.0, label_scores_.threshold(level)));
  }
  std::vector<std::pair<std::string, Tensor>> tensors = {
      {"temperature", vector_of({temperature_})},
      {"label_scores", vector_of(label_scores_.sorted())},
      {"entropy", vector_of(entropy_.sorted())},
      {"set_levels", vector_of(levels)},
      {"set_thresholds", vector_of(thresholds)}};
  if (has_density()) {
    tensors.emplace_back("log_density", vector_of(density_->sorted()));
    tensors.emplace_back("excess", vector_of(excess_->sorted()));
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error)
    fail(ErrorKind::environment, "{}: {}; --calibration FILE names another place", folder.string(),
         error.message());
  write_safetensors(path, all, tensors);
}

ModelCalibration ModelCalibration::load(const std::string& path, const std::string& digest) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  const auto entry = [&](const char* key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (entry("format") != kFormat)
    fail(ErrorKind::data, "{}: expected a calibration (pal-evaluate --calibrate), got format {}",
         path, printable(entry("format")));
  if (entry("format_version") != kVersion)
    fail(ErrorKind::data, "{}: format version {}; this program reads {}", path,
         printable(entry("format_version")), kVersion);
  if (!file.verify_digest()) fail(ErrorKind::data, "{}: does not match its digest", path);
  if (!digest.empty() && entry("model") != digest)
    fail(ErrorKind::data,
         "{}: belongs to other weights or preprocessing ({}) than this model's ({}); "
         "pal-evaluate --calibrate makes one for them",
         path, printable(entry("model")), digest);
  const std::vector<double> temperature = values_in(file, "temperature");
  if (temperature.size() != 1 || !(temperature[0] > 0.0) || !std::isfinite(temperature[0]))
    fail(ErrorKind::data, "{}: temperature: expected a number above 0, got {}", path,
         temperature[0]);
  Reading reading;
  const std::string resize = entry("resize");
  const auto [end, wrong] =
      std::from_chars(resize.data(), resize.data() + resize.size(), reading.resize);
  if (wrong != std::errc() || end != resize.data() + resize.size() || reading.resize < 1)
    fail(ErrorKind::data, "{}: resize: expected a size in pixels, got {}", path, printable(resize));
  reading.exif = entry("exif") == "true";
  ModelCalibration loaded(reading, temperature[0], scores_in(file, "label_scores"),
                          scores_in(file, "entropy"));
  if (file.contains("log_density")) {
    loaded.density_ = scores_in(file, "log_density");
    loaded.excess_ = scores_in(file, "excess");
  }
  const std::vector<double>& scores = loaded.label_scores_.sorted();
  if (loaded.count() < kFewest || scores.front() < 0.0 || scores.back() > 1.0)
    fail(ErrorKind::data,
         "{}: label_scores: expected at least {} from 0 to 1, got {} from {} to {}", path, kFewest,
         loaded.count(), scores.front(), scores.back());
  // Other readers take the thresholds from the file.
  const std::vector<double> thresholds = values_in(file, "set_thresholds");
  for (size_t i = 0; i < std::size(kLevels); ++i)
    if (thresholds.size() != std::size(kLevels) ||
        thresholds[i] != std::min(1.0, loaded.label_scores_.threshold(kLevels[i])))
      fail(ErrorKind::data, "{}: set_thresholds are not those of label_scores", path);
  for (const int64_t count :
       {loaded.entropy_.count(), loaded.density_ ? loaded.density_->count() : loaded.count(),
        loaded.excess_ ? loaded.excess_->count() : loaded.count()})
    if (count != loaded.count())
      fail(ErrorKind::data, "{}: lists of {} and {} images", path, loaded.count(), count);
  return loaded;
}

std::optional<ModelCalibration> ModelCalibration::find(const std::string& usual,
                                                       const std::string& given,
                                                       const std::string& digest) {
  if (!given.empty()) return load(given, digest);
  // What may not be looked at is there: reading it then says why not.
  std::error_code error;
  if (!std::filesystem::exists(usual, error) && !error) return std::nullopt;
  return load(usual, digest);
}

std::string model_digest(const LoadedModel& loaded) {
  Digest digest;
  for (const Parameter* parameter : loaded.model->state().parameters)
    take(digest, parameter->name, parameter->value);
  for (const Buffer& buffer : loaded.model->state().buffers)
    take(digest, buffer.name, *buffer.tensor);
  for (const auto& numbers : {loaded.input.mean, loaded.input.std})
    take(digest, numbers.data(), numbers.size() * sizeof(float));
  return digest.hex();
}

std::string calibration_path(const std::string& checkpoint, const std::string& digest) {
  std::filesystem::path folder = std::filesystem::absolute(checkpoint).parent_path();
  if (folder.filename() == "checkpoints") folder = folder.parent_path();
  const std::filesystem::path file = folder / "calibration" / (digest + ".safetensors");
  // As short as what the user named the checkpoint by.
  const auto relative = file.lexically_proximate(std::filesystem::current_path());
  return std::filesystem::path(checkpoint).is_absolute() ? file.string() : relative.string();
}

}  // namespace pal
