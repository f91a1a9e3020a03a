// What a configuration must be so that a network can be built from it.
#include <algorithm>

#include "layers/models/config.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// How often a flow halves the image.
int64_t halvings(const ModelConfig& config) {
  return (config.entry == EntryKind::entry ? 2 : 1) +
         std::count(config.strides.begin(), config.strides.end(), 2);
}

/// Checks what both families need.
void validate_skeleton(const ModelConfig& c) {
  expect(c.channels >= 1 && c.channels <= 64, "channels: expected 1 to 64, got {}", c.channels);
  expect(c.classes >= 1 && c.classes <= 1000000, "classes: expected 1 to 1000000, got {}",
         c.classes);
  expect(!c.blocks.empty() && c.blocks.size() == c.strides.size() &&
             c.blocks.size() == c.widths.size() && c.blocks.size() <= 8,
         "blocks, strides, widths: expected 1 to 8 stages, equally many in each, got {}, {} and {}",
         c.blocks.size(), c.strides.size(), c.widths.size());
  for (size_t i = 0; i < c.blocks.size(); ++i) {
    expect(c.blocks[i] >= 1 && c.blocks[i] <= 10000,
           "blocks: expected 1 to 10000 per stage, got {}", c.blocks[i]);
    expect(c.strides[i] == 1 || c.strides[i] == 2, "strides: expected 1 or 2, got {}",
           c.strides[i]);
    expect(c.widths[i] >= 1 && c.widths[i] <= 65536, "widths: expected 1 to 65536, got {}",
           c.widths[i]);
  }
  expect(c.entry_width >= 1 && c.entry_width <= 65536, "entry-width: expected 1 to 65536, got {}",
         c.entry_width);
  expect(c.image_size >= 1 && c.image_size <= 16384, "image-size: expected 1 to 16384, got {}",
         c.image_size);
}

/// Checks what a flow needs besides.
void validate_flow(const ModelConfig& c) {
  expect(c.entry != EntryKind::cifar,
         "entry: cifar is the stem of a ResNet; a flow has entry or haar");
  expect(c.entry != EntryKind::entry || c.channels >= 2,
         "entry: a downsampling coupling needs at least 2 channels to split; use entry haar");
  const int64_t unit = size_unit(c);
  if (c.image_size % unit != 0) {
    const int64_t below = c.image_size / unit * unit;
    fail(ErrorKind::usage, "image-size: {} cannot be halved {} times; the nearest sizes are {}{}",
         c.image_size, halvings(c), below > 0 ? std::to_string(below) + " and " : std::string(),
         below + unit);
  }
  expect(c.clamp > 0.0, "clamp: expected a number above 0, got {}", c.clamp);
  const double most_scale = c.act_norm == ActNormKind::sigmoid ? 10.0 : 1e6;
  expect(c.act_norm_init > 0.0 && c.act_norm_init < most_scale,
         "act-norm-init: expected a number between 0 and {}, got {}", most_scale, c.act_norm_init);
  const bool learned = is_learned(c.mixing);
  expect(!c.welling || !learned,
         "welling: expected a fixed mixing (permutation, orthogonal or swap)");
  expect(c.mixing != MixingKind::householder || (c.reflections >= 1 && c.reflections <= 65536),
         "reflections: expected 1 to 65536, got {}", c.reflections);
  expect(c.subnet_gain >= 0.0, "subnet-gain: expected at least 0, got {}", c.subnet_gain);
  expect(c.rank >= 0, "rank: expected at least 0, got {}", c.rank);
  expect(c.mu_init >= 0.0, "mu-init: expected at least 0, got {}", c.mu_init);
  const int64_t mean_dims = c.channels << (2 * halvings(c));
  expect(c.rank == 0 || mean_dims < c.channels * c.image_size * c.image_size,
         "rank: an image of {0}x{0} is pooled to single pixels, which leaves no dimension for "
         "prototypes; use rank 0",
         c.image_size);
  expect(mean_dims >= c.classes,
         "classes: {} classes need at least as many pooled channels, and this network has {}",
         c.classes, mean_dims);
}

}  // namespace

int64_t size_unit(const ModelConfig& config) {
  return config.family == ModelFamily::flow ? int64_t{1} << halvings(config) : 1;
}

void validate(const ModelConfig& config) {
  validate_skeleton(config);
  if (config.family == ModelFamily::flow) validate_flow(config);
}

}  // namespace pal
