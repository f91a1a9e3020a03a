#include "experiments/sampling/sheet_parts.h"

#include <fmt/ranges.h>

#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Longer lists are cut to their beginning on stdout.
constexpr size_t kMostListed = 12;

/// The magnification of a sheet of so many pictures, checked before they are made.
int64_t scale_for(const SampleOptions& o, const LoadedModel& loaded, int64_t pictures) {
  const int64_t side = loaded.model->config().image_size;
  const int64_t most = kMostSheetPixels / (pictures * side * side);  // of scale squared
  int64_t scale = o.scale == 0 ? sheet_scale(side) : o.scale;
  while (o.scale == 0 && scale > 1 && scale * scale > most) --scale;
  expect(scale * scale <= most, "-n: {} pictures of {}x{} pixels are too many for one sheet{}",
         pictures, side * scale, side * scale, scale > 1 ? "; lower --scale or -n" : "");
  return scale;
}

}  // namespace

std::string listed(const std::string& what, std::vector<std::string> texts) {
  const size_t all = texts.size();
  const bool cut = all > kMostListed;
  if (cut) texts.resize(kMostListed - 2);
  const std::string list = one_line(fmt::format("{}", fmt::join(texts, ", ")));
  return fmt::format("{}: {}{}", what, list, cut ? fmt::format(", ... ({} in all)", all) : "");
}

std::string class_name(const std::vector<std::string>& names, int64_t y) {
  const auto place = static_cast<size_t>(y);
  return place < names.size() ? names[place] : std::to_string(y);
}

std::string numbered(int64_t number, const std::string& name) {
  const std::string text = std::to_string(number);
  return name == text ? text : text + " " + name;
}

PictureSheet empty_sheet(const SampleOptions& o, const LoadedModel& loaded, int64_t pictures) {
  PictureSheet sheet;
  sheet.scale = scale_for(o, loaded, pictures);
  sheet.labels = o.labels;
  return sheet;
}

std::string class_of_image(const Dataset& set, int64_t index) {
  return class_name(set.info().class_names, set.label(index));
}

}  // namespace pal
