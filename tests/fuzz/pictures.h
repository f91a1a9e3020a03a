#pragma once
#include <vector>

#include "data/pictures/transforms.h"
#include "tests/fuzz/fuzz.h"

namespace pal::fuzz {

/// Gives the bytes of one format to the decoders: whole pictures, regions and scaled decoding.
inline int run_pictures(const uint8_t* bytes, size_t size, ImageFormat format) {
  return run(bytes, size, [format](std::span<const uint8_t> file) {
    if (sniff_format(file) != format) return;
    TransformSpec spec;
    spec.limits.max_pixels = 1 << 20;
    spec.limits.max_scans = 50;
    decode_image(file, "file", spec.limits);
    spec.size = 16;
    spec.fast_decode = file.size() % 2 == 0;
    spec.exif = file.size() % 3 == 0;
    spec.crop = CropKind::random_resized;
    std::vector<uint8_t> out(static_cast<size_t>(spec.size * spec.size * spec.channels));
    make_views(file, "file", spec, Philox(file.size(), RandomPurpose::augment), out);
  });
}

}  // namespace pal::fuzz
