#include "experiments/explain/explained_images.h"

#include <algorithm>

#include "experiments/explain/position_head.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/sampling.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"

namespace pal {

int64_t images_at_once(const ModelConfig& config) {
  constexpr int64_t kValues = 1'250'000;
  return std::clamp<int64_t>(kValues / (config.image_size * config.image_size * config.channels), 1,
                             100);
}

void encode_in_parts(IbInn& flow, const InputSpec& input, const TestImages& from,
                     const std::vector<int64_t>& indices,
                     const std::function<void(int64_t, const Tensor&)>& take) {
  const auto count = static_cast<int64_t>(indices.size());
  const int64_t most = images_at_once(flow.config());
  for (int64_t first = 0; first < count; first += most) {
    const auto begin = indices.begin() + first;
    const std::vector<int64_t> part(begin, begin + std::min(most, count - first));
    take(first, encode(flow, network_images(*from.set, input, part, from.transform)));
  }
}

std::vector<PositionMaps> position_maps(IbInn& flow, const PositionHead& head, const Tensor& images,
                                        Share share) {
  // Maps of 1,000 classes are larger than the images.
  const int64_t most = images_at_once(flow.config());
  const int64_t values = head.classes() * head.side() * head.side();
  std::vector<PositionMaps> maps;
  for (int64_t first = 0; first < images.size(0); first += most) {
    const int64_t count = std::min(most, images.size(0) - first);
    const Tensor g = head.log_densities(encode(flow, images.slice_batch(first, count)));
    for (int64_t i = 0; i < count; ++i)
      maps.emplace_back(
          std::span<const double>(g.data<double>() + i * values, static_cast<size_t>(values)),
          head.classes(), share);
  }
  return maps;
}

std::vector<ExplainedImage> explain_images(const ExplainOptions& o, const LoadedModel& loaded) {
  IbInn& flow = flow_of(loaded, o.checkpoint);
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const ClassMatch match = match_classes(loaded, o.checkpoint, from.set->info(), false);
  const std::vector<int64_t> indices = explained_indices(o, from);
  const PositionHead head(flow.head().means(), flow.dims(), flow.head().spec().mean_dims);
  const auto most = static_cast<size_t>(images_at_once(loaded.model->config()));
  std::vector<ExplainedImage> explained;
  for (size_t first = 0; first < indices.size(); first += most) {
    const size_t last = std::min(indices.size(), first + most);
    const std::vector<int64_t> part(indices.begin() + static_cast<std::ptrdiff_t>(first),
                                    indices.begin() + static_cast<std::ptrdiff_t>(last));
    const Tensor images = network_images(*from.set, loaded.input, part, from.transform);
    const std::vector<Image> pictures = to_pictures(images, loaded.input);
    auto maps = position_maps(flow, head, images, o.share);
    for (size_t i = 0; i < part.size(); ++i)
      explained.push_back({part[i], from.set->item_name(part[i]),
                           static_cast<int32_t>(match.model_class(from.set->label(part[i]))),
                           pictures[i], std::move(maps[i])});
  }
  return explained;
}

}  // namespace pal
