#include "experiments/measures/model_fit.h"

#include "runtime/error.h"

namespace pal {

void expect_images_fit(const LoadedModel& loaded, const std::string& path, const DatasetInfo& set) {
  const ModelConfig& config = loaded.model->config();
  expect(set.channels == config.channels && set.height == config.image_size &&
             set.width == config.image_size,
         "{}: made for images of {}x{} with {} channel(s), but {} has {}x{} with {}", path,
         config.image_size, config.image_size, config.channels, set.name, set.width, set.height,
         set.channels);
  const auto channels = static_cast<size_t>(config.channels);
  if (loaded.input.mean.size() != channels || loaded.input.std.size() != channels)
    fail(ErrorKind::data, "{}: {} means and {} deviations for {} channel(s)", path,
         loaded.input.mean.size(), loaded.input.std.size(), config.channels);
  for (const float s : loaded.input.std)
    if (!(s > 0.0F)) fail(ErrorKind::data, "{}: std: expected numbers above 0, got {}", path, s);
}

}  // namespace pal
