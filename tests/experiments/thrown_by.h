#pragma once
#include <string>

#include "experiments/measures/rank_rounds.h"
#include "runtime/error.h"

namespace pal::testing {

/// The exit code and text of what a rank throws; "interrupted" for that.
template <typename Body>
std::string thrown_by(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::to_string(exit_code(error.kind())) + ": " + error.what();
  } catch (const Interrupted&) {
    return "interrupted";
  }
  return "nothing";
}

}  // namespace pal::testing
