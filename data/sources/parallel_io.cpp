#include "data/sources/parallel_io.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace pal {

void parallel_io(size_t count, const std::function<void(size_t)>& body) {
  constexpr size_t kThreads = 8;  // each holds a descriptor, of which there may be as few as 32
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  std::vector<std::exception_ptr> errors(count);
  const auto work = [&] {
    // What was taken is done, so that no error of a smaller i is missed.
    while (!failed) {
      const size_t i = next++;
      if (i >= count) return;
      try {
        body(i);
      } catch (...) {
        errors[i] = std::current_exception();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      while (threads.size() + 1 < std::min(count, kThreads)) threads.emplace_back(work);
    } catch (const std::system_error&) {
      // No more threads allowed: those there are do it.
    }
    work();
  }
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace pal
