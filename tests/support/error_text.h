#pragma once
#include <string>

#include "runtime/error.h"

namespace pal::testing {

/// The message of the error that `action` throws; says so if it throws none or one of another kind.
template <typename Action>
std::string error_text(ErrorKind kind, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind() == kind ? error.what() : std::string("wrong kind: ") + error.what();
  }
  return "no error";
}

template <typename Action>
std::string data_error(Action&& action) {
  return error_text(ErrorKind::data, action);
}
template <typename Action>
std::string usage_error(Action&& action) {
  return error_text(ErrorKind::usage, action);
}

}  // namespace pal::testing
