#include "experiments/classify/request_source.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "data/sources/picture_list.h"
#include "runtime/error.h"
#include "runtime/paths.h"

namespace pal {
namespace {

void add_pictures(const std::string& folder, std::vector<std::string>& names) {
  const std::vector<std::string> found = pictures_below(folder);
  names.insert(names.end(), found.begin(), found.end());
}

}  // namespace

ListedRequests::ListedRequests(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (path_is_folder(path))
      add_pictures(path, names_);
    else
      names_.push_back(path);
  }
}

std::vector<PictureRequest> ListedRequests::next(int64_t most) {
  const size_t count = std::min(static_cast<size_t>(most), names_.size() - next_);
  std::vector<PictureRequest> requests(count);
  for (PictureRequest& request : requests) request.file = names_[next_++];
  return requests;
}

bool PipedRequests::wait_for_input() const {
  // A signal ends poll at once; one that comes just before it is seen soon after.
  constexpr int kMilliseconds = 200;
  pollfd input{file_, POLLIN, 0};
  while (!stopped_())
    if (::poll(&input, 1, kMilliseconds) > 0) return true;
  return false;
}

bool PipedRequests::fill(bool wait) {
  pollfd input{file_, POLLIN, 0};
  if (wait ? !wait_for_input() : ::poll(&input, 1, 0) <= 0) return false;
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

PictureRequest PipedRequests::request_of(std::string_view text) const {
  if (end_ != '\n') return request_by_name(text);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return parse_request(text);
}

std::optional<PictureRequest> PipedRequests::take() {
  for (;;) {
    const size_t end = buffer_.find(end_, std::max(begin_, searched_));
    const bool whole = end != std::string::npos;
    const size_t length = (whole ? end : buffer_.size()) - begin_;
    if (!whole) {
      searched_ = buffer_.size();
      if (length == 0 || (!closed_ && length <= kMostRequestBytes && !skipping_))
        return std::nullopt;
    }
    const bool rest = std::exchange(skipping_, !whole && !closed_);
    const std::string_view text = std::string_view(buffer_).substr(begin_, length);
    begin_ = std::min(buffer_.size(), begin_ + length + 1);
    if (rest) {
      if (whole) continue;
      return std::nullopt;
    }
    if (length <= kMostRequestBytes) return request_of(text);
    PictureRequest request;
    request.error = fmt::format("a line of more than {} bytes", kMostRequestBytes);
    return request;
  }
}

std::vector<PictureRequest> PipedRequests::next(int64_t most) {
  std::vector<PictureRequest> requests;
  size_t picture_bytes = 0;
  while (static_cast<int64_t>(requests.size()) < most && picture_bytes < kMostRequestBytes) {
    if (std::optional<PictureRequest> request = take()) {
      picture_bytes += request->picture.size();
      requests.push_back(std::move(*request));
      continue;
    }
    // All complete requests are taken, so what is left is the beginning of one.
    buffer_.erase(0, begin_);
    searched_ -= std::min(searched_, begin_);
    begin_ = 0;
    if (closed_ || (!fill(requests.empty()) && !closed_)) break;
  }
  return requests;
}

}  // namespace pal
