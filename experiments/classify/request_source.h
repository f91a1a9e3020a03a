#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/classify/picture_request.h"

namespace pal {

/// Pictures that are asked about, in batches.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  /// The next requests, at most `most`; none: there are no more. May wait.
  virtual std::vector<PictureRequest> next(int64_t most) = 0;
};

/// Names that are known: files as they are; of folders all pictures below, by name. Throws usage
/// for a folder without pictures, environment for one that cannot be listed.
class ListedRequests : public RequestSource {
 public:
  explicit ListedRequests(const std::vector<std::string>& paths);
  std::vector<PictureRequest> next(int64_t most) override;

 private:
  std::vector<std::string> names_;
  size_t next_ = 0;
};

/// Requests that come through a pipe: a line each (`parse_request`), or with `end` another character
/// a name each, ended by it; the last one perhaps by the end of input. Waits for the first of a
/// batch alone: whoever sends one and waits gets an answer. One that is too long has an error, and
/// those behind it are read. Few pictures that came themselves are held at once, whatever `most` is.
/// Waiting ends when `stopped` is true.
class PipedRequests : public RequestSource {
 public:
  PipedRequests(int file, char end, std::function<bool()> stopped)
      : file_(file), end_(end), stopped_(std::move(stopped)) {}
  std::vector<PictureRequest> next(int64_t most) override;

 private:
  /// Takes in what is there, waiting for it if asked. Returns whether anything came.
  bool fill(bool wait);
  /// Waits until something can be read, but no longer than until `stopped_`.
  bool wait_for_input() const;
  std::optional<PictureRequest> take();
  /// The request of bytes between two ends.
  PictureRequest request_of(std::string_view text) const;

  int file_;
  char end_;
  std::function<bool()> stopped_;
  std::string buffer_;
  size_t begin_ = 0;       // of the first request in the buffer
  size_t searched_ = 0;    // up to where no end was found
  bool skipping_ = false;  // what remains of one that was too long
  bool closed_ = false;
};

}  // namespace pal
