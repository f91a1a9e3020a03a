#pragma once
#include <string>
#include <vector>

#include "data/pictures/picture_sheet.h"
#include "experiments/explain/explained_images.h"

namespace pal {

/// A map of an image, of N x N positions row by row, in nats.
struct NamedMap {
  int64_t image = 0;  ///< ExplainedImage::index
  std::string name;   ///< of the image
  std::string what;   ///< a class, "saliency", or "CLASS / CLASS"
  std::vector<double> values;
};

/// Maps as a sheet of pictures, and their numbers.
struct MapSheet {
  PictureSheet sheet;
  std::vector<NamedMap> maps;
  std::vector<std::string> lines;  ///< what to say on stdout
};

/// The numbers as CSV: image, name, map, row, column, nats.
std::string maps_csv(const MapSheet& made);
/// Writes the numbers as a safetensors file (experiments/README.md, "Array files") of a model of this
/// digest. Throws as write_safetensors.
void write_map_arrays(const std::string& path, const MapSheet& made,
                      const std::string& model_digest);

/// Each image beside its saliency and the posterior maps of its three likeliest classes (or of
/// `classes`), in one symmetric range of colours (the paper's Fig. 5 and 17), with their sums.
MapSheet heatmap_sheet(const ExplainOptions& options, const LoadedModel& loaded,
                       const std::vector<ExplainedImage>& images);

/// Each image beside the evidence for one class against another, in nats, symmetric colours.
MapSheet evidence_sheet(const ExplainOptions& options, const LoadedModel& loaded,
                        const std::vector<ExplainedImage>& images);

}  // namespace pal
