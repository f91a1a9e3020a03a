#pragma once
#include <stdexcept>

namespace emulator {

/// A mistake in a kernel, a launch or a call of the runtime that real hardware would punish with
/// wrong results, a hang or a sticky error. Thrown out of the launch or call.
class Fault : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace emulator
