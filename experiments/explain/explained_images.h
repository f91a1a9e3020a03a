#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/explain/explain_options.h"
#include "experiments/explain/heatmap.h"
#include "experiments/explain/position_head.h"
#include "layers/models/model_io.h"

namespace pal {

/// A test image, what it is called, and what its positions say.
struct ExplainedImage {
  int64_t index = 0;  ///< in its set
  std::string name;
  int32_t label = 0;  ///< the model's class
  Image picture;
  PositionMaps maps;
};

/// Images that pass through a network at once: 8 of 224 x 224, at most 100.
int64_t images_at_once(const ModelConfig& config);

/// Hands the latent vectors [n, D] of some test images to `take`, batch after batch, with the place
/// of each batch's first image in `indices`.
void encode_in_parts(IbInn& flow, const InputSpec& input, const TestImages& from,
                     const std::vector<int64_t>& indices,
                     const std::function<void(int64_t, const Tensor&)>& take);

/// What the positions of images [n, h, w, c] say, through the network in batches.
std::vector<PositionMaps> position_maps(IbInn& flow, const PositionHead& head, const Tensor& images,
                                        Share share);

/// The test images that the options name, through the network in batches. Throws usage for a model
/// that is no flow or images that do not fit it.
std::vector<ExplainedImage> explain_images(const ExplainOptions& options,
                                           const LoadedModel& loaded);

}  // namespace pal
