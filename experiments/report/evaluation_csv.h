#pragma once
#include <string>

#include "experiments/measures/class_match.h"
#include "experiments/measures/evaluation.h"

namespace pal {

/// A table of images as CSV (RFC 4180, UTF-8, lines end with \n), with a header:
/// - index, name: the image's place in its set and its file;
/// - label, label_name, predicted, predicted_name: classes of the model;
/// - topK_name, topK_probability for K = 1 to 5, or to the number of classes: the likeliest
///   classes;
/// - rank, confidence, entropy, ce, loss_y, loss_x, loss_class, log_density as in ImageResult; the
///   last three are empty if the model only classifies;
/// - p_0, p_1, ... of every class, for at most 100 classes.
class ImageTable {
 public:
  /// Keeps references to all of them.
  ImageTable(const Dataset& set, const ClassMatch& classes, bool has_density);

  /// Adds the line of an image.
  void add(const ImageResult& image, const ClassScores& scores);
  /// The header and the lines so far.
  const std::string& text() const { return text_; }

 private:
  void add_field(const std::string& text);
  template <typename Number>
  void add_number(Number number);

  const Dataset& set_;
  const ClassMatch& classes_;
  bool has_density_;
  size_t top_;
  bool all_probabilities_;
  std::string text_;
};

}  // namespace pal
