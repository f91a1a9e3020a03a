#include "layers/checkpoint/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

[[noreturn]] void fail_system(const std::string& path, const char* action) {
  const int reason = errno;
  fail(ErrorKind::environment, "{}: cannot {}: {}", path, action, std::strerror(reason));
}

std::string owner_of(int lock) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(lock, text.data(), text.size(), 0);
  const std::string_view content(text.data(), static_cast<size_t>(std::max<ssize_t>(0, length)));
  const std::string_view digits = content.substr(0, content.find_first_not_of("0123456789"));
  return digits.empty() ? "another process" : "pid " + std::string(digits);
}

int take_lock(const std::string& folder) {
  const std::string path = folder + "/.lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) fail_system(path, "open; choose a folder that can be written");
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const std::string owner = owner_of(lock);
    ::close(lock);
    if (reason == EWOULDBLOCK)
      fail(ErrorKind::environment, "{}: in use by {}; choose another folder or wait", folder,
           owner);
    errno = reason;
    fail_system(path, "lock");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const int reason = errno;
    ::close(lock);
    errno = reason;
    fail_system(path, "write");
  }
  return lock;
}

void try_to_write(const std::string& folder) {
  const std::string probe = folder + "/.writable";
  write_atomic(probe, "");
  remove_file(probe);
}

}  // namespace

RunFolder::RunFolder(const std::string& folder) : folder_(folder) {
  make_folders(checkpoints());
  lock_ = take_lock(folder);
  try {
    for (const std::string& place : {folder_, checkpoints()}) {
      try_to_write(place);
      remove_leftovers(place);
    }
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

int64_t rewind_metrics(const std::string& path, int64_t step, bool keep_end) {
  if (!std::filesystem::exists(path)) return 0;
  const std::vector<uint8_t> content = read_file(path);
  std::string_view rest(reinterpret_cast<const char*>(content.data()), content.size());
  std::string kept;
  int64_t removed = 0;
  for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::string_view line = rest.substr(0, end + 1);
    rest.remove_prefix(end + 1);
    const auto json = parse_json(line);
    if (!json.is_object()) continue;
    const auto noted = json.find("step");
    const bool dropped = json.contains("model") && !keep_end;
    const auto last = static_cast<double>(dropped ? step - 1 : step);
    if (noted != json.end() && noted->is_number() && noted->get<double>() > last) {
      ++removed;
      continue;
    }
    kept += line;
  }
  if (kept.size() != content.size()) write_atomic(path, kept);
  return removed;
}

}  // namespace pal
