#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// The output folder of a run, held for this process alone until the object goes (or the process
/// dies: the lock is the kernel's, so none is ever stale).
class RunFolder {
 public:
  /// Makes FOLDER and FOLDER/checkpoints, locks FOLDER/.lock, tries that both can be written, and
  /// removes temporary files of killed runs. Throws environment, before any work is done, if the
  /// folder cannot be made or written or is "in use by pid N".
  explicit RunFolder(const std::string& folder);
  /// The same paths for a process that neither writes there nor holds the folder.
  struct Unlocked {};
  RunFolder(const std::string& folder, Unlocked) : folder_(folder) {}
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// FOLDER.
  const std::string& path() const { return folder_; }
  /// FOLDER/name.
  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  /// FOLDER/checkpoints.
  std::string checkpoints() const { return file("checkpoints"); }

 private:
  std::string folder_;
  int lock_ = -1;
};

/// Removes from a metrics.jsonl the torn last line, lines that are not JSON, those of steps after
/// `step`, so that a resumed run writes each step once, and those with an entry "model", which
/// stand for the end of a process at that step; with `keep_end` these stay, but for later steps.
/// Returns how many rows of steps it removed. Nothing if there is no such file. Throws environment
/// if it cannot be written.
int64_t rewind_metrics(const std::string& path, int64_t step, bool keep_end = false);

}  // namespace pal
