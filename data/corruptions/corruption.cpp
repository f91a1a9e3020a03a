#include "data/corruptions/corruption.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "data/corruptions/cores.h"
#include "data/pictures/jpeg_encoder.h"
#include "runtime/error.h"

namespace pal {
namespace {

struct Entry {
  Corruption corruption;
  const char* group;
  const char* name;
  const char* published;
};

constexpr std::array kEntries = {
    Entry{Corruption::gaussian_noise, "noise", "gaussian_noise", "gaussian_noise"},
    Entry{Corruption::shot_noise, "noise", "shot_noise", "shot_noise"},
    Entry{Corruption::impulse_noise, "noise", "impulse_noise", "impulse_noise"},
    Entry{Corruption::defocus_blur, "blur", "defocus_blur", "defocus_blur"},
    Entry{Corruption::glass_blur, "blur", "glass_blur", "glass_blur"},
    Entry{Corruption::motion_blur, "blur", "motion_blur", "motion_blur"},
    Entry{Corruption::zoom_blur, "blur", "zoom_blur", "zoom_blur"},
    Entry{Corruption::snow, "weather", "snow", "snow"},
    Entry{Corruption::frost, "weather", "frost", "frost"},
    Entry{Corruption::fog, "weather", "fog", "fog"},
    Entry{Corruption::brightness, "weather", "brightness", "brightness"},
    Entry{Corruption::contrast, "digital", "contrast", "contrast"},
    Entry{Corruption::elastic, "digital", "elastic", "elastic_transform"},
    Entry{Corruption::pixelate, "digital", "pixelate", "pixelate"},
    Entry{Corruption::jpeg, "digital", "jpeg", "jpeg_compression"},
    Entry{Corruption::speckle_noise, "extra", "speckle_noise", "speckle_noise"},
    Entry{Corruption::gaussian_blur, "extra", "gaussian_blur", "gaussian_blur"},
    Entry{Corruption::spatter, "extra", "spatter", "spatter"},
    Entry{Corruption::saturate, "extra", "saturate", "saturate"}};

constexpr int64_t kImagenetSide = 64;

const Entry& entry_of(Corruption corruption) {
  const auto found = std::ranges::find(kEntries, corruption, &Entry::corruption);
  if (found == kEntries.end()) fail(ErrorKind::failure, "name_of: no such corruption");
  return *found;
}

std::string folder_of(std::string class_name) {
  std::ranges::replace(class_name, '/', '-');
  return class_name;
}

}  // namespace

const char* name_of(Corruption corruption) { return entry_of(corruption).name; }

const char* published_name(Corruption corruption) { return entry_of(corruption).published; }

std::optional<Corruption> corruption_of(const std::string& name) {
  for (const Entry& entry : kEntries)
    if (name == entry.name || name == entry.published) return entry.corruption;
  return std::nullopt;
}

std::vector<Corruption> all_corruptions(bool extra) {
  std::vector<Corruption> all;
  for (const Entry& entry : kEntries)
    if (extra || !is_extra(entry.corruption)) all.push_back(entry.corruption);
  return all;
}

bool is_extra(Corruption corruption) { return corruption >= Corruption::speckle_noise; }

const char* group_of(Corruption corruption) { return entry_of(corruption).group; }

const char* name_of(ParameterSet set) {
  return set == ParameterSet::imagenet ? "imagenet" : "cifar";
}

ParameterSet default_parameters(int64_t height, int64_t width) {
  return std::min(height, width) >= kImagenetSide ? ParameterSet::imagenet : ParameterSet::cifar;
}

std::string path_in_set(const std::string& set, const std::string& item) {
  if (item.starts_with(set + "/")) return item.substr(set.size() + 1);
  const size_t shard = item.find(".tar:");
  if (shard == std::string::npos) return item;
  const size_t folder = item.rfind('/', shard);
  return folder == std::string::npos ? item : item.substr(folder + 1);
}

std::string tree_path(const std::string& class_name, const std::string& path) {
  constexpr std::string_view kMember = ".tar:";
  const size_t member = path.find(kMember);
  if (member == std::string::npos) return path;
  // A shard's member, put into the folder of its class.
  const std::filesystem::path file(path.substr(member + kMember.size()));
  return folder_of(class_name) + "/" + file.filename().string();
}

std::string tree_path(const std::string& class_name, int64_t index) {
  return fmt::format("{}/{:05}", folder_of(class_name), index);
}

void check_corruption(int64_t height, int64_t width, int64_t channels, Corruption corruption,
                      int severity) {
  const char* name = name_of(corruption);
  expect(severity >= 1 && severity <= kSeverities, "{}: expected a severity of 1 to {}, got {}",
         name, kSeverities, severity);
  expect(channels == 1 || channels == 3, "{}: expected grey or RGB images, got {} channels", name,
         channels);
  expect(std::min(height, width) >= kLeastCorruptedSide &&
             std::max(height, width) <= kMostCorruptedSide,
         "{}: expected images of {} to {} pixels a side, got {}x{}", name, kLeastCorruptedSide,
         kMostCorruptedSide, width, height);
  expect(corruption != Corruption::saturate || channels == 3,
         "{}: grey images have no colours; leave it out", name);
}

Image corrupted(const Image& image, Corruption corruption, int severity,
                const CorruptionOptions& options, const std::string& path) {
  check_corruption(image.height, image.width, image.channels, corruption, severity);
  const ParameterSet set =
      options.parameters.value_or(default_parameters(image.height, image.width));
  const Draws draws = draws_for(image, corruption, severity, set, options, path);
  const Image made = to_levels(cores::apply(image, corruption, severity, set, draws,
                                            options.glass_copy.value_or(image.channels == 3)));
  if (options.jpeg_quality == 0) return made;
  return decode_image(encode_jpeg(made, {.quality = options.jpeg_quality, .smallest = false}),
                      path);
}

}  // namespace pal
