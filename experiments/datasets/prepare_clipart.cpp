#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>

#include "data/pictures/image_file.h"
#include "experiments/datasets/debian_package.h"
#include "experiments/datasets/prepare.h"
#include "experiments/datasets/set_folder.h"
#include "experiments/datasets/source_split.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPackage = "openclipart-png";
constexpr const char* kFolder = "/usr/share/openclipart/png";
constexpr int64_t kMostPictureBytes = 1 << 30;

struct ClipartClass {
  const char* name;
  const char* folder;
};
/// The folders with enough pictures of things that look alike; not icons, patterns and stars, which
/// a program drew by the hundred.
constexpr ClipartClass kClipartClasses[] = {{"animals", "animals"},
                                            {"buildings", "buildings"},
                                            {"flags", "signs_and_symbols/flags"},
                                            {"food", "food"},
                                            {"geography", "geography"},
                                            {"office", "office"},
                                            {"people", "people"},
                                            {"recreation", "recreation"},
                                            {"tools", "tools"},
                                            {"transportation", "transportation"}};

/// The pictures of one class: paths below its folder.
struct ClassFiles {
  std::vector<std::string> files;
  int64_t too_large = 0;
  int64_t links = 0;
};

ClassFiles list_class(const std::string& folder, const PrepareOptions& o) {
  ClassFiles found;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().extension() != ".png") continue;
    std::error_code ignored;
    // A link repeats a picture of another folder, perhaps of another class.
    if (at->is_symlink(ignored)) {
      ++found.links;
      continue;
    }
    const std::string path = at->path().string();
    const ImageHeader header = read_image_header(read_file(path, kMostPictureBytes), path,
                                                 {.max_pixels = int64_t{1} << 40});
    if (header.width > o.max_pixels / header.height)
      ++found.too_large;
    else
      found.files.push_back(fs::relative(at->path(), folder).string());
  }
  if (error) fail(ErrorKind::data, "{}: cannot list the folder: {}", folder, error.message());
  return found;
}

/// `tiger_gerald_g._01.png` and `tiger_gerald_g._02.png` are of one series.
std::string series_of(const std::string& file) {
  const std::string name = fs::path(file).replace_extension().string();
  const size_t end = name.find_last_not_of("0123456789_-");
  return end == std::string::npos || end == 0 ? name : name.substr(0, end + 1);
}

void copy_files(const std::string& from, const std::vector<std::string>& files,
                const std::string& to) {
  for (const std::string& file : files) {
    const fs::path target = fs::path(to) / file;
    make_folders(target.parent_path().string());
    std::error_code error;
    fs::copy_file(fs::path(from) / file, target, error);
    if (error)
      fail(ErrorKind::environment, "{}/{}: cannot copy to {}: {}", from, file, to, error.message());
  }
}

struct ClassSplit {
  std::vector<std::string> train;
  std::vector<std::string> val;
};

ClassSplit split_class(const std::vector<std::string>& files, uint64_t seed,
                       const std::string& name) {
  std::map<std::string, std::vector<std::string>> series;
  for (const std::string& file : files) series[series_of(file)].push_back(file);
  std::vector<std::string> names;
  names.reserve(series.size());
  for (const auto& [each, members] : series) names.push_back(each);
  const SourceSplit split = split_sources(names, seed, std::string(kPackage) + ": " + name);
  const auto members_of = [&](const std::vector<std::string>& chosen) {
    std::vector<std::string> all;
    for (const std::string& each : chosen)
      all.insert(all.end(), series[each].begin(), series[each].end());
    return all;
  };
  return {members_of(split.train), members_of(split.val)};
}

}  // namespace

PreparedSet prepare_clipart(const PrepareOptions& o) {
  expect(o.max_pixels >= 1, "--max-pixels: expected at least 1, got {}", o.max_pixels);
  const std::string folder = o.output.empty() ? data_folder() + "/clipart" : o.output;
  SetFolder set(folder, fmt::format("clipart --seed {} --max-pixels {}", o.seed, o.max_pixels));
  if (set.ready()) return {set.folder()};
  const DebianPackage package =
      PackageSource(o.packages, set.packages(), o.show).get(kPackage, kFolder);
  PreparedSet made{set.folder(), true};
  int64_t links = 0;
  std::string counts;
  for (const auto& [name, place] : kClipartClasses) {
    o.show(fmt::format("clipart: {}", name));
    const std::string from = package.path(kFolder) + "/" + place;
    const ClassFiles found = list_class(from, o);
    const ClassSplit split = split_class(found.files, o.seed, name);
    copy_files(from, split.train, fmt::format("{}/train/{}", set.files(), name));
    copy_files(from, split.val, fmt::format("{}/val/{}", set.files(), name));
    made.train += static_cast<int64_t>(split.train.size());
    made.val += static_cast<int64_t>(split.val.size());
    made.left_out += found.too_large;
    links += found.links;
    counts += fmt::format("class {}: {} pictures for training, {} for validation\n", name,
                          split.train.size(), split.val.size());
  }
  set.finish(fmt::format(
      "Drawings in colour with transparency: ten classes of the Debian package {} {}\n"
      "(public domain). Numbered pictures of one series are all in the same part. Left out: {}\n"
      "pictures above {} pixels, {} links to other pictures.\n\n{}",
      package.name, package.version, made.left_out, o.max_pixels, links, counts));
  return made;
}

}  // namespace pal
