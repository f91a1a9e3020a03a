#pragma once
#include <memory>
#include <string>

#include "data/sources/folder_index.h"
#include "data/sources/index_cache.h"
#include "data/sources/picture_source.h"

namespace pal {

/// Pictures in class folders.
class ImageFolder : public PictureSource {
 public:
  /// The pictures that an index lists below `root`.
  ImageFolder(std::string root, FolderIndex index);

  const std::string& name() const override { return name_; }
  int64_t count() const override { return index_.pictures.size(); }
  const std::vector<std::string>& class_names() const override { return index_.class_names; }
  int32_t label(int64_t index) const override { return folder_of(index_, index).label; }
  std::string item_name(int64_t index) const override;
  void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const override;
  uint64_t fingerprint() const override { return fingerprint_; }

  /// What the folder holds beside pictures.
  const SkippedEntries& skipped() const { return index_.skipped; }

 private:
  std::string root_;
  std::string name_;
  FolderIndex index_;
  uint64_t fingerprint_;
};

/// The classes of another part of a set.
struct OtherClasses {
  std::string folder;              ///< that has them
  std::vector<std::string> names;  ///< empty: there is no such part
  /// Whether further classes are refused; else a folder that has some keeps its own classes.
  bool binding = false;
};

/// Opens a folder of class folders (folder_index.h). The list of files is kept in `cache` and taken
/// from there as long as no folder changed; an empty `cache` keeps nothing. Labels are those of
/// `classes`, by the names of the class folders. Logs counts, what was skipped and
/// how many pictures lie in sub-folders, and a warning for each loop of links. Throws usage, naming
/// folder and classes, for fewer than two classes or a class without pictures, or as
/// `adopt_classes`; else as `index_folders`.
std::unique_ptr<ImageFolder> image_folder(const std::string& path,
                                          const std::string& cache = index_cache_folder(),
                                          const OtherClasses& classes = {});

}  // namespace pal
