#include "experiments/attack_study/attacked_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "experiments/measures/metrics.h"
#include "experiments/measures/sampling.h"
#include "experiments/trust/trust_scores.h"
#include "kernels/arrays/host_values.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

constexpr int kLevelMost = 255;

/// Images in [0, 1] as pictures: the nearest level.
Image picture_of(const Tensor& images, int64_t i) {
  const Shape& shape = images.shape();
  Image picture{shape[2], shape[1], shape[3], {}, {}};
  const int64_t count = images.numel() / shape[0];
  const float* const from = images.data<float>() + i * count;
  for (int64_t k = 0; k < count; ++k)
    picture.pixels.push_back(static_cast<uint8_t>(
        std::lround(std::clamp(static_cast<double>(from[k]), 0.0, 1.0) * kLevelMost)));
  return picture;
}

/// Pictures as images in [0, 1], on the CPU.
Tensor images_of(const std::vector<Image>& pictures) {
  const auto n = static_cast<int64_t>(pictures.size());
  const Image& first = pictures.at(0);
  const Tensor images = Tensor::empty({n, first.height, first.width, first.channels}, DType::f32,
                                      Tag::data, Device());
  float* to = images.data<float>();
  for (const Image& picture : pictures)
    for (const uint8_t level : picture.pixels)
      *to++ = static_cast<float>(level) / static_cast<float>(kLevelMost);
  return images;
}

/// The picture after a PNG.
Image through_png(const Image& picture) {
  return decode_image(encode_png(picture), "attacked image");
}

/// How far a changed image is from its original; both [h, w, c] of `count` values.
struct Change {
  double l2 = 0.0, linf = 0.0, rms = 0.0, corruption = 0.0, contrast = 1.0;
};

double deviation(const float* values, int64_t count) {
  double sum = 0.0, square = 0.0;
  for (int64_t k = 0; k < count; ++k) sum += static_cast<double>(values[k]);
  const double mean = sum / static_cast<double>(count);
  for (int64_t k = 0; k < count; ++k)
    square += (static_cast<double>(values[k]) - mean) * (static_cast<double>(values[k]) - mean);
  return std::sqrt(square / static_cast<double>(count));
}

Change change_of(const float* original, const float* changed, int64_t count, int64_t channels) {
  Change change;
  double sum = 0.0, pixels = 0.0;
  for (int64_t first = 0; first < count; first += channels) {
    double colour = 0.0;
    for (int64_t c = 0; c < channels; ++c) {
      const double difference =
          static_cast<double>(changed[first + c]) - static_cast<double>(original[first + c]);
      colour += difference * difference;
      change.linf = std::max(change.linf, std::abs(difference));
    }
    sum += colour;
    pixels += std::sqrt(colour);
  }
  change.l2 = std::sqrt(sum);
  change.rms = std::sqrt(sum / static_cast<double>(count));
  change.corruption = pixels / static_cast<double>(count / channels);
  change.contrast = deviation(changed, count) / deviation(original, count);
  return change;
}

constexpr std::vector<double> JudgedImages::*kJudgedLists[] = {
    &JudgedImages::answer,  &JudgedImages::confidence,  &JudgedImages::entropy,
    &JudgedImages::density, &JudgedImages::familiarity, &JudgedImages::margin};

/// What is kept of an image that a model has no finite answer for: no class, the least density.
JudgedImages unanswered() {
  return {.answer = {-1.0},
          .confidence = {0.0},
          .entropy = {0.0},
          .density = {std::numeric_limits<double>::lowest()},
          .familiarity = {0.0},
          .margin = {std::numeric_limits<double>::infinity()}};
}

}  // namespace

OriginalImages read_originals(const CheckpointEvaluation::Images& from, const LoadedModel& loaded) {
  EvaluationSpec spec = from.spec;
  spec.noise = false;
  spec.bad_images = from.from.bad.get();
  const Dataset& set = *from.from.set;
  OriginalImages originals;
  std::vector<Image> pictures;
  share_images(
      evaluation_images(*loaded.model, loaded.input, set, spec),
      [&](const Batch& batch) {
        expect(batch.views == 1, "attack: expected one view of each image, got {}", batch.views);
        Message message;
        message.add(batch.indices).add(labels_of(batch));
        for (const Image& picture : to_pictures(batch.images.to(Device()), loaded.input))
          message.add(std::vector<int64_t>{picture.width, picture.height, picture.channels})
              .add(picture.pixels);
        return message;
      },
      [&](Message& message) {
        for (const int64_t index : message.take<int64_t>()) originals.index.push_back(index);
        for (const int32_t label : message.take<int32_t>()) {
          originals.label.push_back(class_of(spec, label));
          const auto size = message.take<int64_t>();
          pictures.push_back({size[0], size[1], size[2], message.take<uint8_t>(), {}});
        }
      });
  expect(!pictures.empty(), "{}: no image to attack", set.info().name);
  originals.images = images_of(pictures);
  return originals;
}

void JudgedImages::append(const JudgedImages& other) {
  for (const auto member : kJudgedLists)
    (this->*member).insert((this->*member).end(), (other.*member).begin(), (other.*member).end());
}

void JudgedImages::add_to(Message& message) const {
  for (const auto member : kJudgedLists) message.add(this->*member);
}

