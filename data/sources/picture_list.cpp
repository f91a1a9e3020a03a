#include "data/sources/picture_list.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "data/pictures/image_file.h"
#include "data/sources/hasher.h"
#include "runtime/error.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

class PictureList : public PictureSource {
 public:
  explicit PictureList(const std::string& folder)
      : name_(one_line(folder)), paths_(pictures_below(folder)) {}

  const std::string& name() const override { return name_; }
  int64_t count() const override { return static_cast<int64_t>(paths_.size()); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int32_t label(int64_t /*index*/) const override { return 0; }
  std::string item_name(int64_t index) const override { return one_line(path(index)); }
  void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const override {
    const FileReader file(path(index), item_name(index));
    if (file.size() > most)
      fail(ErrorKind::data, "{}: {} bytes, expected at most {}", file.name(), file.size(), most);
    bytes.resize(static_cast<size_t>(file.size()));
    file.read(0, bytes);
  }
  uint64_t fingerprint() const override {
    Hasher hasher;
    for (const std::string& path : paths_) hasher.add(path);
    return hasher.value();
  }

 private:
  const std::string& path(int64_t index) const { return paths_[static_cast<size_t>(index)]; }

  std::string name_;
  std::vector<std::string> paths_;
  std::vector<std::string> class_names_ = {"foreign"};
};

}  // namespace

std::vector<std::string> pictures_below(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> found;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    std::error_code ignored;
    const std::string name = walk->path().filename().string();
    if (!name.starts_with('.') && has_picture_suffix(name) && walk->is_regular_file(ignored))
      found.push_back(walk->path().string());
  }
  if (error)
    fail(ErrorKind::environment, "{}, or a folder in it: {}", one_line(folder), error.message());
  expect(!found.empty(), "{}: no .png, .jpg or .jpeg file in it", one_line(folder));
  std::ranges::sort(found);
  return found;
}

std::unique_ptr<PictureSource> picture_list(const std::string& folder) {
  return std::make_unique<PictureList>(folder);
}

}  // namespace pal
