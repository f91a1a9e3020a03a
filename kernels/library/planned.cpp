#include "kernels/library/planned.h"

#include <mutex>

#include "runtime/log.h"

namespace pal {
namespace {

struct Notes {
  std::mutex mutex;
  std::vector<std::string> lines;
};
Notes& notes() {
  static Notes instance;
  return instance;
}

}  // namespace

std::vector<std::string> planned_implementations() {
  const std::lock_guard lock(notes().mutex);
  return notes().lines;
}

void note_implementation(const std::string& what, const std::string& implementation) {
  std::string line = fmt::format("{}: {}", what, implementation);
  log_debug("{}", line);
  const std::lock_guard lock(notes().mutex);
  notes().lines.push_back(std::move(line));
}

}  // namespace pal
