#include "experiments/datasets/stamp_sources.h"
#include "runtime/paths.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace pal {
namespace {

namespace fs = std::filesystem;

/// A class and where its cut-outs lie: names with a slash at the end are folders (without those
/// below), others single pictures.
struct ClassPlaces {
  const char* name;
  std::vector<const char*> places;
};

const std::vector<ClassPlaces>& class_places() {
  static const std::vector<ClassPlaces> kClasses = {
      {"bird", {"animals/birds/"}},
      {"coin",
       {"symbols/money/canadian/coins/", "symbols/money/euro/coins/", "symbols/money/japanese/",
        "symbols/money/us/coins/"}},
      {"flower", {"plants/flowers/"}},
      {"fruit", {"food/fruit/"}},
      {"instrument",
       {"hobbies/music/brass/", "hobbies/music/percussion/", "hobbies/music/string/",
        "hobbies/music/wind/"}},
      {"mammal",
       {"animals/mammals/", "animals/mammals/apes/", "animals/mammals/bears/",
        "animals/mammals/bovines/", "animals/mammals/camel/", "animals/mammals/cats/",
        "animals/mammals/deer/", "animals/mammals/dogs/", "animals/mammals/equines/",
        "animals/mammals/rodents/", "animals/marsupials/"}},
      {"planet", {"space/moon/", "space/planets/"}},
      {"sea",
       {"animals/fish/", "animals/shellfish/", "animals/mammals/aquatic/dolphin",
        "animals/mammals/aquatic/orca", "animals/mammals/aquatic/sea_lion",
        "animals/mammals/aquatic/whale"}},
      {"tool",
       {"household/tools/", "household/arttools/scissors_small_closed",
        "household/arttools/scissors_small_open", "household/dishes/utensils/nutcracker"}},
      {"vehicle",
       {"vehicles/auto/", "vehicles/ship/", "military/vehicles/", "vehicles/garbagetruck",
        "vehicles/construction/dumper", "vehicles/cycle/pink_tricycle",
        "vehicles/emergency/firetruck", "vehicles/flight/planes/747",
        "vehicles/masstransit/green_korean_bus", "vehicles/race/indycar"}}};
  return kClasses;
}

/// Drawn, hardly visible, or not what the rest of their folder is.
constexpr std::string_view kLeftOut[] = {
    "animals/fish/shrimp.png",      "animals/mammals/echidna.png",
    "animals/mammals/hedgehog.png", "household/tools/cementmixer.png",
    "household/tools/toolbox.png",  "space/planets/0_sun.png"};

bool is_cutout(const std::string& root, const std::string& path) {
  const fs::path full = fs::path(root) / path;
  return full.extension() == ".png" && !full.stem().string().ends_with("_mirror") &&
         path_is_file(full) && !path_exists(fs::path(full).replace_extension(".svg")) &&
         std::ranges::find(kLeftOut, path) == std::end(kLeftOut);
}

}  // namespace

std::vector<StampClass> stamp_classes(const DebianPackage& package) {
  const std::string root = package.path(kStampFolder);
  std::vector<StampClass> classes;
  for (const auto& [name, places] : class_places()) {
    StampClass found{name, {}};
    for (const std::string place : places) {
      std::vector<std::string> paths;
      if (!place.ends_with('/')) paths.push_back(place + ".png");
      if (place.ends_with('/'))
        for (const auto& entry : folder_entries(fs::path(root) / place))
          paths.push_back(place + entry.path().filename().string());
      for (const std::string& path : paths)
        if (is_cutout(root, path)) found.cutouts.push_back(path);
    }
    std::ranges::sort(found.cutouts);
    classes.push_back(std::move(found));
  }
  return classes;
}

std::vector<std::string> background_photos(const DebianPackage& package) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : folder_entries(package.path(kPhotoFolder)))
    if (entry.path().extension() == ".jpg" && entry.is_regular_file(ignored))
      names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace pal
