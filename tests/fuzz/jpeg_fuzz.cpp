#include <vector>

#include "data/transforms.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run(bytes, size, [](std::span<const uint8_t> file) {
    if (pal::sniff_format(file) != pal::ImageFormat::jpeg) return;
    pal::ImageLimits limits;
    limits.max_pixels = 1 << 20;
    limits.max_scans = 50;
    pal::decode_image(file, "file", limits);
    // Regions and scaled decoding.
    pal::TransformSpec spec;
    spec.size = 16;
    spec.limits = limits;
    spec.fast_decode = file.size() % 2 == 0;
    spec.exif = file.size() % 3 == 0;
    spec.crop = pal::CropKind::random_resized;
    std::vector<uint8_t> out(static_cast<size_t>(16 * 16 * 3));
    pal::make_views(file, "file", spec, pal::Philox(file.size(), pal::RandomPurpose::augment), out);
  });
}
