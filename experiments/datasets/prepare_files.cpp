
#include "data/sets/known_sets.h"
#include "data/sources/places.h"
#include "experiments/datasets/debian_package.h"
#include "experiments/datasets/prepare.h"
#include "experiments/datasets/set_folder.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"

namespace pal {
namespace {

constexpr const char* kFashionFiles[] = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                         "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
constexpr const char* kFashionFolder = "/usr/share/datasets/fashion-mnist";
constexpr const char* kDigits = "/usr/share/doc/opencv-doc/examples/data/digits.png";

void copy_whole(const std::string& from, const std::string& to) {
  const std::vector<uint8_t> bytes = read_file(from);
  write_atomic(to, [&](const ByteSink& sink) { sink(bytes); });
}

}  // namespace

std::string data_folder() {
  const std::vector<std::string> places = data_places("", {});
  const std::string folder = places.empty() ? cache_folder() : places.back();
  if (folder.empty())
    fail(ErrorKind::environment, "data: neither PALINDROME_DATA nor HOME is set; use --output");
  return folder;
}

PreparedSet prepare_fashion(const PrepareOptions& o) {
  const std::string folder = o.output.empty() ? data_folder() + "/fashion-mnist" : o.output;
  SetFolder set(folder, "fashion-mnist");
  if (set.ready()) return {set.folder()};
  const DebianPackage package =
      PackageSource(o.packages, set.packages(), o.show)
          .get("dataset-fashion-mnist", std::string(kFashionFolder) + "/" + kFashionFiles[0]);
  for (const char* file : kFashionFiles)
    copy_whole(package.path(kFashionFolder) + "/" + file, set.files() + "/" + file);
  PreparedSet made{set.folder(), true};
  made.train = load_dataset("fashion-mnist", Split::train, set.files()).count;
  made.val = load_dataset("fashion-mnist", Split::test, set.files()).count;
  set.finish(fmt::format("Fashion-MNIST, from the Debian package {} {}.\n", package.name,
                         package.version));
  return made;
}

PreparedSet prepare_digits(const PrepareOptions& o) {
  // The sheet lies beside other data, so that its folder cannot be made as a whole.
  const std::string folder = o.output.empty() ? data_folder() : o.output;
  const std::string sheet = folder + "/digits.png";
  if (path_exists(sheet)) return {sheet};
  SetFolder set(sheet, "digits");
  const DebianPackage package =
      PackageSource(o.packages, set.packages(), o.show).get("opencv-doc", kDigits);
  copy_whole(package.path(kDigits), set.files() + "/digits.png");
  PreparedSet made{sheet, true};
  made.train = load_dataset("digits", Split::train, set.files()).count;
  made.val = load_dataset("digits", Split::test, set.files()).count;
  make_folders(folder);
  copy_whole(set.files() + "/digits.png", sheet);
  return made;
}

}  // namespace pal
