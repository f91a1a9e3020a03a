#include "experiments/classify/classifier.h"

#include <algorithm>
#include <filesystem>

#include "data/sets/known_sets.h"
#include "experiments/explain/map_sheets.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/metrics.h"
#include "experiments/measures/sampling.h"
#include "experiments/recipe/training_recipe.h"
#include "kernels/image/image.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/parallel.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// How pictures are read where no calibration says it: as in the evaluation of the training run;
/// pictures that a set of fixed size was made of are taken whole.
TransformSpec reading_of(const ClassifyOptions& o, const LoadedModel& loaded) {
  const TrainingRecipe recipe = training_recipe(loaded.checkpoint, o.checkpoint);
  const ModelConfig& config = loaded.model->config();
  DataOptions data;
  data.resize = o.resize;
  data.exif = o.exif;
  TransformSpec transform = evaluation_transform(data, recipe);
  transform.crop = CropKind::center;
  transform.size = config.image_size;
  transform.channels = config.channels;
  transform.limits.max_pixels = o.max_pixels;
  if (o.resize == 0 && is_of_fixed_size(recipe.dataset)) transform.resize = config.image_size;
  return transform;
}

}  // namespace

std::string Answer::name() const { return file ? one_line(*file) : "image"; }

int32_t Answer::predicted() const {
  return static_cast<int32_t>(std::ranges::max_element(posterior) - posterior.begin());
}

std::optional<double> Answer::attack_p() const {
  return familiarity ? std::optional(familiarity->density) : std::nullopt;
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::unknown:
      return "unknown";
    case Verdict::sure:
      return "sure";
    case Verdict::torn:
      return "torn";
    case Verdict::unfamiliar:
      return "unfamiliar";
    case Verdict::unfamiliar_torn:
      break;
  }
  return "unfamiliar and torn";
}

Classifier::Classifier(const ClassifyOptions& options, Device device)
    : options_(options), loaded_(load_model(options.checkpoint, [&](ModelConfig& config) {
        set_precision(options.run, config);
      })) {
  // Of the weights as the file has them, so before they move.
  class_names_ = model_class_names(loaded_.input, loaded_.model->config().classes);
  transform_ = reading_of(options_, loaded_);
  find_calibration();
  check_transform(transform_);
  loaded_.model->to(device);
  if (options_.heatmaps.empty()) return;
  expect(loaded_.model->has_density(), "--heatmap: {}: {} only classifies; maps need a flow",
         options_.checkpoint, loaded_.model->config().arch);
  const IbInn& flow = flow_of(loaded_, options_.checkpoint);
  positions_.emplace(flow.head().means(), flow.dims(), flow.head().spec().mean_dims);
  make_folders(options_.heatmaps);
}

void Classifier::find_calibration() {
  digest_ = model_digest(loaded_);
  const std::string usual = calibration_path(options_.checkpoint, digest_);
  calibration_ = ModelCalibration::find(usual, options_.calibration, digest_);
  if (!calibration_) {
    log_warning(
        "no calibration of this model ({}): probabilities are as the model says, sets and p-values "
        "are left out; pal-evaluate {} --calibrate makes one",
        usual, shell_word(options_.checkpoint));
    return;
  }
  const std::string& path = options_.calibration.empty() ? usual : options_.calibration;
  if (calibration_->has_density() != loaded_.model->has_density())
    fail(ErrorKind::data, "{}: lacks, or has, the densities of a model that has, or lacks, them",
         path);
  const Reading& reading = calibration_->reading();
  const bool other_size = options_.resize != 0 && options_.resize != reading.resize;
  const bool other_exif = options_.exif && !reading.exif;
  if (other_size || other_exif) {
    log_warning(
        "{}: is of pictures read with --resize {}, {} --exif, so it says nothing about these: sets "
        "and p-values are left out",
        path, reading.resize, reading.exif ? "with" : "without");
    calibration_.reset();
    return;
  }
  if (calibration_->has_density() && options_.warn_below < calibration_->least_p())
    log_warning(
        "--warn-below {}: no picture can count as unfamiliar, as p is at least {:.2g} with {} "
        "held-out images{}",
        options_.warn_below, calibration_->least_p(), calibration_->count(),
        options_.warn_below <= calibration_->least_density_p()
            ? fmt::format("; none can be flagged by attack_p, at least {:.2g}",
                          calibration_->least_density_p())
            : "");
  transform_.resize = reading.resize;
  transform_.exif = reading.exif;
}

