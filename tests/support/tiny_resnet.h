#pragma once
#include "layers/models/config.h"

namespace pal::testing {

/// A residual network of a few thousand parameters: bottlenecks behind the ImageNet stem, with and
/// without a stride, with and without a projection. An odd image size, so that strides round up.
inline ModelConfig tiny_resnet() {
  ModelConfig config = preset("resnet50");
  config.arch = "tiny-resnet";
  config.image_size = 19;
  config.classes = 4;
  config.entry_width = 6;
  config.blocks = {2, 1};
  config.strides = {1, 2};
  config.widths = {3, 4};
  return config;
}

/// Basic blocks behind the small stem.
inline ModelConfig tiny_basic_resnet() {
  ModelConfig config = tiny_resnet();
  config.image_size = 11;
  config.channels = 1;
  config.entry = EntryKind::haar;
  config.subnet = SubnetKind::basic;
  config.widths = {6, 8};
  return config;
}

/// The same behind the stem of networks for CIFAR, which keeps every pixel.
inline ModelConfig tiny_cifar_resnet() {
  ModelConfig config = tiny_basic_resnet();
  config.entry = EntryKind::cifar;
  config.image_size = 7;
  return config;
}

}  // namespace pal::testing
