#include "experiments/classify/name_source.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "data/sources/picture_list.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Names longer than any path are no names.
constexpr size_t kMostBytes = 1 << 20;

void add_pictures(const std::string& folder, std::vector<std::string>& names) {
  const std::vector<std::string> found = pictures_below(folder);
  names.insert(names.end(), found.begin(), found.end());
}

}  // namespace

ListedNames::ListedNames(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (path_is_folder(path))
      add_pictures(path, names_);
    else
      names_.push_back(path);
  }
}

std::vector<std::string> ListedNames::next(int64_t most) {
  const size_t count = std::min(static_cast<size_t>(most), names_.size() - next_);
  const auto first = names_.begin() + static_cast<std::ptrdiff_t>(next_);
  next_ += count;
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

bool PipedNames::fill(bool wait) {
  pollfd input{file_, POLLIN, 0};
  if (!wait && ::poll(&input, 1, 0) <= 0) return false;
  char part[1 << 16];
  ssize_t count = -1;
  do {
    count = ::read(file_, part, sizeof(part));
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail(ErrorKind::environment, "stdin: {}", std::strerror(errno));
  closed_ = count == 0;
  buffer_.append(part, static_cast<size_t>(count));
  return count > 0;
}

std::optional<std::string> PipedNames::take() {
  const size_t end = buffer_.find(end_, std::max(begin_, searched_));
  if (end == std::string::npos) {
    searched_ = buffer_.size();
    if (buffer_.size() - begin_ > kMostBytes)
      fail(ErrorKind::data, "stdin: a name of more than {} bytes; are these names?", kMostBytes);
    if (!closed_ || begin_ == buffer_.size()) return std::nullopt;
  }
  const size_t length = end == std::string::npos ? buffer_.size() - begin_ : end - begin_;
  std::string name = buffer_.substr(begin_, length);
  begin_ = std::min(buffer_.size(), begin_ + length + 1);
  return name;
}

std::vector<std::string> PipedNames::next(int64_t most) {
  std::vector<std::string> names;
  while (static_cast<int64_t>(names.size()) < most) {
    if (std::optional<std::string> name = take()) {
      if (end_ == '\n' && name->ends_with('\r')) name->pop_back();
      names.push_back(std::move(*name));
      continue;
    }
    // All complete names are taken, so what is left is the beginning of one.
    buffer_.erase(0, begin_);
    begin_ = searched_ = 0;
    if (closed_ || (!fill(names.empty()) && !closed_)) break;
  }
  return names;
}

}  // namespace pal
