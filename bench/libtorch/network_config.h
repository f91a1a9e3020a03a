#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace rival {

/// A network as the engine's checkpoints describe it: the keys of layers/models/config.h that
/// matter here, words as they stand in the file.
struct NetworkConfig {
  std::string arch, family, entry, subnet, coupling, mixing, act_norm, dct;
  int64_t image_size = 0, channels = 0, classes = 0, rank = 0;
  std::vector<int64_t> blocks, strides;
  bool entry_7x7 = false, welling = false, gin = false;
  bool dct_reported = false, latent_norm = false, head_permutation = false;
  double clamp = 0.0;

  int64_t dims() const { return channels * image_size * image_size; }
};

/// From the checkpoint's metadata entry `configuration`. Throws std::runtime_error naming the key
/// that is missing or has the wrong type.
NetworkConfig network_config(const std::string& json);

}  // namespace rival
