#include "runtime/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <utility>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/paths.h"

namespace pal {
namespace {

constexpr const char* kTemporaryMark = ".tmp-pal";

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : value_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  int get() const { return value_; }
  bool ok() const { return value_ >= 0; }
  /// Closes now; false if the system reports an error that a delayed write left behind.
  bool close() {
    const int status = ::close(value_);
    value_ = -1;
    return status == 0;
  }

 private:
  int value_;
};

[[noreturn]] void fail_system(const std::string& path, const char* action) {
  const int reason = errno;
  fail(ErrorKind::environment, "{}: cannot {}: {}", path, action, std::strerror(reason));
}

std::string parent_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

/// The temporary file of a path, open and empty, for this process alone. One that a killed process
/// left is taken over; beside a process that writes the same path it gets a name of its own.
class Temporary {
 public:
  explicit Temporary(const std::string& path)
      : name_(path + kTemporaryMark), file_(name_, O_WRONLY | O_CREAT, 0644) {
    const bool locked = file_.ok() && ::flock(file_.get(), LOCK_EX | LOCK_NB) == 0;
    if (locked && is_there(path)) {
      if (::ftruncate(file_.get(), 0) != 0) fail_without(path, "write");
      return;
    }
    if (!file_.ok()) fail_system(path, "write");
    // Where files cannot be locked, nobody holds it.
    if (!locked && errno != EWOULDBLOCK) ::unlink(name_.c_str());
    name_ += std::to_string(::getpid());
    file_ = Descriptor(name_, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!file_.ok()) fail_system(path, "write");
  }
  const std::string& name() const { return name_; }
  Descriptor& file() { return file_; }

 private:
  /// Whether the name still leads to the open file: the process that had it may just have ended.
  bool is_there(const std::string& path) const {
    struct stat open {};
    struct stat named {};
    if (::fstat(file_.get(), &open) == 0 && ::stat(name_.c_str(), &named) == 0)
      return open.st_ino == named.st_ino && open.st_dev == named.st_dev;
    if (errno == ENOENT) return false;
    fail_without(path, "examine");
  }
  [[noreturn]] void fail_without(const std::string& path, const char* action) const {
    const int reason = errno;
    ::unlink(name_.c_str());
    errno = reason;
    fail_system(path, action);
  }

  std::string name_;
  Descriptor file_;
};

void write_all(int descriptor, const std::string& path, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_system(path, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace

std::vector<uint8_t> read_file(const std::string& path, int64_t most) {
  const Descriptor descriptor(path, O_RDONLY | O_NONBLOCK);
  if (!descriptor.ok()) {
    if (errno == ENOENT) fail(ErrorKind::data, "{}: no such file", path);
    fail_system(path, "open");
  }
  struct stat info {};
  if (::fstat(descriptor.get(), &info) != 0) fail_system(path, "examine");
  if (!S_ISREG(info.st_mode)) fail(ErrorKind::data, "{}: expected a regular file", path);
  if (info.st_size > most)
    fail(ErrorKind::data, "{}: {} bytes, expected at most {}", path, info.st_size, most);
  std::vector<uint8_t> content(static_cast<size_t>(info.st_size));
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::read(descriptor.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_system(path, "read");
    if (got == 0)
      fail(ErrorKind::data, "{}: the file shrank to {} bytes while it was read", path, filled);
    filled += static_cast<size_t>(got);
  }
  return content;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::vector<std::string> lines;
  if (!path_exists(path)) return lines;
  const std::vector<uint8_t> bytes = read_file(path);
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
  return lines;
}

void write_atomic(const std::string& path, const std::function<void(const ByteSink&)>& produce) {
  // A device or pipe would be replaced by a file of its name.
  struct stat there {};
  if (::stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode))
    fail(ErrorKind::environment, "{}: is no regular file; name one", path);
  Temporary temporary(path);
  try {
    Descriptor& file = temporary.file();
    produce([&](std::span<const uint8_t> bytes) { write_all(file.get(), path, bytes); });
    if (::fsync(file.get()) != 0) fail_system(path, "sync");
    if (::rename(temporary.name().c_str(), path.c_str()) != 0)
      fail_system(path, "rename into place");
    if (!file.close()) fail_system(path, "close");
  } catch (...) {
    ::unlink(temporary.name().c_str());
    throw;
  }
  sync_folder(parent_of(path));
}

void write_atomic(const std::string& path, const std::string& content) {
  write_atomic(path, [&](const ByteSink& sink) {
    sink({reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  });
}

void link_atomic(const std::string& target, const std::string& link) {
  const std::string temporary = link + kTemporaryMark;
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0) fail_system(link, "make the link");
  if (::rename(temporary.c_str(), link.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    errno = reason;
    fail_system(link, "rename into place");
  }
  sync_folder(parent_of(link));
}

void sync_file_system(const std::string& folder) {
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (!descriptor.ok() || ::syncfs(descriptor.get()) != 0) fail_system(folder, "sync the files");
}

void sync_folder(const std::string& folder) {
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (!descriptor.ok() || ::fsync(descriptor.get()) != 0) fail_system(folder, "sync the folder");
}

void remove_tree(const std::string& folder) {
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  if (failed) log_warning("{}: cannot remove the folder: {}", folder, failed.message());
}

void remove_file(const std::string& path) {
  std::error_code failed;
  std::filesystem::remove(path, failed);
  if (failed) log_warning("{}: cannot remove the file: {}", path, failed.message());
}

bool is_leftover(const std::string& name) { return name.find(kTemporaryMark) != std::string::npos; }

void remove_leftovers(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (is_leftover(entry.path().filename().string())) remove_file(entry.path().string());
}

void remove_leftover(const std::string& path) { remove_file(path + kTemporaryMark); }

int64_t free_bytes(const std::string& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return -1;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

void make_folders(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    fail(ErrorKind::environment, "{}: cannot make the folder: {}", folder, error.message());
}

}  // namespace pal
