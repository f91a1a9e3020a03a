// Flow: Walk reads the root, whose folders are the classes; then up to eight threads (parallel_io)
// take class folders and visit each and all below, every visit adding its folders to the list that
// is worked through. Folders and names are sorted and the classes merged in order, so the index
// does not depend on threads or on the order in which a file system lists names.
// Cost: one listing per folder. The entries' types come with it; only links, and entries of file
// systems that give no types, are examined.
// Links to folders are followed, so a folder can lie in itself: is_above() compares it with those
// it was reached through, by device and inode.
// Memory: a million names lie in NameLists; the parts are freed while they are merged.
#include "data/sources/folder_index.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "data/pictures/image_file.h"
#include "data/sources/parallel_io.h"
#include "runtime/error.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

[[noreturn]] void fail_system(const std::string& path, const char* action) {
  const int reason = errno;
  fail(is_file_fault(reason) ? ErrorKind::data : ErrorKind::environment, "{}: cannot {}: {}",
       one_line(path), action, std::strerror(reason));
}

/// An open folder that closes itself.
class OpenFolder {
 public:
  explicit OpenFolder(const std::string& path) : path_(path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) fail_system(path, "open the folder");
    stream_ = ::fdopendir(file);
    if (stream_ == nullptr) {
      ::close(file);
      fail_system(path, "list the folder");
    }
  }
  ~OpenFolder() { ::closedir(stream_); }
  OpenFolder(const OpenFolder&) = delete;
  OpenFolder& operator=(const OpenFolder&) = delete;

  struct stat examine() const {
    struct stat info {};
    if (::fstat(::dirfd(stream_), &info) != 0) fail_system(path_, "examine the folder");
    return info;
  }
  /// The next entry but "." and ".."; null at the end.
  const dirent* next() {
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(stream_);
      if (entry == nullptr && errno != 0) fail_system(path_, "list the folder");
      if (entry == nullptr) return nullptr;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") return entry;
    }
  }
  /// What an entry leads to; a mode of 0 if it leads nowhere.
  struct stat behind(const char* name) const {
    struct stat info {};
    if (::fstatat(::dirfd(stream_), name, &info, 0) != 0) info.st_mode = 0;
    return info;
  }

 private:
  const std::string& path_;
  DIR* stream_ = nullptr;
};

/// One folder that was read, and what lies in it.
struct Visit {
  std::string path;  ///< below the root
  int64_t parent = -1;
  dev_t device = 0;
  FileStamp stamp;
  bool is_loop = false;  ///< one of the folders that it lies in
  std::vector<std::string> folders;
  NameList pictures;  ///< in no order
};

Visit visit_of(std::string path, int64_t parent) {
  Visit visit;
  visit.path = std::move(path);
  visit.parent = parent;
  return visit;
}

/// All that is found below one class folder (or in the root itself).
struct Found {
  std::vector<Visit> visits;
  SkippedEntries skipped;
  std::vector<std::string> loops;
  bool settled = true;
};

class Walk {
 public:
  Walk(const std::string& root, int64_t most_folders)
      : root_(root), most_folders_(most_folders), started_(stamp_clock()) {
    visit_root();
    std::ranges::sort(top_.visits[0].folders);
  }

  const std::vector<std::string>& classes() const { return top_.visits[0].folders; }
  const Found& top() const { return top_; }

  /// Visits a class folder and all below it.
  Found visit_class(const std::string& name) {
    Found found;
    found.visits.push_back(visit_of(name, -1));
    for (size_t i = 0; i < found.visits.size(); ++i) {
      visit(found, i);
      // Copies: what is added moves the visits.
      const std::string below = found.visits[i].path + "/";
      const std::vector<std::string> children = std::move(found.visits[i].folders);
      for (const std::string& child : children)
        found.visits.push_back(visit_of(below + child, static_cast<int64_t>(i)));
    }
    std::erase_if(found.visits, [](const Visit& visit) { return visit.is_loop; });
    std::ranges::sort(found.visits, {}, &Visit::path);
    return found;
  }

