#include "data/corruptions/draws.h"

#include <algorithm>
#include <bit>

#include "data/corruptions/frost_texture.h"
#include "data/corruptions/random_fill.h"
#include "data/corruptions/severities.h"
#include "data/sources/hasher.h"
#include "runtime/philox.h"

namespace pal {
namespace {

/// What a stream of one image's numbers is for.
enum class Part : uint8_t { values, more, numbers };

/// The random numbers of one corrupted image.
class ImageRandom {
 public:
  ImageRandom(uint64_t seed, Corruption corruption, int severity, const std::string& path)
      : seed_(seed) {
    hasher_.add(name_of(corruption));
    hasher_.add(int64_t{severity});
    hasher_.add(path);
    key_ = hasher_.value();
  }

  std::vector<float> normal(int64_t count, Part part = Part::values) const {
    return made<float>(count, part, fill_normal);
  }
  std::vector<float> uniform(int64_t count, Part part = Part::values) const {
    return made<float>(count, part, fill_uniform);
  }
  std::vector<uint32_t> words(int64_t count, Part part = Part::values) const {
    return made<uint32_t>(count, part, fill_words);
  }
  /// Uniform in [least, most).
  float between(double least, double most) const {
    return static_cast<float>(least +
                              (most - least) * static_cast<double>(uniform(1, Part::numbers)[0]));
  }
  uint64_t stream(Part part) const { return key_ + static_cast<uint64_t>(part); }

 private:
  template <typename Value, typename Fill>
  std::vector<Value> made(int64_t count, Part part, Fill fill) const {
    std::vector<Value> values(static_cast<size_t>(count));
    fill(seed_, stream(part), values);
    return values;
  }

  uint64_t seed_;
  Hasher hasher_;
  uint64_t key_ = 0;
};

/// From [0, 1) to [-1, 1).
std::vector<float> both_signs(std::vector<float> values) {
  for (float& value : values) value = 2.0F * value - 1.0F;
  return values;
}

std::vector<int32_t> poisson_numbers(const Image& image, double photons,
                                     const ImageRandom& random) {
  const PoissonTable& table = poisson_table(photons);
  const std::vector<uint32_t> words = random.words(image.height * image.row());
  std::vector<int32_t> numbers(words.size());
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = table.at(image.pixels[i], words[i]);
  return numbers;
}

std::vector<int32_t> glass_moves(const Image& image, const severities::Glass& strength,
                                 const ImageRandom& random) {
  const int64_t count = strength.passes * glass_places(image.height, strength.reach) *
                        glass_places(image.width, strength.reach);
  const std::vector<uint32_t> words = random.words(count);
  std::vector<int32_t> moves(2 * words.size());
  const auto side = static_cast<uint64_t>(2 * strength.reach);
  for (size_t i = 0; i < words.size(); ++i) {
    const auto both = static_cast<uint32_t>((words[i] * side * side) >> 32);
    const auto wide = static_cast<uint32_t>(side);
    moves[2 * i] = static_cast<int32_t>(both % wide) - strength.reach;
    moves[2 * i + 1] = static_cast<int32_t>(both / wide) - strength.reach;
  }
  return moves;
}

/// A field of normal numbers of a mean and deviation.
std::vector<float> normal_field(const Image& image, double mean, double deviation,
                                const ImageRandom& random) {
  std::vector<float> field = random.normal(image.height * image.width);
  for (float& value : field)
    value = static_cast<float>(mean) + static_cast<float>(deviation) * value;
  return field;
}

std::array<float, 6> elastic_corners(const Image& image, const severities::Elastic& strength,
                                     ParameterSet set, const ImageRandom& random) {
  const double unit = set == ParameterSet::imagenet
                          ? 1.0
                          : static_cast<double>(std::min(image.height, image.width));
  const std::vector<float> drawn = both_signs(random.uniform(6, Part::numbers));
  std::array<float, 6> corners;
  for (size_t i = 0; i < corners.size(); ++i)
    corners[i] = static_cast<float>(strength.jitter * unit) * drawn[i];
  return corners;
}

}  // namespace

int64_t glass_places(int64_t count, int64_t reach) {
  return std::max<int64_t>(0, count - 2 * reach);
}

int64_t fog_side(int64_t height, int64_t width, ParameterSet set) {
  const int64_t least = set == ParameterSet::imagenet ? 256 : 32;
  return static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(std::max({least, height, width}))));
}

Draws draws_for(const Image& image, Corruption corruption, int severity, ParameterSet set,
                const CorruptionOptions& options, const std::string& path) {
  const ImageRandom random(options.seed, corruption, severity, path);
  const int64_t pixels = image.height * image.width;
  const int64_t values = pixels * image.channels;
  Draws draws;
  switch (corruption) {
    case Corruption::gaussian_noise:
    case Corruption::speckle_noise:
      draws.normal = random.normal(values);
      break;
    case Corruption::shot_noise:
      draws.poisson = poisson_numbers(image, severities::kShotNoise.at(set, severity), random);
      break;
    case Corruption::impulse_noise:
      draws.flip = random.uniform(values);
      draws.salt = random.uniform(values, Part::more);
      break;
    case Corruption::glass_blur:
      draws.moves = glass_moves(image, severities::kGlass.at(set, severity), random);
      break;
    case Corruption::motion_blur:
      draws.degrees = random.between(-45.0, 45.0);
      break;
    case Corruption::snow: {
      const severities::Snow& strength = severities::kSnow.at(set, severity);
      draws.field = normal_field(image, strength.mean, strength.deviation, random);
      draws.degrees = random.between(-135.0, -45.0);
      break;
    }
    case Corruption::spatter: {
      const severities::Spatter& strength = severities::kSpatter.at(set, severity);
      draws.field = normal_field(image, strength.mean, strength.deviation, random);
      break;
    }
    case Corruption::frost:
      draws.picture = frost_part(options, set, {image.height, image.width, image.channels},
                                 options.seed, random.stream(Part::values));
      break;
    case Corruption::fog: {
      const int64_t side = fog_side(image.height, image.width, set);
      draws.uniform = both_signs(random.uniform(side * side - 1));
      break;
    }
    case Corruption::elastic: {
      const severities::Elastic& strength = severities::kElastic.at(set, severity);
      draws.corners = elastic_corners(image, strength, set, random);
      draws.field = both_signs(random.uniform(2 * pixels));
      break;
    }
    default:
      break;
  }
  return draws;
}

}  // namespace pal
