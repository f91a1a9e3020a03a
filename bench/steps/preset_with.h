#pragma once
#include <string>
#include <vector>

#include "layers/models/config.h"

namespace pal::bench {

/// A preset with fields set from texts KEY=VALUE, not validated yet. Throws usage beginning with
/// `where`.
ModelConfig preset_with(const std::string& arch, const std::vector<std::string>& fields,
                        const std::string& where);

}  // namespace pal::bench
