#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "data/pictures/cutout.h"
#include "experiments/datasets/compose.h"
#include "experiments/datasets/jobs.h"
#include "experiments/datasets/prepare.h"
#include "experiments/datasets/set_folder.h"
#include "experiments/datasets/source_split.h"
#include "experiments/datasets/stamp_sources.h"
#include "experiments/report/job_clock.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostSize = 1024;
constexpr int64_t kMostCount = 1'000'000;
/// Photographs are kept at this many times the pictures' size: the smallest crop is a quarter of
/// them.
constexpr int64_t kPhotoScale = 4;
constexpr ImageLimits kCutoutLimits{.max_pixels = 16'000'000};

template <typename Item>
struct Named {
  std::string name;  ///< lower case, without suffix
  Item item;
};

/// One part of the set: its sources, decoded.
struct Part {
  std::string name;
  uint64_t number = 0;
  int64_t count = 0;  ///< of each class
  std::vector<Named<Image>> photos;
  std::vector<std::vector<Named<Cutout>>> cutouts;  ///< of each class
};

std::string source_name(const std::string& path) {
  std::string name = fs::path(path).stem().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) {
    return std::isalnum(c) ? static_cast<char>(std::tolower(c)) : '_';
  });
  return name;
}

Named<Image> load_photo(const std::string& path, int64_t size) {
  Image photo = shrink_to(read_image(path), kPhotoScale * size);
  if (photo.channels != 3) fail(ErrorKind::data, "{}: expected a photograph in colour", path);
  return {source_name(path), std::move(photo)};
}

Named<Cutout> load_cutout(const std::string& path) {
  return {source_name(path), decode_cutout(read_file(path, 1 << 28), path, kCutoutLimits)};
}

std::array<Part, 2> load_parts(const DebianPackage& stamps, const DebianPackage& backgrounds,
                               const std::vector<StampClass>& classes, const PrepareOptions& o) {
  std::array<Part, 2> parts = {Part{"train", 0, o.count, {}, {}},
                               Part{"val", 1, o.val_count, {}, {}}};
  const auto deal = [&](const std::vector<std::string>& names, const std::string& what,
                        const auto& take) {
    const SourceSplit split = split_sources(names, o.seed, what);
    for (const std::string& name : split.train) take(parts[0], name);
    for (const std::string& name : split.val) take(parts[1], name);
  };
  deal(background_photos(backgrounds), backgrounds.name + ": photographs",
       [&](Part& part, const std::string& name) {
         const std::string path = std::string(kPhotoFolder) + "/" + name;
         part.photos.push_back(load_photo(backgrounds.path(path), o.size));
       });
  for (const StampClass& found : classes) {
    for (Part& part : parts) part.cutouts.emplace_back();
    deal(found.cutouts, stamps.name + ": cut-outs of class " + found.name,
         [&](Part& part, const std::string& name) {
           const std::string path = std::string(kStampFolder) + "/" + name;
           part.cutouts.back().push_back(load_cutout(stamps.path(path)));
         });
  }
  return parts;
}

/// Each cut-out of a class comes equally often, each photograph at random.
void write_picture(const Part& part, size_t label, int64_t index, const std::string& folder,
                   const PrepareOptions& o) {
  const uint64_t stream =
      part.number << 48 | static_cast<uint64_t>(label) << 32 | static_cast<uint64_t>(index);
  Draws draws(Philox(o.seed, RandomPurpose::sample, stream));
  const auto& cutouts = part.cutouts[label];
  const auto& cutout = cutouts[static_cast<size_t>(index) % cutouts.size()];
  const auto& photo =
      part.photos[static_cast<size_t>(draws.below(static_cast<int64_t>(part.photos.size())))];
  const Image picture = compose(photo.item, cutout.item, o.size, draws);
  write_plain(fmt::format("{}/{:06}-{}-{}.jpg", folder, index, cutout.name, photo.name),
              encode_jpeg(picture, random_settings(draws)));
}

std::string readme(const DebianPackage& stamps, const DebianPackage& backgrounds,
                   const std::array<Part, 2>& parts, const std::vector<StampClass>& classes,
                   const PrepareOptions& o) {
  std::string text = fmt::format(
      "A composed data set, not photographs of scenes: cut-outs of photographs, at random scale,\n"
      "place and side on random crops of other photographs, as JPEG of quality 60 to 95 with\n"
      "chroma 4:4:4, 4:2:2 or 4:2:0. {} pictures of {}x{} for training and {} for validation in\n"
      "each class. No cut-out and no photograph is in both parts. Names of files say which "
      "cut-out\n"
      "and which photograph a picture was made of.\n\n"
      "Cut-outs: Debian package {} {}\nPhotographs: Debian package {} {}\n"
      "(their licences: /usr/share/doc/PACKAGE/copyright)\n\n",
      o.count, o.size, o.size, o.val_count, stamps.name, stamps.version, backgrounds.name,
      backgrounds.version);
  text += fmt::format("photographs: {} for training, {} for validation\n", parts[0].photos.size(),
                      parts[1].photos.size());
  for (size_t label = 0; label < classes.size(); ++label)
    text +=
        fmt::format("class {}: {} cut-outs for training, {} for validation\n", classes[label].name,
                    parts[0].cutouts[label].size(), parts[1].cutouts[label].size());
  return text;
}

void check(const PrepareOptions& o) {
  expect(o.size >= 8 && o.size <= kMostSize, "--size: expected 8 to {}, got {}", kMostSize, o.size);
  expect(o.count >= 1 && o.count <= kMostCount, "--count: expected 1 to {}, got {}", kMostCount,
         o.count);
  expect(o.val_count >= 1 && o.val_count <= kMostCount, "--val-count: expected 1 to {}, got {}",
         kMostCount, o.val_count);
}

}  // namespace

PreparedSet prepare_stamps(const PrepareOptions& o) {
  check(o);
  const std::string folder = o.output.empty() ? data_folder() + "/stamps" : o.output;
  SetFolder set(folder, fmt::format("stamps --seed {} --size {} --count {} --val-count {}", o.seed,
                                    o.size, o.count, o.val_count));
  if (set.ready()) return {set.folder()};
  const PackageSource source(o.packages, set.packages(), o.show);
  const DebianPackage stamps = source.get(kStampPackage, kStampFolder);
  const DebianPackage backgrounds = source.get(kPhotoPackage, kPhotoFolder);
  const std::vector<StampClass> classes = stamp_classes(stamps);
  const std::array<Part, 2> parts = load_parts(stamps, backgrounds, classes, o);
  PreparedSet made{set.folder(), true};
  for (const Part& part : parts) {
    const auto each = [&](size_t label) {
      return fmt::format("{}/{}/{}", set.files(), part.name, classes[label].name);
    };
    for (size_t label = 0; label < classes.size(); ++label) make_folders(each(label));
    const JobClock clock;
    const int64_t count = part.count * static_cast<int64_t>(classes.size());
    run_jobs(
        count, o.workers,
        [&](int64_t job) {
          const auto label = static_cast<size_t>(job / part.count);
          write_picture(part, label, job % part.count, each(label), o);
        },
        [&](int64_t done) { o.show(clock.text(part.name, done, count)); });
    (part.number == 0 ? made.train : made.val) = count;
  }
  set.finish(readme(stamps, backgrounds, parts, classes, o));
  return made;
}

}  // namespace pal
