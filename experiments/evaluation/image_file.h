#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "experiments/measures/class_match.h"
#include "experiments/measures/evaluation.h"
#include "experiments/trust/array_metadata.h"

namespace pal {

/// The file of --save-outputs: what an evaluation says of each image.
class ImageFile {
 public:
  virtual ~ImageFile() = default;
  /// What takes in each image; it is not to outlive this.
  virtual std::function<void(const ImageResult&, const ClassScores&)> observer() = 0;
  /// The tensors that it holds; none of a table.
  virtual std::vector<ArrayField> fields() const = 0;
  /// Throws as write_atomic.
  virtual void write(const std::string& path,
                     const std::map<std::string, std::string>& metadata) const = 0;
};

/// The file that a path asks for: arrays (experiments/README.md, "Array files") if it ends in
/// .safetensors, else a table as CSV (ImageTable); null for an empty path. Keeps references to all.
std::unique_ptr<ImageFile> open_image_file(const std::string& path, const Dataset& set,
                                           const ClassMatch& classes, bool has_density);

/// The tensors of --save-latents.
std::vector<ArrayField> latent_fields();

}  // namespace pal
