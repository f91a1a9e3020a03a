#include "experiments/report/evaluation_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "experiments/report/text_table.h"

namespace pal {
namespace {

constexpr size_t kTop = 5;
constexpr size_t kMostClasses = 100;

/// The `count` likeliest classes, of equal ones the first: the first of all is the prediction.
std::vector<size_t> likeliest(std::span<const double> scores, size_t count) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::partial_sort(
      order, order.begin() + static_cast<std::ptrdiff_t>(count),
      [&](size_t a, size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  order.resize(count);
  return order;
}

}  // namespace

ImageTable::ImageTable(const Dataset& set, const ClassMatch& classes, bool has_density)
    : set_(set),
      classes_(classes),
      has_density_(has_density),
      top_(std::min(kTop, classes.names.size())),
      all_probabilities_(classes.names.size() <= kMostClasses),
      text_("index,name,label,label_name,predicted,predicted_name") {
  for (size_t k = 1; k <= top_; ++k) text_ += fmt::format(",top{0}_name,top{0}_probability", k);
  text_ += ",rank,confidence,entropy,ce,loss_y,loss_x,loss_class,log_density";
  for (size_t y = 0; all_probabilities_ && y < classes.names.size(); ++y)
    text_ += fmt::format(",p_{}", y);
  text_ += '\n';
}

void ImageTable::add_field(const std::string& text) { text_ += ',' + csv_field(text); }

template <typename Number>
void ImageTable::add_number(Number number) {
  fmt::format_to(std::back_inserter(text_), ",{}", number);
}

void ImageTable::add(const ImageResult& image, const ClassScores& scores) {
  text_ += std::to_string(image.index);
  add_field(set_.item_name(image.index));
  add_number(image.label);
  add_field(classes_.label_names[static_cast<size_t>(image.label)]);
  add_number(image.predicted);
  add_field(classes_.names[static_cast<size_t>(image.predicted)]);
  for (const size_t y : likeliest(scores.scores, top_)) {
    add_field(classes_.names[y]);
    add_number(scores.probabilities[y]);
  }
  add_number(image.rank);
  for (const double value : {image.confidence, image.entropy, image.cross_entropy, image.loss_y})
    add_number(value);
  for (const double value : {image.loss_x, image.loss_class, image.log_density}) {
    if (has_density_)
      add_number(value);
    else
      text_ += ',';
  }
  if (all_probabilities_)
    for (const double probability : scores.probabilities) add_number(probability);
  text_ += '\n';
}

}  // namespace pal
