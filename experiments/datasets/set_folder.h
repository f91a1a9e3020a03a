#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pal {

/// A data set being made. Everything is written below FOLDER.partial, whose `set` becomes FOLDER at
/// the end: the set is there whole or not at all.
class SetFolder {
 public:
  /// `settings` is one line that says how the set is made. If the folder holds a set that was made
  /// just so, nothing needs to be done (`ready`). Throws usage if it holds anything else,
  /// environment if another process is making the same set or nothing can be written.
  SetFolder(const std::string& folder, std::string settings);
  /// Removes what is unfinished.
  ~SetFolder();
  SetFolder(const SetFolder&) = delete;
  SetFolder& operator=(const SetFolder&) = delete;

  /// Whether the folder already holds the wanted set.
  bool ready() const { return ready_; }
  const std::string& folder() const { return folder_; }
  /// Where packages are unpacked.
  std::string packages() const { return partial_ + "/packages"; }
  /// Where the set's files go.
  std::string files() const { return partial_ + "/set"; }
  /// Writes README.txt, with the settings as its last line, and puts the set into its place.
  void finish(const std::string& readme);

 private:
  void lock();
  /// Throws environment if the set could not be put into its place: now, not after hours of work.
  void try_place();
  /// Removes what is unfinished and lets others make the set.
  void close();

  std::string folder_;
  std::string partial_;
  std::string settings_;
  bool ready_ = false;
  int lock_ = -1;
};

/// Writes a file of a set in the making: not through `write_atomic`, as the whole set is put into
/// its place at the end. Throws environment.
void write_plain(const std::string& path, std::span<const uint8_t> bytes);

}  // namespace pal