void Classifier::read_picture(const PictureRequest& request, std::span<uint8_t> levels) const {
  const Philox unused(0, RandomPurpose::augment, 0);
  if (!request.file) {
    make_views(request.picture, "image", transform_, unused, levels);
    return;
  }
  const std::string& file = *request.file;
  const std::string name = one_line(file);
  expect(!file.empty(), "an empty name");
  expect(file.find('\0') == std::string::npos,
         "{}: a zero byte in a name; --null is for lists whose names end with one", name);
  make_views(read_file(file, most_file_bytes(transform_.limits)), name, transform_, unused, levels);
}

std::vector<Answer> Classifier::classify(const std::vector<PictureRequest>& requests) {
  const ModelConfig& config = loaded_.model->config();
  const int64_t values = config.image_size * config.image_size * config.channels;
  const auto count = static_cast<int64_t>(requests.size());
  std::vector<Answer> answers(requests.size());
  std::vector<uint8_t> levels(static_cast<size_t>(count * values));
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const PictureRequest& request = requests[static_cast<size_t>(i)];
      Answer& answer = answers[static_cast<size_t>(i)];
      answer.file = request.file;
      answer.id = request.id;
      answer.error = request.error;
      if (!answer.error.empty()) continue;
      try {
        read_picture(request, std::span(levels).subspan(static_cast<size_t>(i * values),
                                                        static_cast<size_t>(values)));
      } catch (const Error& error) {
        answer.error = error.what();
      }
    }
  });
  std::vector<ImagePlacement> placements;
  std::vector<size_t> readable;
  for (size_t i = 0; i < answers.size(); ++i)
    if (answers[i].error.empty()) {
      placements.push_back({.source = static_cast<int64_t>(i)});
      readable.push_back(i);
    }
  if (readable.empty()) return answers;
  const Tensor images = Tensor::empty({static_cast<int64_t>(readable.size()), config.image_size,
                                       config.image_size, config.channels},
                                      DType::f32, Tag::data, loaded_.model->device());
  const ImageNormalization normalization = {.mean = loaded_.input.mean, .std = loaded_.input.std};
  PAL_BACKEND(images, normalize_images(levels, placements, normalization, images));
  TrustScores scores;
  add_trust_scores(*loaded_.model, loaded_.input, images, {}, scores);
  std::vector<const Answer*> answered;
  for (size_t i = 0; i < readable.size(); ++i) {
    Answer& answer = answers[readable[i]];
    const auto row = scores.classes.row(static_cast<int64_t>(i));
    if (calibration_) {
      answer.posterior = calibration_->posterior(row);
      answer.classes = calibration_->class_set(answer.posterior, options_.level);
    } else {
      answer.posterior.resize(row.size());
      judge_scores(row, 0, 0.0, answer.posterior);
    }
    answer.entropy = entropy_of(answer.posterior);
    answered.push_back(&answer);
    if (scores.log_density.empty()) continue;
    answer.bits_per_dim = bits_per_dim(scores.log_density[i], loaded_.input.std);
    if (calibration_)
      answer.familiarity =
          calibration_->familiarity(scores.log_density[i], scores.excess[i], answer.posterior);
  }
  if (positions_) draw_heatmaps(images.to(Device()), answered);
  return answers;
}

void Classifier::draw_heatmaps(const Tensor& images, const std::vector<const Answer*>& answers) {
  IbInn& flow = flow_of(loaded_, options_.checkpoint);
  const auto maps = position_maps(flow, *positions_, images, Share::contrast);
  const std::vector<Image> pictures = to_pictures(images, loaded_.input);
  for (size_t i = 0; i < answers.size(); ++i) {
    ExplainOptions options;
    options.checkpoint = options_.checkpoint;
    ExplainedImage image{++drawn_, answers[i]->name(), answers[i]->predicted(), pictures[i],
                         maps[i]};
    const MapSheet made = heatmap_sheet(options, loaded_, {image});
    // Numbered, as pictures of several folders may have one name.
    const std::string name = fmt::format(
        "{:06}-{}", drawn_,
        one_line(std::filesystem::path(answers[i]->file.value_or("image")).stem().string())
            .substr(0, 100));
    const std::string path = (std::filesystem::path(options_.heatmaps) / name).string();
    write_map_arrays(path + ".safetensors", made, digest_);
    write_png(path + ".png", sheet_image(made.sheet));
  }
}

Verdict Classifier::verdict(const Answer& answer) const {
  if (!answer.classes) return Verdict::unknown;
  const bool torn = answer.classes->size() != 1;
  if (answer.familiarity && answer.familiarity->p < options_.warn_below)
    return torn ? Verdict::unfamiliar_torn : Verdict::unfamiliar;
  return torn ? Verdict::torn : Verdict::sure;
}

bool Classifier::attack_flagged(const Answer& answer) const {
  const std::optional<double> p = answer.attack_p();
  return p && *p < options_.warn_below;
}

}  // namespace pal
