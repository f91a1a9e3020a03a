#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/models/model_io.h"

namespace pal {

/// What became of a model that was written as others publish it.
struct ExportedModel {
  int64_t tensors = 0;     ///< that were written
  int64_t parameters = 0;  ///< how many values the network's parameters have
  /// What the layout has no place for, a line each.
  std::vector<std::string> lost;
};

/// Writes a model as a PyTorch file in the published layout (layers/models/README.md, 9), from which
/// import_model makes the same tensors again: of a flow {'inn', 'mu', ...} with all that the
/// published code loads strictly, permutations as matrices; of a ResNet a state dictionary in
/// torchvision's names. `file` is what messages call the model's own file. Throws data naming every
/// field with a value that the layout cannot tell, and as write_torch_file.
ExportedModel export_model(const std::string& path, const LoadedModel& loaded,
                           const std::string& file);

}  // namespace pal
