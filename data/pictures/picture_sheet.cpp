#include "data/pictures/picture_sheet.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "data/pictures/text_image.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr double kReadableSide = 96.0;
constexpr uint8_t kWhite = 255;
constexpr uint8_t kInk = 32;
/// White pixels between neighbours, around all and above captions, between texts and pictures.
constexpr int64_t kGap = 2;
constexpr int64_t kMargin = 8;
/// Between columns that stand apart.
constexpr int64_t kApart = 24;
constexpr int64_t kTextGap = 4;
constexpr int64_t kWidestTitle = 192;  // before it is magnified
/// Height of pictures that a text's magnification goes with, so that sheets of large ones can be
/// read when shrunk to a screen.
constexpr double kHeightPerScale = 112.0;

/// Where things stand, in pixels of the sheet.
struct Layout {
  int64_t tile_width = 0;
  int64_t tile_height = 0;
  int64_t channels = 1;
  int64_t text_scale = 1;
  int64_t left = 0;            ///< of the first picture of every row
  std::vector<int64_t> apart;  ///< columns that stand behind a wide gap
  std::vector<int64_t> top;    ///< of the pictures of each row
  int64_t width = 0;
  int64_t height = 0;

  /// Left edge of the pictures of a column.
  int64_t left_of(int64_t column) const {
    const auto gaps = std::ranges::count_if(apart, [&](int64_t first) { return first <= column; });
    return left + column * (tile_width + kGap) + gaps * kApart;
  }
};

int64_t columns_of(const PictureSheet& sheet) {
  size_t columns = 0;
  for (const SheetRow& row : sheet.rows) columns = std::max(columns, row.pictures.size());
  return static_cast<int64_t>(columns);
}

/// Size and channels of the tiles.
void measure_tiles(const PictureSheet& sheet, Layout& layout) {
  const Image* first = nullptr;
  for (const SheetRow& row : sheet.rows)
    for (const Image& image : row.pictures) {
      if (first == nullptr) first = &image;
      expect(image.width == first->width && image.height == first->height,
             "sheet_image: pictures of {}x{} and {}x{}; expected equal sizes", first->width,
             first->height, image.width, image.height);
      layout.channels = std::max(layout.channels, image.channels);
    }
  expect(first != nullptr, "sheet_image: no pictures");
  layout.tile_width = first->width * sheet.scale;
  layout.tile_height = first->height * sheet.scale;
  layout.text_scale =
      std::max<int64_t>(1, std::lround(static_cast<double>(layout.tile_height) / kHeightPerScale));
}

