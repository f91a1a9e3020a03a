#include "runtime/random_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/error.h"

namespace pal {
namespace {

[[noreturn]] void fail_reading(const std::string& name, const char* action) {
  const int reason = errno;
  fail(is_file_fault(reason) ? ErrorKind::data : ErrorKind::environment, "{}: cannot {}: {}", name,
       action, std::strerror(reason));
}

[[noreturn]] void fail_short(const std::string& name, int64_t offset) {
  fail(ErrorKind::data, "{}:{}: the file ends here, it shrank while it was read", name, offset);
}

void check_range(const RandomReader& bytes, int64_t offset, size_t count) {
  if (offset < 0 || offset > bytes.size() || count > static_cast<uint64_t>(bytes.size() - offset))
    fail(ErrorKind::data, "{}:{}: {} bytes were expected here, the file ends at {}", bytes.name(),
         offset, count, bytes.size());
}

}  // namespace

bool is_file_fault(int error_number) {
  constexpr int kFaults[] = {ENOENT, EACCES, EPERM, ENOTDIR, ELOOP, ENAMETOOLONG, ENXIO, EISDIR};
  return std::ranges::find(kFaults, error_number) != std::end(kFaults);
}

MemoryReader::MemoryReader(std::span<const uint8_t> bytes, std::string name)
    : bytes_(bytes), name_(std::move(name)) {}

void MemoryReader::read(int64_t offset, std::span<uint8_t> out) const {
  check_range(*this, offset, out.size());
  std::ranges::copy(bytes_.subspan(static_cast<size_t>(offset), out.size()), out.begin());
}

FileReader::FileReader(const std::string& path, std::string name)
    : name_(std::move(name)),
      file_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {
  if (file_ < 0) fail_reading(name_, "open");
  try {
    struct stat info {};
    if (::fstat(file_, &info) != 0) fail_reading(name_, "examine");
    if (!S_ISREG(info.st_mode)) fail(ErrorKind::data, "{}: expected a regular file", name_);
    stamp_ = stamp_of(info);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

FileReader::~FileReader() { ::close(file_); }

void FileReader::read(int64_t offset, std::span<uint8_t> out) const {
  check_range(*this, offset, out.size());
  while (!out.empty()) {
    const ssize_t got = ::pread(file_, out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_reading(name_, "read");
    if (got == 0) fail_short(name_, offset);
    out = out.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

void FileReader::expect_jumps() const { ::posix_fadvise(file_, 0, 0, POSIX_FADV_RANDOM); }

}  // namespace pal