 private:
  void visit_root() {
    top_.visits.emplace_back();
    visit(top_, 0);
    const NameList pictures = std::move(top_.visits[0].pictures);
    top_.visits[0].pictures = {};
    for (int64_t i = 0; i < pictures.size(); ++i)
      top_.skipped.outside.add(std::string(pictures[i]));
  }

  /// Reads the folder of visit `at` unless it is a loop.
  void visit(Found& found, size_t at) {
    if (++folders_ > most_folders_)
      fail(ErrorKind::data, "{}: more than {} folders; do links multiply them?", one_line(root_),
           most_folders_);
    Visit& here = found.visits[at];
    const std::string path = here.path.empty() ? root_ : root_ + "/" + here.path;
    OpenFolder folder(path);
    const struct stat info = folder.examine();
    if (is_above(found, here, info)) {
      found.loops.push_back(path);
      ++found.skipped.loops;
      found.settled = false;
      here.is_loop = true;
      return;
    }
    here.device = info.st_dev;
    here.stamp = stamp_of(info);
    found.settled = found.settled && is_settled(here.stamp, started_);
    while (const dirent* entry = folder.next()) add(found, here, folder, *entry);
  }

  bool is_above(const Found& found, const Visit& here, const struct stat& info) const {
    const auto same = [&](const Visit& other) {
      return other.device == info.st_dev && other.stamp.inode == static_cast<int64_t>(info.st_ino);
    };
    for (int64_t i = here.parent; i >= 0; i = found.visits[static_cast<size_t>(i)].parent)
      if (same(found.visits[static_cast<size_t>(i)])) return true;
    return !here.path.empty() && same(top_.visits[0]);
  }

  static void add(Found& found, Visit& here, const OpenFolder& folder, const dirent& entry) {
    if (entry.d_name[0] == '.') {
      ++found.skipped.hidden;
      return;
    }
    mode_t mode = DTTOIF(entry.d_type);
    const bool indirect = entry.d_type == DT_LNK || entry.d_type == DT_UNKNOWN;
    if (indirect) mode = folder.behind(entry.d_name).st_mode;
    if (S_ISDIR(mode)) {
      here.folders.emplace_back(entry.d_name);
      return;
    }
    const bool nowhere = mode == 0;
    // What a link leads to can change without a trace in this folder.
    if (indirect && !S_ISREG(mode)) found.settled = false;
    if (!S_ISREG(mode) && !nowhere)
      ++found.skipped.special;
    else if (has_picture_suffix(entry.d_name))
      here.pictures.add(entry.d_name);
    else
      found.skipped.suffix.add(here.path.empty() ? entry.d_name : here.path + "/" + entry.d_name);
  }

  const std::string& root_;
  int64_t most_folders_;
  int64_t started_;
  Found top_;
  std::atomic<int64_t> folders_ = 0;
};

void add_sorted(NameList& names, const NameList& more) {
  std::vector<std::string_view> views;
  views.reserve(static_cast<size_t>(more.size()));
  for (int64_t i = 0; i < more.size(); ++i) views.push_back(more[i]);
  std::ranges::sort(views);
  for (const std::string_view name : views) names.add(name);
}

void sort_pictures(Found& found) {
  for (Visit& visit : found.visits) {
    NameList sorted;
    sorted.reserve(visit.pictures.ends().size(), visit.pictures.text().size());
    add_sorted(sorted, visit.pictures);
    visit.pictures = std::move(sorted);
  }
}

/// `found` goes by value: its memory is free before the next one is added.
void merge(FolderIndex& index, Found found, int32_t label) {
  for (Visit& visit : found.visits) {
    index.folders.push_back({std::move(visit.path), label, index.pictures.size(), visit.stamp});
    index.pictures.append(visit.pictures);
  }
  index.skipped.hidden += found.skipped.hidden;
  index.skipped.special += found.skipped.special;
  index.skipped.suffix.add(found.skipped.suffix);
  index.skipped.outside.add(found.skipped.outside);
  index.skipped.loops += found.skipped.loops;
  index.loops.insert(index.loops.end(), found.loops.begin(), found.loops.end());
  index.settled = index.settled && found.settled;
}

