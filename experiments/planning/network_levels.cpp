#include "experiments/planning/network_levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "runtime/error.h"

namespace pal {
namespace {

/// Pixels of the image that a value depends on, relative to the first pixel that it stands for.
struct PixelRange {
  int64_t first = 0;
  int64_t last = 0;
  int64_t step = 1;  ///< pixels from one value to the next

  int64_t length() const { return last - first + 1; }
  /// The range of a value that is made of a window of such values.
  PixelRange behind(const PoolGeometry& window) const {
    return {first - window.padding * step, last + (window.kernel - 1 - window.padding) * step,
            step * window.stride};
  }
};

PixelRange joined(const PixelRange& a, const PixelRange& b) {
  expect(a.step == b.step, "network_levels: values {} and {} pixels apart meet", a.step, b.step);
  return {std::min(a.first, b.first), std::max(a.last, b.last), a.step};
}

PixelRange behind(const SubnetSummary& subnet, PixelRange range) {
  for (const LayerSummary& layer : subnet.layers)
    range = range.behind({layer.kernel, layer.stride, layer.kernel / 2});
  return range;
}

bool is_strided(const SubnetSummary& subnet) {
  return std::ranges::any_of(subnet.layers, [](const auto& layer) { return layer.stride > 1; });
}

/// Each subnet of a coupling sees what the one before has changed; a strided one goes beside the
/// squeeze, the others behind it.
PixelRange behind_coupling(const BlockSummary& block, const PixelRange& input) {
  PixelRange stream = input.behind(block.window);
  for (const SubnetSummary& subnet : block.subnets)
    stream = joined(stream, behind(subnet, is_strided(subnet) ? input : stream));
  return stream;
}

/// Branch and shortcut both see the block's input. A shortcut without layers adds nothing.
PixelRange behind_residual(const BlockSummary& block, const PixelRange& input) {
  if (block.subnets.empty()) return input.behind(block.window);
  PixelRange result = behind(block.subnets.front(), input);
  for (const SubnetSummary& subnet : block.subnets) result = joined(result, behind(subnet, input));
  return result;
}

/// The name of each block's level.
std::vector<std::string> level_names(const ModelSummary& model) {
  const std::vector<int64_t>& stages = model.config.blocks;
  const auto in_stages = std::accumulate(stages.begin(), stages.end(), int64_t{0});
  const auto in_head =
      std::ranges::count_if(model.blocks, [](const auto& b) { return b.output.rank() == 2; });
  const int64_t before = static_cast<int64_t>(model.blocks.size()) - in_stages - in_head;
  std::vector<std::string> names = {"entry"};
  names.resize(static_cast<size_t>(before), "pool");
  for (size_t stage = 0; stage < stages.size(); ++stage)
    names.insert(names.end(), static_cast<size_t>(stages[stage]),
                 fmt::format("stage {}", stage + 1));
  names.resize(model.blocks.size(), "head");
  return names;
}

}  // namespace

std::vector<NetworkLevel> network_levels(const ModelSummary& model) {
  const bool flow = model.config.family == ModelFamily::flow;
  std::vector<NetworkLevel> levels = {
      {"image", model.config.image_size, model.config.channels, 0, 1}};
  const std::vector<std::string> names = level_names(model);
  PixelRange range;
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    const BlockSummary& block = model.blocks[i];
    if (names[i] != levels.back().name) levels.push_back({names[i], 0, 0, 0, {}});
    NetworkLevel& level = levels.back();
    if (block.output.rank() == 2) {
      level.size = 1;
      level.channels = flow ? block.output[1] : block.input[3];
      level.receptive_field.reset();
      continue;
    }
    range = flow ? behind_coupling(block, range) : behind_residual(block, range);
    level.size = block.output[1];
    level.channels = block.output[3];
    level.blocks += block.subnets.empty() ? 0 : 1;
    level.receptive_field = range.length();
  }
  return levels;
}

std::optional<ModelConfig> residual_counterpart(const ModelConfig& config) {
  if (config.arch != "ibinn-imagenet" && config.arch != "ibinn-small") return std::nullopt;
  ModelConfig other = preset(config.arch == "ibinn-small" ? "resnet-small" : "resnet50");
  if (config.entry != other.entry || config.blocks != other.blocks ||
      config.strides != other.strides)
    return std::nullopt;
  other.image_size = config.image_size;
  other.channels = config.channels;
  other.classes = config.classes;
  return other;
}

}  // namespace pal
