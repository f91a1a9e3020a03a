#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace pal {

/// What went wrong, in the terms of the programs' exit codes.
enum class ErrorKind {
  failure,      ///< anything else: exit 1
  usage,        ///< an option, a configuration, a shape the caller chose: exit 2
  data,         ///< an input file that is broken or does not fit: exit 3
  environment,  ///< disk, memory, permission, device: exit 4
  numerics,     ///< NaN, infinity, lost invertibility: exit 5
  peer,         ///< another rank of the run was lost: exit 6
};

/// The process exit code of an error kind.
constexpr int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return 2;
    case ErrorKind::data:
      return 3;
    case ErrorKind::environment:
      return 4;
    case ErrorKind::numerics:
      return 5;
    case ErrorKind::peer:
      return 6;
    case ErrorKind::failure:
      break;
  }
  return 1;
}

/// The one exception of the engine. Its text is one line: WHERE: what is wrong; what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Throws an Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws a usage error unless `condition` holds: for arguments checked once, at the entry of an
/// op.
template <typename... Args>
void expect(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(ErrorKind::usage, format, std::forward<Args>(args)...);
}

}  // namespace pal
