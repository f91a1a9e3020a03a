#include "experiments/attack_study/attack_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "data/pictures/picture_sheet.h"
#include "data/pictures/text_image.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr double kMiddle = 0.5;

/// Throws unless the sheet is whole.
void check_sheet(const AttackSheet& sheet) {
  expect(!sheet.images.empty() && !sheet.settings.empty(),
         "attack sheet: {} images in {} settings; it needs one of each", sheet.images.size(),
         sheet.settings.size());
  expect(sheet.channels == 1 || sheet.channels == 3,
         "attack sheet: images of {} channels; expected 1 or 3", sheet.channels);
  const auto values = static_cast<size_t>(sheet.height * sheet.width * sheet.channels);
  const auto check = [&](const std::vector<float>& pixels, const SheetImage& image) {
    expect(values > 0 && pixels.size() == values,
           "attack sheet: '{}' has {} values; expected {} x {} x {}", image.title, pixels.size(),
           sheet.height, sheet.width, sheet.channels);
    if (!std::ranges::all_of(pixels, [](float v) { return std::isfinite(v); }))
      fail(ErrorKind::numerics, "attack sheet: '{}' has pixels that are not finite", image.title);
  };
  for (const SheetImage& image : sheet.images) {
    check(image.original, image);
    expect(image.versions.size() == sheet.settings.size(),
           "attack sheet: '{}' has {} versions for {} settings", image.title, image.versions.size(),
           sheet.settings.size());
    for (const SheetVersion& version : image.versions)
      if (!version.pixels.empty()) check(version.pixels, image);
  }
}

/// What a value of each pixel looks like; `level` gives it as a share of white.
template <typename Level>
Image picture_of(const AttackSheet& sheet, Level level) {
  Image picture{sheet.width, sheet.height, sheet.channels, {}, {}};
  const auto count = static_cast<size_t>(sheet.height * picture.row());
  for (size_t i = 0; i < count; ++i)
    picture.pixels.push_back(
        static_cast<uint8_t>(std::lround(255.0 * std::clamp<double>(level(i), 0.0, 1.0))));
  return picture;
}

/// Width of the widest text below or above a picture, in pixels.
int64_t widest_text(const AttackSheet& sheet) {
  int64_t widest = 0;
  const auto take = [&](const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) widest = std::max(widest, text_width(line));
  };
  for (const std::string& setting : sheet.settings) take(setting);
  for (const SheetImage& image : sheet.images) {
    take(image.note);
    for (const SheetVersion& version : image.versions) {
      take(version.note);
      take(version.size);
    }
  }
  return widest;
}

/// The usual magnification, and more while texts are cut off, up to a size at which the sheet would
/// magnify the texts too.
int64_t scale_of_sheet(const AttackSheet& sheet) {
  constexpr int64_t kTallest = 160;
  const int64_t text = widest_text(sheet);
  int64_t scale = sheet_scale(std::max(sheet.width, sheet.height));
  while (scale * sheet.width < text && (scale + 1) * sheet.height <= kTallest) ++scale;
  return scale;
}

}  // namespace

double difference_factor(const AttackSheet& sheet, size_t column) {
  double largest = 0.0;
  for (const SheetImage& image : sheet.images) {
    const std::vector<float>& pixels = image.versions.at(column).pixels;
    for (size_t i = 0; i < pixels.size(); ++i)
      largest = std::max(largest, std::abs(static_cast<double>(pixels[i]) -
                                           static_cast<double>(image.original[i])));
  }
  if (largest == 0.0) return 1.0;
  // A column that needs 0.49999 may have 0.5.
  const double most = kMiddle / largest * (1.0 + 1e-4);
  const double power = std::pow(10.0, std::floor(std::log10(most)));
  double factor = power;
  for (const double digit : {2.0, 5.0})
    if (digit * power <= most) factor = digit * power;
  return factor;
}

Image attack_sheet_image(const AttackSheet& sheet) {
  check_sheet(sheet);
  std::vector<double> factors;
  std::vector<std::string> titles = {""};
  for (size_t column = 0; column < sheet.settings.size(); ++column) {
    factors.push_back(difference_factor(sheet, column));
    titles.push_back(fmt::format("x {:g}", factors.back()));
  }
  const Image blank = picture_of(sheet, [](size_t) { return 1.0; });
  PictureSheet drawn;
  drawn.headline = sheet.headline;
  drawn.scale = scale_of_sheet(sheet);
  drawn.apart = {1};
  for (const SheetImage& image : sheet.images) {
    SheetRow row{image.title, {"original"}, {}, {image.note}};
    SheetRow below{"difference", titles, {blank}, {""}};
    row.captions.insert(row.captions.end(), sheet.settings.begin(), sheet.settings.end());
    row.pictures.push_back(picture_of(sheet, [&](size_t i) { return image.original[i]; }));
    for (size_t column = 0; column < image.versions.size(); ++column) {
      const SheetVersion& version = image.versions[column];
      const double factor = factors[column];
      row.notes.push_back(version.note);
      below.notes.push_back(version.size);
      if (version.pixels.empty()) {
        row.pictures.push_back(blank);
        below.pictures.push_back(blank);
        continue;
      }
      row.pictures.push_back(picture_of(sheet, [&](size_t i) { return version.pixels[i]; }));
      below.pictures.push_back(picture_of(sheet, [&](size_t i) {
        return kMiddle + factor * (static_cast<double>(version.pixels[i]) -
                                   static_cast<double>(image.original[i]));
      }));
    }
    drawn.rows.push_back(std::move(row));
    drawn.rows.push_back(std::move(below));
  }
  return sheet_image(drawn);
}

}  // namespace pal