bool has_captions(const SheetRow& row) {
  return std::ranges::any_of(row.captions, [](const std::string& text) { return !text.empty(); });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Lines under the pictures of a row: those of its longest note.
int64_t note_lines(const SheetRow& row) {
  size_t lines = 0;
  for (const std::string& note : row.notes) lines = std::max(lines, lines_of(note).size());
  return static_cast<int64_t>(lines);
}

Layout layout_of(const PictureSheet& sheet) {
  expect(sheet.scale >= 1, "sheet_image: expected a scale of at least 1, got {}", sheet.scale);
  Layout layout;
  measure_tiles(sheet, layout);
  const int64_t margin = sheet.labels ? kMargin : 0;
  const int64_t line = text_height() * layout.text_scale;
  int64_t titles = 0;
  int64_t y = margin;
  if (sheet.labels && !sheet.headline.empty()) y += line + kTextGap;
  for (const SheetRow& row : sheet.rows) {
    if (sheet.labels) {
      titles = std::max(titles, std::min(kWidestTitle, text_width(row.title)));
      if (has_captions(row)) y += (y > margin ? kMargin : 0) + line + kTextGap;
    }
    layout.top.push_back(y);
    y += layout.tile_height + kGap;
    const int64_t notes = sheet.labels ? note_lines(row) : 0;
    if (notes > 0) y += notes * line + kMargin;
  }
  layout.left = margin + (titles == 0 ? 0 : titles * layout.text_scale + kMargin);
  const int64_t columns = columns_of(sheet);
  for (const int64_t first : sheet.apart)
    if (first > 0 && first < columns) layout.apart.push_back(first);
  layout.width = layout.left_of(columns) - kGap + margin;
  if (sheet.labels)
    layout.width =
        std::max(layout.width, text_width(sheet.headline) * layout.text_scale + 2 * kMargin);
  layout.height = y - kGap + margin;
  expect(layout.width <= kMostSheetPixels / layout.height,
         "sheet_image: {}x{} pixels are more than {}; take fewer pictures or a smaller scale",
         layout.width, layout.height, kMostSheetPixels);
  return layout;
}

Image blank(const Layout& layout) {
  Image image;
  image.width = layout.width;
  image.height = layout.height;
  image.channels = layout.channels;
  image.pixels.assign(static_cast<size_t>(image.height * image.row()), kWhite);
  return image;
}

/// Copies a picture to (left, top), each pixel `scale` times in both directions; grey spreads over
/// RGB.
void paste(const Image& from, int64_t scale, Image& to, int64_t left, int64_t top) {
  const int64_t values = from.width * scale * to.channels;
  for (int64_t y = 0; y < from.height; ++y) {
    uint8_t* line = to.pixels.data() + (top + y * scale) * to.row() + left * to.channels;
    uint8_t* target = line;
    const uint8_t* source = from.pixels.data() + y * from.row();
    for (int64_t x = 0; x < from.width; ++x, source += from.channels)
      for (int64_t repeat = 0; repeat < scale; ++repeat)
        for (int64_t c = 0; c < to.channels; ++c)
          *target++ = source[std::min(c, from.channels - 1)];
    for (int64_t repeat = 1; repeat < scale; ++repeat)
      std::copy_n(line, values, line + repeat * to.row());
  }
}

void draw(Image& image, int64_t x, int64_t y, const std::string& text, const Layout& layout) {
  draw_text(image, x, y, text, kInk, layout.text_scale);
}

void draw_title(Image& image, const std::string& title, const Layout& layout, int64_t top) {
  const std::string text = shortened(title, kWidestTitle);
  draw(image, layout.left - kMargin - text_width(text) * layout.text_scale,
       top + (layout.tile_height - text_height() * layout.text_scale) / 2, text, layout);
}

/// A text in the middle of the column that a picture has, cut to its width.
void draw_in_column(Image& image, size_t column, int64_t y, const std::string& whole,
                    const Layout& layout) {
  const std::string text = shortened(whole, layout.tile_width / layout.text_scale);
  draw(image,
       layout.left_of(static_cast<int64_t>(column)) +
           (layout.tile_width - text_width(text) * layout.text_scale) / 2,
       y, text, layout);
}

void draw_captions(Image& image, const SheetRow& row, const Layout& layout, int64_t top) {
  const int64_t line = text_height() * layout.text_scale;
  for (size_t i = 0; i < row.captions.size(); ++i)
    draw_in_column(image, i, top - kTextGap - line, row.captions[i], layout);
  for (size_t i = 0; i < row.notes.size(); ++i) {
    int64_t y = top + layout.tile_height + kGap;
    for (const std::string& text : lines_of(row.notes[i])) {
      draw_in_column(image, i, y, text, layout);
      y += line;
    }
  }
}

}  // namespace

int64_t sheet_scale(int64_t pixels) {
  return std::max<int64_t>(1, std::lround(kReadableSide / static_cast<double>(pixels)));
}

Image sheet_image(const PictureSheet& sheet) {
  const Layout layout = layout_of(sheet);
  Image image = blank(layout);
  if (sheet.labels) draw(image, kMargin, kMargin, sheet.headline, layout);
  for (size_t i = 0; i < sheet.rows.size(); ++i) {
    const SheetRow& row = sheet.rows[i];
    for (size_t k = 0; k < row.pictures.size(); ++k)
      paste(row.pictures[k], sheet.scale, image, layout.left_of(static_cast<int64_t>(k)),
            layout.top[i]);
    if (!sheet.labels) continue;
    draw_title(image, row.title, layout, layout.top[i]);
    draw_captions(image, row, layout, layout.top[i]);
  }
  return image;
}

}  // namespace pal
