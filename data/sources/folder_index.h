#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/sources/name_list.h"
#include "runtime/file_stamp.h"

namespace pal {

/// Files that are passed over for one reason.
struct SkippedFiles {
  static constexpr size_t kMostNames = 3;

  int64_t count = 0;
  std::vector<std::string> first;  ///< paths below the root, at most kMostNames, in byte order

  void add(const std::string& path);
  void add(const SkippedFiles& more);
};

/// What an image folder holds beside pictures, by the first rule that fits.
struct SkippedEntries {
  int64_t hidden = 0;    ///< names that begin with a dot, files and folders
  int64_t special = 0;   ///< neither file nor folder: FIFO, socket, device
  SkippedFiles suffix;   ///< neither .jpg, .jpeg nor .png
  SkippedFiles outside;  ///< pictures in no class folder
  int64_t loops = 0;     ///< links to a folder that they lie in
};

/// The pictures of an image folder, without their content.
struct FolderIndex {
  struct Folder {
    std::string path;   ///< below the root: CLASS or CLASS/SUB/...
    int32_t label = 0;  ///< -1 for the root itself
    int64_t first = 0;  ///< its first picture; its pictures end where the next folder's begin
    FileStamp stamp;
  };

  std::vector<std::string> class_names;  ///< of the folders; those that are not UTF-8 `as_utf8`
  std::vector<Folder> folders;  ///< the root with an empty path, then each class with all below it
  NameList pictures;            ///< file names without their folder
  SkippedEntries skipped;
  std::vector<std::string> loops;  ///< paths of links to a folder that they lie in
  /// Later changes must show in the folders' stamps: no folder was modified just before, and every
  /// link led to a file or to a folder outside.
  bool settled = true;
};

/// Lists ROOT/CLASS/**/*.{jpg,jpeg,png} as torchvision's ImageFolder: classes by name in byte
/// order; in a class, pictures by the path of their folder, then by name; links are followed.
/// Nothing but folders is opened, and no file is examined unless it is a link or the file system
/// does not tell folders from files. A link to nothing that is named like a picture counts as one.
/// Throws data if the root or a folder below is missing or may not be read, environment for other
/// failures; data, too, for more than `most_folders`, which links can make of a few, and for two
/// classes of one name in UTF-8. Takes no offence at empty classes.
FolderIndex index_folders(const std::string& root, int64_t most_folders = 1'000'000);

/// The class names of a root in the order of their labels: of its folders that are not hidden. Throws data if the root may not be listed.
std::vector<std::string> class_folders(const std::string& root);

/// The path of one picture, below the root.
std::string picture_path(const FolderIndex& index, int64_t picture);
/// Pictures that lie in a folder within their class folder.
int64_t pictures_in_subfolders(const FolderIndex& index);
/// Where the pictures of one folder end.
int64_t end_of(const FolderIndex& index, size_t folder);
/// The folder that holds a picture.
const FolderIndex::Folder& folder_of(const FolderIndex& index, int64_t picture);

}  // namespace pal
