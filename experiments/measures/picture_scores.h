#pragma once
#include <vector>

#include "data/pictures/image_file.h"
#include "layers/models/model_io.h"

namespace pal {

/// The class scores of 8-bit pictures by a model (q(y|x) = softmax of a row), as it would read them
/// from a file: f32 [n, classes] in the host's memory. All must have the size that it reads.
Tensor picture_scores(Model& model, const InputSpec& input, const std::vector<Image>& pictures);

/// What a model takes a picture for.
struct PictureAnswer {
  int64_t y = 0;                      ///< the most probable class
  std::vector<double> probabilities;  ///< q(y|x) of all classes
};

/// The answers that follow from picture_scores.
std::vector<PictureAnswer> picture_answers(Model& model, const InputSpec& input,
                                           const std::vector<Image>& pictures);

}  // namespace pal
