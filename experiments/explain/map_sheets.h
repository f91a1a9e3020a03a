#pragma once
#include <string>
#include <vector>

#include "data/pictures/picture_sheet.h"
#include "experiments/explain/explained_images.h"

namespace pal {

/// Maps as a sheet of pictures, and their numbers as CSV: image, name, map, row, column, nats.
struct MapSheet {
  PictureSheet sheet;
  std::string csv;
  std::vector<std::string> lines;  ///< what to say on stdout
};

/// Each image beside its saliency and the posterior maps of its three likeliest classes (or of
/// `classes`), in one symmetric range of colours (the paper's Fig. 5 and 17), with their sums.
MapSheet heatmap_sheet(const ExplainOptions& options, const LoadedModel& loaded,
                       const std::vector<ExplainedImage>& images);

/// Each image beside the evidence for one class against another, in nats, symmetric colours.
MapSheet evidence_sheet(const ExplainOptions& options, const LoadedModel& loaded,
                        const std::vector<ExplainedImage>& images);

}  // namespace pal
