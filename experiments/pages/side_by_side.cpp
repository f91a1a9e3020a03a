#include "experiments/pages/side_by_side.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/pictures/picture_sheet.h"
#include "experiments/command_line/run_data.h"
#include "experiments/explain/color_map.h"
#include "experiments/explain/explained_images.h"
#include "experiments/pages/picture_sections.h"
#include "experiments/pages/run_sections.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kSamplesBeside = 4;
/// Images whose maps are shown, of the first of each class.
constexpr size_t kShownImages = 6;
constexpr int64_t kMapPixels = 112;  // of a picture on the sheet

/// Places of the same images under several models, a row for each image.
class MapRows {
 public:
  /// False, and nothing added, if these are other images than those before.
  bool add(const std::string& run, const std::vector<ExplainedImage>& images,
           const std::vector<std::string>& names) {
    const size_t shown = std::min(kShownImages, images.size());
    std::vector<std::string> titles;
    for (size_t i = 0; i < shown; ++i)
      titles.push_back(fmt::format("image {}, labelled {}", images[i].index,
                                   names[static_cast<size_t>(images[i].label)]));
    if (titles_.empty()) titles_ = titles;
    if (titles != titles_) return false;
    for (size_t i = 0; i < shown; ++i) {
      const ExplainedImage& image = images[i];
      const int64_t scale =
          std::max<int64_t>(1, kMapPixels / std::max(image.picture.width, image.picture.height));
      const auto name = [&](int32_t y) { return names[static_cast<size_t>(y)]; };
      if (sheet_.rows.size() == i)
        sheet_.rows.push_back({titles[i], {"image"}, {enlarged(image.picture, scale)}, {""}});
      const auto& order = image.maps.order();
      const int32_t other = order[0] == image.label ? order[1] : order[0];
      const std::vector<double> map = image.maps.evidence(image.label, other);
      const auto side = std::llround(std::sqrt(static_cast<double>(image.maps.positions())));
      SheetRow& row = sheet_.rows[i];
      row.pictures.push_back(overlay(image.picture, map, side, scale_of({map}, true), scale));
      row.captions.push_back(run);
      row.notes.push_back(fmt::format(
          "{:.0f} %, not {}\nsum {:.1f} nats",
          100.0 * std::exp(image.maps.log_posterior()[static_cast<size_t>(image.label)]),
          name(other), std::accumulate(map.begin(), map.end(), 0.0)));
    }
    return true;
  }

  bool empty() const { return sheet_.rows.empty(); }
  Image picture() const { return sheet_image(sheet_); }

 private:
  PictureSheet sheet_;
  std::vector<std::string> titles_;  // of the rows
};

}  // namespace

std::vector<HtmlSection> pictures_side_by_side(const std::vector<RunRecord>& runs,
                                               const ReportOptions& o, Device device) {
  const auto labels = run_labels(runs);
  std::string samples;
  std::vector<std::string> failed;
  MapRows maps;
  for (const size_t i : shown_runs(runs)) {
    if (!runs[i].flow) continue;
    try {
      const std::string checkpoint = checkpoint_of(runs[i].path);
      const LoadedModel loaded = load_for_run(checkpoint, o.run, device);
      DataOptions data = o.data;
      take_run_data(data, checkpoint, runs[i].dataset);
      const ShownModel shown{loaded, checkpoint, data, o.run};
      samples += html_picture(samples_picture(shown, kSamplesBeside, 0),
                              fmt::format("Sheet of samples of {}", labels[i]), labels[i]);
      const auto names = model_class_names(loaded.input, loaded.model->config().classes);
      if (runs[i].beta == 0.0 || names.size() < 2) continue;
      ExplainOptions options;
      options.checkpoint = checkpoint;
      options.data = data;
      options.run = o.run;
      if (!maps.add(labels[i], explain_images(options, loaded), names))
        failed.push_back(fmt::format("{}: no maps, as it sees other images", labels[i]));
    } catch (const Error& error) {
      // Images that were asked for must be there; those of the runs may have gone.
      if (!o.data.dataset.empty() || !o.data.folder.empty()) throw;
      failed.push_back(fmt::format("{}: {}", labels[i], error.what()));
    }
  }
  if (!samples.empty()) samples = html_grid(samples);
  if (!failed.empty()) samples += html_paragraph("Not shown:") + html_list(failed);
  std::vector<HtmlSection> sections;
  if (!samples.empty())
    sections.push_back(
        {"samples", "What each imagines",
         fmt::format("New pictures, decoded from points drawn where the training images "
                     "of each class lie (temperature {}): the better a model knows "
                     "what images look like, the more they look like real ones; one "
                     "trained for names alone has no reason to.",
                     kSampleTemperature),
         samples});
  if (!maps.empty())
    sections.push_back(
        {"evidence", "Where each looks",
         "What each place of the same images says for the label (red) against the likeliest other "
         "class (blue); it should be the object that speaks, not the ground around it.",
         html_picture(maps.picture(),
                      "Maps of evidence, a row for each image and a column for each run",
                      "Below each: the probability of the label, the other class, and the sum of "
                      "the map, above 0 where the label is likelier. Colours reach as far as each "
                      "map does.")});
  return sections;
}

}  // namespace pal
