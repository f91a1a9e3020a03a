// make_pictures FOLDER CLASSES COUNT WIDTH HEIGHT: an image folder of JPEGs that a test can train
// on, COUNT of each class in FOLDER/train and a quarter as many in FOLDER/val. The class is the
// direction of stripes.
#include <cstdlib>
#include <filesystem>
#include <string>

#include "data/pictures/jpeg_encoder.h"
#include "data/sets/synthetic.h"
#include "runtime/file.h"

namespace {

void write_part(const std::string& folder, const pal::SyntheticOptions& options) {
  const pal::ImageSet set = pal::synthetic_set(options);
  for (int64_t i = 0; i < set.count; ++i) {
    pal::Image image;
    image.width = set.width;
    image.height = set.height;
    image.channels = set.channels;
    const auto* const first = set.pixels.data() + i * set.image_size();
    image.pixels.assign(first, first + set.image_size());
    const std::string place =
        folder + "/class " + std::to_string(set.labels[static_cast<size_t>(i)]);
    std::filesystem::create_directories(place);
    const auto bytes = pal::encode_jpeg(image, {});
    pal::write_atomic(place + "/" + std::to_string(i) + ".JPEG",
                      std::string(bytes.begin(), bytes.end()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  pal::SyntheticOptions options;
  options.classes = std::atoll(argv[2]);
  options.count = options.classes * std::atoll(argv[3]);
  options.width = std::atoll(argv[4]);
  options.height = std::atoll(argv[5]);
  options.channels = 3;
  write_part(std::string(argv[1]) + "/train", options);
  options.count /= 4;
  options.seed = 1;
  write_part(std::string(argv[1]) + "/val", options);
  return 0;
}