JudgedImages JudgedImages::from(Message& message) {
  JudgedImages judged;
  for (const auto member : kJudgedLists) judged.*member = message.take<double>();
  return judged;
}

JudgedImages judge_images(const AttackJudge& judge, const Tensor& images,
                          const std::vector<AttackGoal>& goals) {
  const Tensor x = images.to(judge.model.device());
  const ImageScores said = judge.attacked.scores(x);
  JudgedImages judged;
  std::vector<int64_t> finite;
  std::vector<double> posterior(static_cast<size_t>(said.classes));
  for (int64_t i = 0; i < said.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    const double density = said.log_density.empty() ? 0.0 : said.log_density[at];
    if (!std::isfinite(density) ||
        !std::ranges::all_of(said.row(i), [](double l) { return std::isfinite(l); })) {
      judged.append(unanswered());
      continue;
    }
    finite.push_back(i);
    const ImageResult result = judge_scores(said.row(i), 0, 0.0, posterior);
    judged.append({.answer = {static_cast<double>(result.predicted)},
                   .confidence = {result.confidence},
                   .entropy = {result.entropy},
                   .density = {density},
                   .familiarity = {1.0},
                   .margin = {margin_of(said.row(i), goals[at]).value}});
  }
  if (judge.calibration == nullptr || !judge.calibration->has_density() || finite.empty())
    return judged;
  TrustScores trust;
  add_trust_scores(judge.model, judge.input, judge.attacked.normalised(images_at(x, finite)), {},
                   trust);
  for (size_t k = 0; k < finite.size(); ++k)
    judged.familiarity[static_cast<size_t>(finite[k])] =
        judge.calibration
            ->familiarity(trust.log_density[k], trust.excess[k],
                          judge.calibration->posterior(trust.classes.row(static_cast<int64_t>(k))))
            .p;
  return judged;
}

AttackCell judge_attack(const AttackJudge& judge, const OriginalImages& originals, int64_t first,
                        const AttackSetting& setting, const AttackBatch& batch,
                        const AttackResult& result) {
  const int64_t n = batch.count();
  AttackCell cell;
  cell.images = result.images.to(Device()).dense();
  const Tensor clean = batch.images.to(Device()).dense();
  const JudgedImages before = judge_images(judge, batch.images, batch.goals);
  const JudgedImages after = judge_images(judge, result.images, batch.goals);
  std::vector<Image> pictures;
  std::vector<uint64_t> streams;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t index = originals.index[static_cast<size_t>(first + i)];
    streams.push_back(static_cast<uint64_t>(index));
    pictures.push_back(through_png(picture_of(cell.images, i)));
  }
  const JudgedImages levels = judge_images(judge, images_of(pictures), batch.goals);
  cell.clean_answer = before.answer;
  cell.clean_entropy = before.entropy;
  cell.clean_density = before.density;
  cell.clean_familiarity = before.familiarity;
  cell.margin_start = before.margin;
  cell.answer = after.answer;
  cell.margin = after.margin;
  cell.confidence = after.confidence;
  cell.entropy = after.entropy;
  cell.density = after.density;
  cell.familiarity = after.familiarity;
  cell.answer_8bit = levels.answer;
  cell.density_8bit = levels.density;
  cell.familiarity_8bit = levels.familiarity;
  const int64_t count = clean.numel() / n;
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    const AttackedImage& record = result.records[at];
    cell.index.push_back(static_cast<double>(originals.index[static_cast<size_t>(first + i)]));
    cell.label.push_back(batch.goals[at].label);
    cell.target.push_back(batch.goals[at].target);
    const Change change = change_of(clean.data<float>() + i * count,
                                    cell.images.data<float>() + i * count, count, clean.size(3));
    cell.l2.push_back(change.l2);
    cell.linf.push_back(change.linf);
    cell.rms.push_back(change.rms);
    cell.corruption.push_back(change.corruption);
    cell.contrast.push_back(change.contrast);
    cell.steps.push_back(static_cast<double>(record.steps));
    cell.objective_start.push_back(record.objective_start);
    cell.objective.push_back(record.objective);
    cell.gradient_start.push_back(record.gradient_start);
    cell.fell.push_back(record.fell ? 1.0 : 0.0);
    cell.ended_above.push_back(record.ended_above ? 1.0 : 0.0);
    cell.broken.push_back(record.broken ? 1.0 : 0.0);
  }
  const AttackNorm norm = setting.bounded() ? setting.norm : AttackNorm::l2;
  const Tensor noisy = random_in_ball(
      batch.images, norm, norm == AttackNorm::linf ? cell.linf : cell.l2, setting.seed, streams);
  for (const double margin : judge_images(judge, noisy, batch.goals).margin)
    cell.noise_reached.push_back(margin < 0.0 ? 1.0 : 0.0);
  return cell;
}

void write_pictures(const std::string& folder, const AttackCell& cell) {
  make_folders(folder);
  for (int64_t i = 0; i < cell.count(); ++i) {
    const auto index = static_cast<int64_t>(cell.index[static_cast<size_t>(i)]);
    write_png((std::filesystem::path(folder) / fmt::format("{:06d}.png", index)).string(),
              picture_of(cell.images, i));
  }
}

}  // namespace pal
