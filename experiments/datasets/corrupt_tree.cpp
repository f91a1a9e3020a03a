#include "experiments/datasets/corrupt_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include "data/pictures/jpeg_encoder.h"
#include "experiments/datasets/jobs.h"
#include "experiments/datasets/set_folder.h"
#include "experiments/report/job_clock.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
constexpr const char* kRecord = "corruptions.json";
constexpr const char* kUnfinished = ".unfinished";

/// The folder of a tree while this process alone writes there.
class TreeFolder {
 public:
  TreeFolder(const std::string& folder, const std::string& settings) : folder_(folder) {
    make_folders(folder);
    lock_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0)
      fail(ErrorKind::environment, "{}: cannot open the folder: {}", one_line(folder),
           std::strerror(errno));
    try {
      if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
        fail(ErrorKind::environment, "{}: another process writes there; wait for it",
             one_line(folder));
      check_record(settings);
      remove_tree(unfinished());
      make_folders(unfinished());
    } catch (...) {
      ::close(lock_);
      throw;
    }
  }
  ~TreeFolder() {
    remove_tree(unfinished());
    ::close(lock_);
  }
  TreeFolder(const TreeFolder&) = delete;
  TreeFolder& operator=(const TreeFolder&) = delete;

  /// Writes a file; it gets into its place with the next few hundred, as millions of files are too
  /// many to wait for the disk each time, as `write_atomic` does.
  void write(const std::string& path, std::span<const uint8_t> bytes) {
    const std::string whole = folder_ + "/" + path;
    const std::string temporary = fmt::format("{}/{}", unfinished(), next_++);
    try {
      write_plain(temporary, bytes);
    } catch (const Error& error) {
      // Named by what it was to become.
      fail(error.kind(), "{}{}", one_line(whole),
           std::string(error.what()).substr(temporary.size()));
    }
    constexpr size_t kAtOnce = 1024;
    const std::scoped_lock one(mutex_);
    written_.emplace_back(temporary, whole);
    if (written_.size() >= kAtOnce) place();
  }
  /// To be called after the last file.
  void finish() {
    place();
    sync_file_system(folder_);
  }

 private:
  /// Puts what was written into its place, once the disk has it.
  void place() {
    if (written_.empty()) return;
    sync_file_system(folder_);
    for (const auto& [temporary, whole] : written_) {
      if (std::rename(temporary.c_str(), whole.c_str()) == 0) continue;
      make_folders(fs::path(whole).parent_path().string());
      if (std::rename(temporary.c_str(), whole.c_str()) != 0)
        fail(ErrorKind::environment, "{}: cannot put the file into its place: {}", one_line(whole),
             std::strerror(errno));
    }
    written_.clear();
  }

  std::string unfinished() const { return folder_ + "/" + kUnfinished; }

  /// That the tree is new or of the same settings.
  void check_record(const std::string& settings) const {
    const std::string path = folder_ + "/" + kRecord;
    if (path_exists(path)) {
      const std::vector<uint8_t> bytes = read_file(path, 1 << 20);
      const std::string before(bytes.begin(), bytes.end());
      expect(before == settings + "\n",
             "{}: was made with other settings: {}; choose another folder with --output",
             one_line(folder_), trimmed(before));
      return;
    }
    for (const auto& entry : folder_entries(folder_))
      if (const auto name = entry.path().filename(); name != kUnfinished && !is_leftover(name))
        fail(ErrorKind::usage,
             "{}: holds something else; remove it, or choose another folder with --output",
             one_line(folder_));
    write_atomic(path, settings + "\n");
  }

  std::string folder_;
  int lock_ = -1;
  std::atomic<int64_t> next_ = 0;
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> written_;  ///< and where they belong
};

/// The name that an image's corrupted pictures get: its own, unless the suffix is of another format.
std::string file_name(const std::string& path, bool png) {
  const std::string suffix = lower_case(fs::path(path).extension().string());
  const bool picture = has_picture_suffix(path);
  if (picture && (suffix == ".png") == png) return path;
  const std::string stem = picture ? path.substr(0, path.size() - suffix.size()) : path;
  return stem + (png ? ".png" : ".jpg");
}

/// The images that are asked for, and their names in the tree.
struct Selection {
  std::vector<int64_t> images;
  std::vector<std::string> names;
};

Selection select(const CleanImages& images, const CorruptTreeOptions& o) {
  const int64_t all = images.count();
  expect(o.count <= all, "--count: {} has {} images, got {}", one_line(images.name()), all,
         o.count);
  const int64_t count = o.count == 0 ? all : o.count;
  Selection made;
  std::set<std::string> seen;
  for (int64_t i = 0; i < count; ++i) {
    made.images.push_back(i * all / count);
    made.names.push_back(file_name(images.path(made.images.back()), o.png));
    expect(seen.insert(made.names.back()).second,
           "{}: two pictures would become {}; rename one, or choose the other --format",
           one_line(images.name()), one_line(made.names.back()));
  }
  return made;
}

/// One corruption at one severity, and its folder in the tree.
struct TreeCell {
  Corruption corruption;
  int severity;
  std::string folder;
};

std::vector<TreeCell> cells_of(const CorruptTreeOptions& o) {
  std::vector<TreeCell> cells;
  for (const Corruption corruption : o.corruptions)
    for (const int severity : o.severities)
      cells.push_back(
          {corruption, severity,
           fmt::format("{}{}/{}", o.groups ? std::string(group_of(corruption)) + "/" : "",
                       published_name(corruption), severity)});
  return cells;
}

/// One image whose pictures are missing in some cells.
struct Missing {
  size_t place;  ///< in the selection
  std::vector<const TreeCell*> cells;
};

}  // namespace

CorruptTreeResult corrupt_tree(const CleanImages& images, const CorruptTreeOptions& o) {
  const Selection selection = select(images, o);
  const std::vector<TreeCell> cells = cells_of(o);
  nlohmann::ordered_json settings = parse_ordered_json(o.settings);
  settings["set"] = fmt::format("{:016x}", images.fingerprint());
  TreeFolder folder(o.output, json_text(settings, -1, BadUtf8::replaced));
  CorruptTreeResult result{.images = static_cast<int64_t>(selection.images.size())};
  std::vector<Missing> missing;
  int64_t wanted = 0;
  for (size_t place = 0; place < selection.images.size(); ++place) {
    Missing job{place, {}};
    for (const TreeCell& cell : cells)
      if (!path_exists(fmt::format("{}/{}/{}", o.output, cell.folder, selection.names[place])))
        job.cells.push_back(&cell);
    const auto absent = static_cast<int64_t>(job.cells.size());
    wanted += absent;
    result.there += static_cast<int64_t>(cells.size()) - absent;
    if (absent > 0) missing.push_back(std::move(job));
  }
  const JobClock clock;
  std::atomic<int64_t> written = 0;
  run_jobs(
      static_cast<int64_t>(missing.size()), o.workers,
      [&](int64_t i) {
        const Missing& job = missing[static_cast<size_t>(i)];
        const int64_t index = selection.images[job.place];
        const Image clean = images.image(index);
        for (const TreeCell* cell : job.cells) {
          const Image made =
              corrupted(clean, cell->corruption, cell->severity, o.how, images.key(index));
          folder.write(cell->folder + "/" + selection.names[job.place],
                       o.png ? encode_png(made, 1)
                             : encode_jpeg(made, {.quality = o.quality, .smallest = false}));
          ++written;
        }
      },
      [&](int64_t) { o.show(clock.text(one_line(o.output), written, wanted)); });
  folder.finish();
  result.written = written;
  return result;
}

}  // namespace pal
