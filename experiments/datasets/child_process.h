#pragma once
#include <functional>
#include <string>
#include <vector>

#include "runtime/error.h"

namespace pal {

/// How a program ended and what it wrote.
struct CommandResult {
  int code = 0;        ///< the exit status; 128 + N if signal N ended it
  std::string output;  ///< of stdout
  std::string errors;  ///< of stderr
};

/// Runs a program (`arguments[0]`, looked for in PATH, without a shell) in `folder`, with messages
/// in English and nothing on stdin, and waits for it; meanwhile `waiting` is called a few times a
/// second. Throws environment if there is no such program or it cannot be started.
CommandResult run_command(const std::vector<std::string>& arguments,
                          const std::string& folder = ".",
                          const std::function<void()>& waiting = {});

/// Why a program failed that reads a file, and whose fault that is.
struct CommandFault {
  ErrorKind kind;
  std::string line;  ///< of its errors
};
/// The last line about a disk that is full or fails: environment. Without one the last line: data.
CommandFault fault_of(const CommandResult& result);

/// The last line of a text that is not empty: in a program's errors, what it complains about.
std::string last_line(const std::string& text);

}  // namespace pal
