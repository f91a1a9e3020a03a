#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pal {

/// Names of pictures, in batches.
class NameSource {
 public:
  virtual ~NameSource() = default;
  /// The next names, at most `most`; none: there are no more. May wait.
  virtual std::vector<std::string> next(int64_t most) = 0;
};

/// Names that are known: files as they are; of folders all pictures below, by name. Throws usage
/// for a folder without pictures, environment for one that cannot be listed.
class ListedNames : public NameSource {
 public:
  explicit ListedNames(const std::vector<std::string>& paths);
  std::vector<std::string> next(int64_t most) override;

 private:
  std::vector<std::string> names_;
  size_t next_ = 0;
};

/// Names that come through a pipe, each ended by `end`, the last one perhaps by the end of input.
/// Waits for the first of a batch alone: whoever sends one name and waits gets an answer.
class PipedNames : public NameSource {
 public:
  explicit PipedNames(int file, char end) : file_(file), end_(end) {}
  std::vector<std::string> next(int64_t most) override;

 private:
  /// Takes in what is there, waiting for it if asked. Returns whether anything came.
  bool fill(bool wait);
  std::optional<std::string> take();

  int file_;
  char end_;
  std::string buffer_;
  size_t begin_ = 0;     // of the first name in the buffer
  size_t searched_ = 0;  // up to where no end was found
  bool closed_ = false;
};

}  // namespace pal
