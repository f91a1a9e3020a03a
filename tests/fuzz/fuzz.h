#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>

#include "runtime/error.h"

namespace pal::fuzz {

/// Gives the bytes to a parser. It may accept them or throw an error of an allowed kind; anything
/// else is a finding.
template <typename Parse>
int run(const uint8_t* bytes, size_t size, Parse&& parse,
        std::initializer_list<ErrorKind> allowed = {ErrorKind::data}) {
  try {
    parse(std::span<const uint8_t>(bytes, size));
  } catch (const Error& error) {
    if (std::ranges::find(allowed, error.kind()) == allowed.end()) std::abort();
  }
  return 0;
}

/// A file in memory, for parsers that take a path; one at a time holds what was put last.
class MemoryFile {
 public:
  MemoryFile() : file_(::memfd_create("input", 0)) {
    if (file_ < 0) std::abort();
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// The path under which the bytes, and nothing else, can be read.
  std::string hold(std::span<const uint8_t> bytes) const {
    const auto size = static_cast<ssize_t>(bytes.size());
    if (::ftruncate(file_, 0) != 0 || ::pwrite(file_, bytes.data(), bytes.size(), 0) != size)
      std::abort();
    return "/proc/self/fd/" + std::to_string(file_);
  }

 private:
  int file_;
};

/// Gives the bytes, as a file, to a parser that takes a path.
template <typename Parse>
int run_file(const uint8_t* bytes, size_t size, Parse&& parse,
             std::initializer_list<ErrorKind> allowed = {ErrorKind::data}) {
  static const MemoryFile file;
  const std::string path = file.hold({bytes, size});
  return run(
      bytes, size, [&](std::span<const uint8_t>) { parse(path); }, allowed);
}

}  // namespace pal::fuzz
