#pragma once
#include <ATen/ATen.h>

#include <set>
#include <string>
#include <vector>

#include "bench/libtorch/tensors_file.h"

namespace rival {

/// How the network runs.
struct Settings {
  at::Device device = at::kCPU;
  /// Subnets by autocast in bfloat16; the stream stays float32.
  bool bf16 = false;
  /// As the published code runs: NCHW memory, permutations as matrices, class means spelled out.
  bool untuned = false;

  at::MemoryFormat memory() const {
    return untuned ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast;
  }
};

/// Which parameters' gradient is clipped.
enum class Group { network, means };

/// Hands out the tensors `model.<name>` of a checkpoint and remembers which are parameters.
class Weights {
 public:
  Weights(const TensorsFile& file, const Settings& settings);

  /// A leaf that wants a gradient; convolution weights in the memory format of the activations.
  at::Tensor parameter(const std::string& name, Group group = Group::network);
  /// A tensor that is not learned.
  at::Tensor buffer(const std::string& name);
  bool has(const std::string& name) const;

  const Settings& settings() const { return settings_; }
  const std::vector<at::Tensor>& parameters(Group group) const {
    return group == Group::network ? network_ : means_;
  }
  /// Throws if the file holds a tensor that the network did not ask for: it would be another one.
  void check_all_used() const;

 private:
  const TensorsFile& file_;
  Settings settings_;
  std::vector<at::Tensor> network_, means_;
  std::set<std::string> used_;
};

}  // namespace rival