void reserve(NameList& names, const std::vector<Found>& found) {
  size_t count = 0;
  size_t bytes = 0;
  for (const Found& part : found)
    for (const Visit& visit : part.visits) {
      count += visit.pictures.ends().size();
      bytes += visit.pictures.text().size();
    }
  names.reserve(count, bytes);
}

/// A folder may be called as another one's bytes are written in UTF-8.
void expect_distinct(std::vector<std::string> names, const std::string& root) {
  std::ranges::sort(names);
  const auto twin = std::ranges::adjacent_find(names);
  if (twin != names.end())
    fail(ErrorKind::data, "{}: two class folders are called {}, one in bytes that are not UTF-8",
         one_line(root), one_line(*twin));
}

}  // namespace

void SkippedFiles::add(const std::string& path) {
  ++count;
  // Most names go no further than this comparison.
  if (first.size() == kMostNames && path >= first.back()) return;
  first.insert(std::ranges::upper_bound(first, path), path);
  if (first.size() > kMostNames) first.pop_back();
}

void SkippedFiles::add(const SkippedFiles& more) {
  const int64_t total = count + more.count;
  for (const std::string& path : more.first) add(path);
  count = total;
}

FolderIndex index_folders(const std::string& root, int64_t most_folders) {
  Walk walk(root, most_folders);
  std::vector<Found> found(walk.classes().size());
  parallel_io(found.size(), [&](size_t c) {
    found[c] = walk.visit_class(walk.classes()[c]);
    sort_pictures(found[c]);
  });
  FolderIndex index;
  reserve(index.pictures, found);
  merge(index, walk.top(), -1);
  for (size_t c = 0; c < found.size(); ++c) {
    const bool is_class = !found[c].visits.empty();
    merge(index, std::move(found[c]), static_cast<int32_t>(index.class_names.size()));
    if (is_class) index.class_names.push_back(as_utf8(walk.classes()[c]));
  }
  expect_distinct(index.class_names, root);
  return index;
}

const FolderIndex::Folder& folder_of(const FolderIndex& index, int64_t picture) {
  // The last folder that begins at or before it: empty ones begin where the next one does.
  const auto after =
      std::ranges::upper_bound(index.folders, picture, {}, &FolderIndex::Folder::first);
  return *(after - 1);
}

std::vector<std::string> class_folders(const std::string& root) {
  std::vector<std::string> names;
  OpenFolder folder(root);
  const struct stat own = folder.examine();
  while (const dirent* entry = folder.next()) {
    if (entry->d_name[0] == '.') continue;
    const bool indirect = entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
    if (!indirect && entry->d_type != DT_DIR) continue;
    const struct stat info = folder.behind(entry->d_name);
    const bool loops = info.st_dev == own.st_dev && info.st_ino == own.st_ino;
    if (S_ISDIR(info.st_mode) && !loops) names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  for (std::string& name : names) name = as_utf8(name);
  return names;
}

int64_t end_of(const FolderIndex& index, size_t folder) {
  return folder + 1 < index.folders.size() ? index.folders[folder + 1].first
                                           : index.pictures.size();
}

int64_t pictures_in_subfolders(const FolderIndex& index) {
  int64_t count = 0;
  for (size_t i = 0; i < index.folders.size(); ++i)
    if (index.folders[i].path.find('/') != std::string::npos)
      count += end_of(index, i) - index.folders[i].first;
  return count;
}

std::string picture_path(const FolderIndex& index, int64_t picture) {
  std::string path = folder_of(index, picture).path;
  path += '/';
  path += index.pictures[picture];
  return path;
}

}  // namespace pal
