#pragma once
#include <cstdint>

#include "data/corruptions/corruption.h"
#include "data/corruptions/draws.h"
#include "data/pictures/image_file.h"

namespace pal {

/// The frost that is laid over one image: a random part of one of the photographs, enlarged first
/// if the image is larger; without photographs a texture of crystals. Drawn from (seed, stream).
Image frost_part(const CorruptionOptions& options, ParameterSet set, const DrawShape& shape,
                 uint64_t seed, uint64_t stream);

}  // namespace pal
