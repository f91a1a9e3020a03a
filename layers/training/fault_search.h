#pragma once
#include <string>

#include "layers/models/model.h"

namespace pal {

/// Where a training step stops being finite.
struct Fault {
  enum class Place {
    images,
    weights,     ///< or running statistics, before the step did anything
    activation,  ///< the output of a block
    loss,
    gradient,
    nowhere,  ///< a second look finds all finite
  };
  Place place = Place::nowhere;
  std::string text;  ///< "the output of blocks.3 (glow coupling) is not finite"
};

/// Computes a step of images [n, h, w, c] and soft targets [n, classes], on the model's device,
/// once more, and looks for the first tensor that is not finite: forward through the blocks, then
/// backward from the last parameter. Gradients are lost; weights and statistics stay. For a flow's
/// head alone, or a ResNet, blocks are not looked at one by one. Waits for the device.
Fault find_fault(Model& model, const Tensor& images, const Tensor& targets, const LossSpec& loss,
                 bool head_only);

}  // namespace pal
