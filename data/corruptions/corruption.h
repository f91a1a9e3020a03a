#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/corruptions/frost_pictures.h"
#include "data/pictures/image_file.h"

// Common corruptions of pictures at five severities (Hendrycks and Dietterich, "Benchmarking Neural
// Network Robustness to Common Corruptions and Perturbations", 2019).
namespace pal {

enum class Corruption : uint8_t {
  gaussian_noise,
  shot_noise,
  impulse_noise,
  defocus_blur,
  glass_blur,
  motion_blur,
  zoom_blur,
  snow,
  frost,
  fog,
  brightness,
  contrast,
  elastic,
  pixelate,
  jpeg,
  // The extra ones, which no mean over corruptions counts.
  speckle_noise,
  gaussian_blur,
  spatter,
  saturate,
};

/// Severities are 1 (mild) to this.
inline constexpr int kSeverities = 5;
/// Sides of images that can be corrupted, in pixels.
inline constexpr int64_t kLeastCorruptedSide = 8;
inline constexpr int64_t kMostCorruptedSide = 4096;

/// The corruption's name here: "gaussian_noise", "elastic", "jpeg" and so on.
const char* name_of(Corruption corruption);
/// Its folder's name in the published sets, where two differ: "elastic_transform",
/// "jpeg_compression".
const char* published_name(Corruption corruption);
/// The corruption of either name; none for another name.
std::optional<Corruption> corruption_of(const std::string& name);
/// The 15 that are counted in their published order, then the extra ones if they are wanted.
std::vector<Corruption> all_corruptions(bool extra = false);
/// Whether it is one of the four that no mean counts.
bool is_extra(Corruption corruption);
/// "noise", "blur", "weather", "digital" or "extra".
const char* group_of(Corruption corruption);

/// Which published set the strengths are of.
enum class ParameterSet : uint8_t {
  imagenet,  ///< for pictures of about 224 pixels
  cifar,     ///< for images of about 32 pixels
};
/// "imagenet" or "cifar".
const char* name_of(ParameterSet set);
/// The set that images of a size take unless told otherwise: `imagenet` from 64 pixels of the
/// shorter side on.
ParameterSet default_parameters(int64_t height, int64_t width);

/// How images are corrupted.
struct CorruptionOptions {
  uint64_t seed = 0;
  /// Which strengths; none: `default_parameters`.
  std::optional<ParameterSet> parameters = std::nullopt;
  /// Glass blur copies a neighbour's colour instead of exchanging the two, as the published colour
  /// sets have it; none: in colour, but not in grey.
  std::optional<bool> glass_copy = std::nullopt;
  /// Photographs for frost; null: a procedural texture, which results must say.
  std::shared_ptr<const FrostPictures> frost_pictures = nullptr;
  /// Only the first five of the six photographs are drawn, as for the published sets.
  bool frost_five = false;
  /// Quality of a JPEG (4:2:0) that the result is encoded to and decoded from, 85 in the published
  /// ImageNet set; 0: none.
  int jpeg_quality = 0;
};

/// The path that draws depend on, for an item (Dataset::item_name) of a set: below the set's folder,
/// or SHARD.tar:MEMBER without the shard's folder; so where a set is kept changes nothing.
std::string path_in_set(const std::string& set, const std::string& item);

/// What the picture of a corrupted image is called in a tree, below its severity: CLASS/NAME, of an
/// encoded picture by its `path_in_set`, of one in memory by its place in the set. A slash in the name
/// of a class that is no folder becomes a dash.
std::string tree_path(const std::string& class_name, const std::string& path);
std::string tree_path(const std::string& class_name, int64_t index);

/// Throws usage, naming the corruption, for a severity outside 1 to 5, images that are neither grey
/// nor RGB, a side outside the limits above, and for `saturate` on grey.
void check_corruption(int64_t height, int64_t width, int64_t channels, Corruption corruption,
                      int severity);

/// The corrupted image. What is drawn depends on (options.seed, corruption, severity, path) alone,
/// so neither other images nor threads change it; `path` is `path_in_set`.
/// Throws as `check_corruption`.
Image corrupted(const Image& image, Corruption corruption, int severity,
                const CorruptionOptions& options, const std::string& path);

}  // namespace pal
