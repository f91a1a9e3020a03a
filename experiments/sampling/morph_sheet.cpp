#include "experiments/sampling/morph_sheet.h"

#include <fmt/format.h>

#include "data/pictures/text_image.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/picture_scores.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Images whose answers stand on stdout, where there are more; the sheet and JSON have all.
constexpr int64_t kMostLines = 12;

/// The images that a morph begins with.
std::vector<int64_t> morph_images(const SampleOptions& o, const LoadedModel& loaded,
                                  const TestImages& from, int64_t y) {
  const ClassMatch match = match_classes(loaded, o.checkpoint, from.set->info(), false);
  const std::string name = class_name(loaded.input.class_names, y);
  std::vector<int64_t> indices;
  if (o.images.empty()) {
    indices = first_of_class(from, match, y, o.count);
    const auto found = static_cast<int64_t>(indices.size());
    expect(found == o.count, "--morph: {} has {} test images of class '{}', got -n {}",
           from.set->info().name, found, name, o.count);
  }
  for (const std::string& text : o.images) {
    indices.push_back(named_image(*from.set, text, "--images"));
    if (match.model_class(from.set->label(indices.back())) != y)
      log_warning("--morph: image {} is of class '{}', not '{}', whose mean it is moved from",
                  indices.back(), class_of_image(*from.set, indices.back()), name);
  }
  return indices;
}

/// "98 %"; near certainty with a digit more, so that 100 is not said too soon.
std::string percent(double probability) {
  const double of_hundred = 100.0 * probability;
  if (of_hundred > 99.0 && of_hundred < 99.95) return fmt::format("{:.1f} %", of_hundred);
  return fmt::format("{:.0f} %", of_hundred);
}

/// What a morph's sheet is about.
std::string morph_headline(const SampleOptions& o, const std::string& from, const std::string& to) {
  constexpr int64_t kWidest = 192;
  return fmt::format("From {} to {} by t times the way between {}; below: the model's answer",
                     shortened(from, kWidest), shortened(to, kWidest),
                     o.around == SampleCentre::images ? "the means of their training images"
                                                      : "their class means");
}

/// What the model says of a picture of a morph.
nlohmann::ordered_json answer_json(const PictureAnswer& answer, const std::string& name,
                                   const std::vector<int64_t>& classes) {
  const auto q = [&](int64_t y) { return answer.probabilities[static_cast<size_t>(y)]; };
  return {{"answer", name},
          {"probability", q(answer.y)},
          {"probability_from", q(classes[0])},
          {"probability_to", q(classes[1])}};
}

}  // namespace

std::vector<int64_t> morphed_classes(const SampleOptions& o, const LoadedModel& loaded) {
  expect(loaded.model->config().classes > 1, "--morph: needs two classes, and the model has one");
  const std::vector<int64_t> classes = named_classes(loaded, o.morph, "--morph");
  expect(classes[0] != classes[1], "--morph: from class '{}' to itself; name another",
         class_name(loaded.input.class_names, classes[0]));
  return classes;
}

SampleSheet morph_sheet(const SampleOptions& o, const LoadedModel& loaded, IbInn& flow,
                        const std::vector<ClassSpread>& spreads) {
  const std::vector<int64_t> classes = morphed_classes(o, loaded);
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const std::vector<int64_t> indices = morph_images(o, loaded, from, classes[0]);
  const auto rows = static_cast<int64_t>(indices.size());
  SampleSheet made;
  made.pictures = rows * o.steps;
  made.sheet = empty_sheet(o, loaded, rows * (o.steps + 1));
  const auto names = model_class_names(loaded.input, flow.config().classes);
  const std::string& target = names[static_cast<size_t>(classes[1])];
  made.sheet.headline = morph_headline(o, names[static_cast<size_t>(classes[0])], target);
  made.sheet.apart = {1};
  std::vector<double> steps;
  for (int64_t i = 0; i < o.steps; ++i)
    steps.push_back(o.reach * static_cast<double>(i) / static_cast<double>(o.steps - 1));
  const Tensor images = network_images(*from.set, loaded.input, indices, from.transform);
  const Tensor z = morph_latents(encode(flow, images), spreads[0].mean, spreads[1].mean, steps);
  const std::vector<Image> originals = to_pictures(images, loaded.input);
  const std::vector<Image> moved = to_pictures(decode(flow, z), loaded.input);
  auto morphs = nlohmann::ordered_json::array();
  int64_t arrived = 0;
  for (int64_t k = 0; k < rows; ++k) {
    const int64_t index = indices[static_cast<size_t>(k)];
    const std::string label = class_of_image(*from.set, index);
    SheetRow row{
        fmt::format("image {}: {}", index, label), {}, {originals[static_cast<size_t>(k)]}};
    row.pictures.insert(row.pictures.end(), moved.begin() + k * o.steps,
                        moved.begin() + (k + 1) * o.steps);
    // Of the pictures as they are shown, so of what anybody else could ask the model about.
    const auto answers = picture_answers(flow, loaded.input, row.pictures);
    nlohmann::ordered_json entry = {{"test_image", index}, {"class", label}};
    std::vector<std::string> said;
    for (size_t i = 0; i < answers.size(); ++i) {
      const std::string& name = names[static_cast<size_t>(answers[i].y)];
      const std::string sure = percent(answers[i].probabilities[static_cast<size_t>(answers[i].y)]);
      row.notes.push_back(one_line(name) + "\n" + sure);
      if (i > 0) said.push_back(fmt::format("t {:.3g} {} {}", steps[i - 1], name, sure));
      auto answer = answer_json(answers[i], name, classes);
      if (i == 0)
        entry["original"] = std::move(answer);
      else
        entry["steps"].push_back(std::move(answer));
    }
    if (k == 0) {
      row.captions = {"original"};
      for (const double t : steps) row.captions.push_back(fmt::format("t = {:.3g}", t));
    }
    arrived += answers.back().y == classes[1] ? 1 : 0;
    if (k < kMostLines) made.lines.push_back(listed(one_line(row.title), std::move(said)));
    made.sheet.rows.push_back(std::move(row));
    morphs.push_back(std::move(entry));
  }
  if (rows > kMostLines) made.lines.push_back(fmt::format("... ({} images in all)", rows));
  made.lines.push_back(fmt::format("at t = {:.3g} the model takes {} of {} for {}", o.reach,
                                   arrived, rows, one_line(target)));
  made.json = {{"classes", classes},
               {"around", o.around == SampleCentre::images ? "images" : "means"},
               {"t", steps},
               {"test_images", indices},
               {"morphs", std::move(morphs)}};
  return made;
}

}  // namespace pal
