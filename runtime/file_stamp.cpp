#include "runtime/file_stamp.h"

#include <algorithm>
#include <ctime>

namespace pal {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kSettle = 2 * kSecond + kSecond / 2;

int64_t nanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

}  // namespace

FileStamp stamp_of(const struct stat& info) {
  return {info.st_size, static_cast<int64_t>(info.st_ino), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

std::optional<FileStamp> stamp_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return stamp_of(info);
}

int64_t stamp_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

bool is_settled(const FileStamp& stamp, int64_t now) {
  return std::max(stamp.modified, stamp.changed) < now - kSettle;
}

}  // namespace pal
