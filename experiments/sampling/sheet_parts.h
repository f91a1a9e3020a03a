#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/picture_sheet.h"
#include "data/sets/dataset.h"
#include "experiments/sampling/sample_options.h"
#include "layers/models/model_io.h"
#include "runtime/json.h"

// What the sheets of pal-sample have in common.
namespace pal {

/// A sheet of pictures, and what pal-sample says of it.
struct SampleSheet {
  PictureSheet sheet;
  int64_t pictures = 0;  ///< that were made
  nlohmann::ordered_json json;
  std::vector<std::string> lines;
};

/// A sheet without rows, magnified as the options want it or as suits so many pictures. Throws usage
/// for more than fit on one.
PictureSheet empty_sheet(const SampleOptions& options, const LoadedModel& loaded, int64_t pictures);

/// "what: a, b, c", of long lists the beginning and their length.
std::string listed(const std::string& what, std::vector<std::string> texts);

/// The name of class y; its number where it has none.
std::string class_name(const std::vector<std::string>& names, int64_t y);

/// The name of an image's class in its set.
std::string class_of_image(const Dataset& set, int64_t index);

/// "7 coat": a number and what it stands for.
std::string numbered(int64_t number, const std::string& name);

}  // namespace pal
